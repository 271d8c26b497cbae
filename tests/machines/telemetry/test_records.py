"""What is written down of an event: its type, ids and numbers, and nothing anybody wrote (#45)."""

from __future__ import annotations

import json

import pytest

from appliance.model.event import Event
from appliance.telemetry.records import connection_record, event_record

JOB = "018f7d2d-0064-7000-8001-f147d6a2e70a"
NOTE = "018f7d2d-0065-7000-8001-f147d6a2e70a"
ID = "018f7d2d-0007-7000-8001-f147d6a2e70a"


def event(type: str, metadata: str | None = None, **data: object) -> Event:
    return Event(1, "job-1", type, 0, 7, ID, json.dumps(data), metadata, 0)


def test_telemetry_structured_tracing_jobcompleted():
    """test_telemetry_structured_tracing_jobcompleted (#45)"""
    level, fields = event_record(
        event("JobCompleted", job_id=JOB, job_type="Embedding", note_id=NOTE, duration_ms=1234, result={"x": 1})
    )

    assert level == "info"
    assert fields == {
        "subsystem": "events",
        "event.type": "JobCompleted",
        "event.id": ID,
        "event.position": 7,
        "event.job_id": JOB,
        "event.job_type": "Embedding",
        "event.note_id": NOTE,
        "event.duration_ms": 1234,
    }


def test_telemetry_structured_tracing_noteupdated():
    """test_telemetry_structured_tracing_noteupdated (#45)"""
    level, fields = event_record(event("NoteUpdated", note_id=NOTE, title="My diary", tags=["private"]))

    assert (level, fields["event.type"], fields["event.note_id"]) == ("info", "NoteUpdated", NOTE)
    assert "diary" not in str(fields)
    assert "private" not in str(fields)


SEVEN = {
    "QueueStatus": ({"total_jobs": 42, "running": 2, "pending": 7}, "debug", "event.queue_depth", 42),
    "JobQueued": ({"job_id": JOB, "job_type": "Embedding"}, "info", "event.job_id", JOB),
    "JobStarted": ({"job_id": JOB, "job_type": "AiRevision"}, "info", "event.job_type", "AiRevision"),
    "JobProgress": ({"job_id": JOB, "progress": 65, "message": "halfway"}, "info", "event.job_id", JOB),
    "JobCompleted": ({"job_id": JOB, "duration_ms": 5}, "info", "event.duration_ms", 5),
    "JobFailed": ({"job_id": JOB, "error": "timed_out"}, "warning", "event.error", "timed_out"),
    "NoteUpdated": ({"note_id": NOTE, "tags": []}, "info", "event.note_id", NOTE),
}


@pytest.mark.parametrize("type", SEVEN)
def test_telemetry_all_event_types(type):
    """test_telemetry_all_event_types (#45)"""
    data, expected_level, name, value = SEVEN[type]

    level, fields = event_record(event(type, **data))

    assert (level, fields["event.type"], fields[name], fields["subsystem"]) == (expected_level, type, value, "events")


@pytest.mark.parametrize(
    "planted",
    [
        "/home/anna/diary.md",
        "postgres://u:p@h/db",
        "SELECT name FROM people",
        "anna@example.com",
        "Bearer mm_at_abcdefghijklmnopqrstuvwxyz",
        "203.0.113.77",
        'Traceback (most recent call last):\n  File "x.py", line 1',
        "ns_ZGVmYXVsdA_" + "0a" * 32,
    ],
)
def test_telemetry_no_pii_in_logs(planted):
    """test_telemetry_no_pii_in_logs (#45): wherever in an event it stands"""
    about = {"job_id": planted, "note_id": planted, "job_type": planted, "error": planted, "message": planted}
    about |= {"duration_ms": planted, "total_jobs": planted, "content": planted, "title": planted}

    for type in (*SEVEN, planted):
        _, fields = event_record(event(type, json.dumps({"traceparent": planted}), **about))

        assert planted not in json.dumps(fields)
        assert set(fields) == {"subsystem", "event.type", "event.id", "event.position"}


def test_a_traced_event_names_its_trace():
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    _, fields = event_record(event("NoteUpdated", json.dumps({"traceparent": parent}), note_id=NOTE))

    assert fields["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_data_that_is_no_object_is_no_trouble():
    broken = Event(1, "s", "Odd", 0, 1, ID, "[1]", "[]", 0)

    assert event_record(broken)[1] == {
        "subsystem": "events",
        "event.type": "Odd",
        "event.id": ID,
        "event.position": 1,
    }


def test_connections_are_told_with_who_from_where_and_how_long():
    opened = connection_record(
        opened=True, id="c1", transport="sse", dialect="events", address="192.0.2.9", subject="ops"
    )
    closed = connection_record(
        opened=False, id="c1", transport="sse", dialect="events", address="192.0.2.9", subject="", seconds=1.23456
    )

    assert (opened["event.type"], opened["connection_id"], opened["client_ip"], opened["user_id"]) == (
        "ConnectionOpened",
        "c1",
        "192.0.2.9",
        "ops",
    )
    assert (closed["event.type"], closed["duration_s"], closed["reason"]) == ("ConnectionClosed", 1.235, "left")
    assert "user_id" not in closed
