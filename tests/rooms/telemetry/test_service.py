"""The mirror: every event is counted; a line is written about each while that costs nothing (#45, UC-005)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
import trio
from prometheus_client import CollectorRegistry, generate_latest

from appliance.model.clients import Habits
from appliance.model.event import Event, Namespace
from appliance.model.principal import Principal
from appliance.telemetry.gauges import event_readings
from appliance.telemetry.service import Telemetry

JOB = "018f7d2d-0064-7000-8001-f147d6a2e70a"


@dataclass
class Room:
    telemetry: Telemetry
    lines: list[dict[str, Any]]
    rounds: list[float] = field(default_factory=list)
    readers: int = 1
    slow: float = 0.0  # seconds a round takes

    async def flushed(self) -> None:
        await trio.sleep(self.slow)
        self.rounds.append(trio.current_time())

    def metric(self, name: str) -> float:
        registry = CollectorRegistry()
        registry.register(event_readings(self.telemetry))
        text = generate_latest(registry).decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))

    def types(self) -> list[str]:
        return [line["event.type"] for line in self.lines if "event.type" in line]


@asynccontextmanager
async def a_room(*, records: bool = True, rate: int = 500) -> AsyncIterator[Room]:
    with structlog.testing.capture_logs() as lines:
        room: Room
        telemetry = Telemetry(lambda: room.flushed(), lambda: room.readers, records=records, rate=rate)
        room = Room(telemetry, lines)  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            await nursery.start(telemetry.run)
            yield room
            nursery.cancel_scope.cancel()


def event(type: str = "NoteUpdated", namespace: int = 1, **data: object) -> Event:
    return Event(namespace, "note-1", type, 0, 1, "018f7d2d-0007-7000-8001-f147d6a2e70a", json.dumps(data), None, 0)


@dataclass
class Visitor:
    id: str
    transport: str = "websocket"
    principal: Principal | None = None
    address: str = "192.0.2.9"

    @property
    def habits(self) -> Habits:
        return Habits("eventing", self.transport, 30, 90, lambda now: b"")  # type: ignore[arg-type]


async def test_every_event_gets_a_line_and_is_counted(autojump_clock):
    """test_telemetry_counter_metrics (#45): counters rise by one"""
    async with a_room() as room:
        room.telemetry.saw([event("JobCompleted", job_id=JOB, job_type="Embedding", duration_ms=1234)])
        await trio.sleep(1)
        before = room.metric('events_emitted_total{type="JobCompleted"}')
        room.telemetry.saw([event("JobCompleted", job_id=JOB, job_type="Embedding", duration_ms=20), event()])
        await trio.sleep(1)

        assert (before, room.metric('events_emitted_total{type="JobCompleted"}')) == (1, 2)
        assert room.metric('events_emitted_total{type="NoteUpdated"}') == 1
        assert room.metric('jobs_total{outcome="completed",type="Embedding"}') == 2
        assert room.metric("job_duration_seconds_count") == 2
        assert room.metric("job_duration_seconds_sum") == pytest.approx(1.254)
        assert room.types() == ["JobCompleted", "JobCompleted", "NoteUpdated"]
        assert room.lines[0]["event.job_id"] == JOB


async def test_telemetry_gauge_metrics(autojump_clock):
    """test_telemetry_gauge_metrics (#45): queue depth follows, over all namespaces"""
    async with a_room() as room:
        room.telemetry.saw([event("QueueStatus", total_jobs=12, running=2, pending=7)])
        room.telemetry.saw([event("QueueStatus", namespace=2, total_jobs=1, running=1, pending=0)])
        depth = [room.metric(f'queue_depth{{state="{state}"}}') for state in ("running", "pending", "delayed")]
        room.telemetry.saw([event("QueueStatus", total_jobs=0, running=0, pending=0)])

        assert depth == [3, 7, 3]
        assert room.metric('queue_depth{state="running"}') == 1
        assert room.metric('queue_depth{state="pending"}') == 0


async def test_a_failed_job_is_counted_and_warned_of(autojump_clock):
    async with a_room() as room:
        room.telemetry.saw([event("JobFailed", job_id=JOB, job_type="Embedding", error="timed_out")])
        await trio.sleep(1)

        assert room.metric('jobs_total{outcome="failed",type="Embedding"}') == 1
        assert (room.lines[0]["log_level"], room.lines[0]["event.error"]) == ("warning", "timed_out")


async def test_in_a_flood_lines_are_left_out_and_told_together(autojump_clock):
    async with a_room(rate=10) as room:
        for _ in range(100):
            room.telemetry.saw([event() for _ in range(10)])
        await trio.sleep(2)
        room.telemetry.saw([event("JobQueued")])
        await trio.sleep(0.2)

        [told] = [line for line in room.lines if "most" in line]
        assert (told["count"], told["most"], room.telemetry.unwritten) == (990, {"NoteUpdated": 990}, 990)
        assert room.types() == ["NoteUpdated"] * 10 + ["JobQueued"]  # the next second has an allowance of its own
        assert room.metric('events_emitted_total{type="NoteUpdated"}') == 1000


async def test_a_batch_that_is_partly_over_the_allowance_is_told_exactly(autojump_clock):
    async with a_room(rate=3) as room:
        room.telemetry.saw([event("A"), event("A"), event("B"), event("B"), event("C")])
        await trio.sleep(2)

        [told] = [line for line in room.lines if "most" in line]
        assert (room.types(), told["count"], told["most"]) == (["A", "A", "B"], 2, {"B": 1, "C": 1})


async def test_without_lines_everything_is_counted_still(autojump_clock):
    async with a_room(records=False) as room:
        room.telemetry.saw([event(), event()])
        room.telemetry.opened(Visitor("c1"))
        await trio.sleep(2)

        assert room.lines == []
        assert room.metric('events_emitted_total{type="NoteUpdated"}') == 2


async def test_delivery_is_timed_by_rounds_not_by_events(autojump_clock):
    async with a_room() as room:
        room.slow = 0.02
        for _ in range(50):
            room.telemetry.saw([event() for _ in range(100)])
        await trio.sleep(1)
        first = room.metric("event_delivery_latency_seconds_count"), len(room.rounds)
        room.readers = 0
        room.telemetry.saw([event()])
        await trio.sleep(1)

        assert first == (1, 1)
        assert room.metric("event_delivery_latency_seconds_sum") == pytest.approx(0.02)
        assert len(room.rounds) == 1  # nobody reads: there is nothing to time


async def test_connections_get_lines_and_stays(autojump_clock):
    """UC-005: what is open is what was opened less what was closed"""
    async with a_room() as room:
        who = Principal(Namespace(1, "default"), subject="ops")
        room.telemetry.opened(Visitor("c1", principal=who))
        room.telemetry.opened(Visitor("c2", "sse"))
        room.telemetry.closed(Visitor("c1", principal=who), 90.5, "dead_peer")
        await trio.sleep(1)

        opened = [line for line in room.lines if line["event.type"] == "ConnectionOpened"]
        [closed] = [line for line in room.lines if line["event.type"] == "ConnectionClosed"]
        assert [(line["connection_id"], line["transport"]) for line in opened] == [("c1", "websocket"), ("c2", "sse")]
        assert (closed["connection_id"], closed["duration_s"], closed["reason"], closed["user_id"]) == (
            "c1",
            90.5,
            "dead_peer",
            "ops",
        )
        assert room.metric("ws_connection_duration_seconds_sum") == 90.5


async def test_draining_writes_what_waits():
    with structlog.testing.capture_logs() as lines:
        telemetry = Telemetry(trio.lowlevel.checkpoint, lambda: 0, records=True, rate=2)
        telemetry.saw([event(), event(), event()])

        await telemetry.drain()

    assert [line.get("event.type", line.get("count")) for line in lines] == ["NoteUpdated", "NoteUpdated", 1]
