"""The steps of a job, and what is written of them."""

from __future__ import annotations

import msgspec

from appliance.jobs import job as steps
from appliance.jobs.job import Job, index_of
from appliance.jobs.kinds import pascal
from appliance.jobs.retry import Failure
from appliance.jobs.tally import BOUNDS, LastHour, Spread, Tally
from appliance.jobs.telling import completed_draft, failed_draft, forget, keep, queued_draft, started_draft
from appliance.model.jobs import snake

MINUTE = 60_000_000
NEW = Job(id="j", type="TitleGeneration", created=1, event="e0", correlation="e0", waits=(5.0,), memory="m", note="n")
FAILURE = Failure("transient", "connection_failed")


def test_a_life_leaves_its_attempts_and_steps_through_its_stream():
    first = steps.begun(NEW, event="e1", now_us=10, lease_us=99)
    waits = steps.postponed(first, FAILURE, now_us=20, retry_us=30, duration_ms=7)
    second = steps.begun(waits, event="e2", now_us=30, lease_us=99)
    failed = steps.failed(second, FAILURE, event="e3", now_us=40, duration_ms=8, letter="l")
    wanted = steps.revived(failed, event="e4", now_us=50)
    third = steps.begun(wanted, event="e5", now_us=60, lease_us=99)
    done = steps.completed(third, msgspec.Raw(b"1"), event="e6", now_us=70, duration_ms=9)

    life = [NEW, first, waits, second, failed, wanted, third, done]
    assert [job.status for job in life] == [
        "pending", "running", "pending", "running", "failed", "pending", "running", "completed",
    ]  # fmt: skip
    assert [job.position for job in life] == [0, 1, 1, 2, 3, 4, 5, 6]
    assert [job.event for job in life] == ["e0", "e1", "e1", "e2", "e3", "e4", "e5", "e6"]
    assert [attempt.outcome for attempt in done.attempts] == ["retried", "failed", "completed"]
    assert [attempt.duration_ms for attempt in done.attempts] == [7, 8, 9]
    assert (waits.retries, wanted.retries, failed.letter, wanted.letter) == (1, 0, "l", "")


def test_events_stand_at_exactly_the_next_place_with_their_cause():
    first = steps.begun(NEW, event="e1", now_us=10, lease_us=99)
    done = steps.completed(first, msgspec.Raw(b"1"), event="e2", now_us=20, duration_ms=3)
    drafts = [queued_draft(NEW, ""), started_draft(NEW, first), completed_draft(first, done, 1)]

    assert [(draft.stream, draft.id, draft.expected_version) for draft in drafts] == [
        ("job-j", "e0", -1), ("job-j", "e1", 0), ("job-j", "e2", 1),
    ]  # fmt: skip
    assert [msgspec.json.decode(draft.metadata or "").get("causationId") for draft in drafts] == [None, "e0", "e1"]
    assert msgspec.json.decode(drafts[2].data) == {
        "job_id": "j", "job_type": "TitleGeneration", "note_id": "n", "duration_ms": 3, "result": 1,
    }  # fmt: skip
    assert msgspec.json.decode(failed_draft(first, done, "cancelled").data)["error"] == "cancelled"


def test_a_row_is_found_by_what_people_ask_for():
    ended = steps.cancelled(NEW, event="e1", now_us=7_200_000_000)

    assert set(index_of(NEW)) == {("status", "pending"), ("type", "TitleGeneration"), ("memory", "m"), ("note", "n")}
    assert {("ended", "yes"), ("hour", "2"), ("status", "cancelled")} <= set(index_of(ended))


def test_a_row_is_the_same_after_a_round_trip():
    job = steps.begun(NEW, event="e1", now_us=10, lease_us=99)
    change = keep(1, job, expected=0)

    back = msgspec.json.decode(change.value or "", type=Job)

    assert msgspec.json.encode(back) == msgspec.json.encode(job)
    assert [gone.key for gone in forget(1, msgspec.structs.replace(job, key="k"))] == ["j", "TitleGeneration/k"]


def test_attempts_are_remembered_to_a_number():
    job = NEW
    for n in range(200):
        job = steps.given_back(steps.begun(job, event="e", now_us=n, lease_us=n), event="e", now_us=n, duration_ms=0)

    assert (len(job.attempts), job.attempts[-1].number, job.retries) == (50, 200, 0)


def test_both_spellings():
    assert (pascal("title_generation"), pascal("AiRevision"), snake("ReEmbedAll")) == (
        "TitleGeneration", "AiRevision", "re_embed_all",
    )  # fmt: skip


def test_the_last_hour_forgets():
    hour = LastHour()
    for minute in (0, 0, 30, 59):
        hour.add(1, "m", "completed", minute * MINUTE)

    assert hour.count(1, None, "completed", 59 * MINUTE) == 4
    assert hour.count(1, ("",), "completed", 59 * MINUTE) == 0
    assert hour.count(1, ("m",), "completed", 60 * MINUTE) == 2
    assert hour.count(1, None, "completed", 200 * MINUTE) == 0


def test_durations_fall_into_their_buckets():
    tally, spread = Tally(), Spread()
    for seconds in (0.001, 0.005, 2.0, 10_000.0):
        spread.add(seconds)
    tally.ended("Work", "completed", 1.0)
    tally.ended("Work", "retried")

    assert (spread.buckets[0], spread.buckets[-1], sum(spread.buckets)) == (2, 1, 4)
    assert len(spread.buckets) == len(BOUNDS) + 1
    assert tally.outcomes == {("Work", "completed"): 1, ("Work", "retried"): 1}
    assert sum(tally.durations["Work"].buckets) == 1
