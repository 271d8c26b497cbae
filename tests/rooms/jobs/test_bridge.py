"""What the world is told of jobs: the seven named tests of the bridge, on the virtual clock."""

from __future__ import annotations

import json
from itertools import pairwise

import trio
from trio.testing import MockClock

from appliance.errors import Unavailable
from appliance.model.event import Event
from appliance.model.jobs import JobRun
from appliance.model.topic import Topic
from tests.rooms.jobs.jobs_room import SPACE, Room, at_once, running


async def steps(run: JobRun) -> str:
    for percent in (25, 50, 75):
        await run.progress(percent, "reading")
        await trio.sleep(1)
    return "done"


async def broken(run: JobRun) -> None:
    raise RuntimeError("cannot open /home/ann/notes.db with password hunter2")


async def test_a_worker_event_maps_to_a_server_event(autojump_clock: MockClock):
    """test_worker_event_to_server_event_mapping (#40)"""
    async with running(Room()) as room:
        room.offer("Steps", steps)
        room.offer("Broken", broken, waits=())

        done, failed = await room.order("Steps"), await room.order("broken")
        await trio.sleep(10)

        assert room.events(done) == ["JobQueued", "JobStarted", "JobCompleted"]
        assert room.events(failed) == ["JobQueued", "JobStarted", "JobFailed"]
        assert room.types().count("JobProgress") == 3
        for event in room.told:
            room.catalog.check(room.catalog.of(event.type), event.data)


async def test_all_events_of_a_job_name_its_note(autojump_clock: MockClock):
    """test_bridge_includes_note_id (#40)"""
    async with running(Room()) as room:
        room.offer("Steps", steps)

        await room.order("Steps", note_id="n-1")
        await trio.sleep(10)

        assert {event.type for event in room.told} == {"JobQueued", "JobStarted", "JobProgress", "JobCompleted"}
        assert {json.loads(event.data)["note_id"] for event in room.told} == {"n-1"}


async def test_events_of_a_job_without_a_note_are_sent_without_one(autojump_clock: MockClock):
    """test_bridge_handles_missing_note_id (#40)"""
    async with running(Room()) as room:
        room.offer("Steps", steps)

        await room.order("Steps")
        await trio.sleep(10)

        assert len(room.told) == 6
        assert not any("note_id" in json.loads(event.data) for event in room.told)


async def test_the_state_of_the_queue_is_told_every_five_seconds_to_each_what_it_sees(autojump_clock: MockClock):
    """test_bridge_periodic_queue_status (#40)"""

    class Sees:
        def __init__(self, memories: tuple[str, ...] | None) -> None:
            self.memories = memories

        def passes(self, event: Event) -> bool:
            return True

    async with running(Room()) as room:
        room.offer("Slow", _slow)
        for memory in ("", "kitchen", "kitchen"):
            await room.order("Slow", memory=memory)
        await room.order("Slow", memory="kitchen", delay=3600.0)
        room.followed = [
            Topic(SPACE, filter=Sees(None), ephemeral=True),
            Topic(SPACE, filter=Sees(("kitchen",)), ephemeral=True),
            Topic(SPACE, filter=Sees(("",)), ephemeral=True),
            Topic(SPACE, filter=Sees(("attic",))),
        ]
        room.told.clear()
        began = trio.current_time()

        await trio.sleep(21)

        told = [event for event in room.told if event.type == "QueueStatus"]
        times = sorted({round((event.time - told[0].time) / 1e6) for event in told})
        seen = {json.dumps(json.loads(event.metadata or "{}")["sight"]): json.loads(event.data) for event in told}
        assert times == [0, 5, 10, 15]
        assert trio.current_time() - began == 21
        assert seen == {
            "null": {"total_jobs": 4, "running": 1, "pending": 2},
            '["kitchen"]': {"total_jobs": 3, "running": 0, "pending": 2},
            '[""]': {"total_jobs": 1, "running": 1, "pending": 0},
        }
        assert all(event.ephemeral for event in told)


async def test_nobody_listens_and_only_a_queue_that_is_not_empty_or_just_became_so_is_told(autojump_clock: MockClock):
    async with running(Room()) as room:
        await trio.sleep(62)
        before = list(room.told)
        room.offer("Steps", steps)
        await room.order("Steps", memory="kitchen", delay=8.0)
        await trio.sleep(60)

        assert before == []
        assert [one["total_jobs"] for one in room.data("QueueStatus")] == [1, 1, 0]


async def test_a_done_job_is_told_within_five_seconds(autojump_clock: MockClock):
    """test_job_completion_emits_server_event (#40)"""
    async with running(Room()) as room:
        room.offer("AtOnce", at_once)

        id = await room.order("at_once", note_id="n-1")
        await trio.sleep(5)

        (told,) = room.data("JobCompleted")
        assert told.pop("duration_ms") >= 0
        assert told == {"job_id": id, "job_type": "AtOnce", "note_id": "n-1", "result": {"attempt": 1}}


async def test_a_failed_job_is_told_by_a_code_alone(autojump_clock: MockClock):
    """test_job_failure_emits_server_event (#40)"""
    async with running(Room()) as room:
        room.offer("Broken", broken, waits=())

        id = await room.order("Broken")
        await trio.sleep(1)

        assert room.data("JobFailed") == [{"job_id": id, "job_type": "Broken", "error": "handler_panicked"}]


async def test_progress_is_forwarded_as_it_is_reported(autojump_clock: MockClock):
    """test_job_progress_forwarded (#40)"""
    async with running(Room()) as room:
        room.offer("Steps", steps)

        id = await room.order("Steps")
        await trio.sleep(10)

        told = room.data("JobProgress")
        assert [one["progress"] for one in told] == [25, 50, 75]
        assert told[0] == {"job_id": id, "progress": 25, "message": "reading"}
        assert all(event.ephemeral for event in room.told if event.type == "JobProgress")


async def test_progress_is_written_once_a_second_and_the_last_of_it_always(autojump_clock: MockClock):
    async def chatty(run: JobRun) -> None:
        for n in range(1000):
            await run.progress(n // 10, f"part {n}")
            await trio.sleep(0.01)

    async with running(Room()) as room:
        room.offer("Chatty", chatty)
        id = await room.order("Chatty")
        await trio.sleep(5.5)
        midway = await room.job(id)

        await trio.sleep(10)

        assert 40 <= midway.percent <= 50
        assert room.units <= 3 + 11
        assert ((await room.job(id)).percent, (await room.job(id)).message) == (100, "part 999")


async def test_a_job_that_says_nothing_is_told_of_every_few_seconds(autojump_clock: MockClock):
    """UC-001: progress at least every 5 s on long jobs."""

    async def silent(run: JobRun) -> None:
        await run.progress(30, "asking the model")
        await trio.sleep(21)

    async with running(Room()) as room:
        room.offer("Silent", silent)

        await room.order("Silent")
        await trio.sleep(60)

        told = [event.time for event in room.told if event.type == "JobProgress"]
        assert 5 <= len(told) <= 6
        assert max(later - sooner for sooner, later in pairwise(told)) <= 5_000_000
        assert {one["progress"] for one in room.data("JobProgress")} == {30}


async def test_words_of_progress_that_look_like_a_secret_are_left_out(autojump_clock: MockClock):
    async def careless(run: JobRun) -> None:
        await run.progress(10, "reading /home/ann/diary.txt")
        await run.progress(20, "asking ann@example.org")
        await run.progress(300, "page 3")

    async with running(Room()) as room:
        room.offer("Careless", careless)
        await room.order("Careless")
        await trio.sleep(1)

        told = [(one["progress"], one.get("message")) for one in room.data("JobProgress")]
        assert told == [(10, None), (20, None), (100, "page 3")]


async def test_a_result_goes_along_if_it_is_small_and_harmless(autojump_clock: MockClock):
    results = [{"words": 3}, {"token": "abc"}, {"vector": [0.5] * 2000}, None]

    async def giving(run: JobRun) -> object:
        return results[run.arguments["n"]]

    async with running(Room()) as room:
        room.offer("Giving", giving)
        for n in range(4):
            await room.order("Giving", arguments={"n": n})
        await trio.sleep(1)

        assert [one.get("result") for one in room.data("JobCompleted")] == [{"words": 3}, None, None, None]


async def test_all_events_of_a_job_have_its_memory_and_one_correlation_and_follow_each_other(
    autojump_clock: MockClock,
):
    async with running(Room()) as room:
        room.offer("Steps", steps)
        await room.order("Steps", memory="kitchen", cause="01a1fed1-8ac6-7049-a32b-b7dc11cdaf0b")
        await trio.sleep(10)

        labels = [json.loads(event.metadata or "{}") for event in room.told if not event.ephemeral]
        ids = [event.id for event in room.told if not event.ephemeral]
        assert [one["memory"] for one in labels] == ["kitchen"] * 3
        assert {one["correlationId"] for one in labels} == {"01a1fed1-8ac6-7049-a32b-b7dc11cdaf0b"}
        assert [one["causationId"] for one in labels] == ["01a1fed1-8ac6-7049-a32b-b7dc11cdaf0b", *ids[:2]]
        progress = next(event for event in room.told if event.type == "JobProgress")
        assert json.loads(progress.metadata or "{}")["memory"] == "kitchen"


async def test_the_index_of_a_note_is_told_of_with_the_job_that_made_it(autojump_clock: MockClock):
    from appliance.model.types import EventType

    async with running(Room()) as room:
        room.catalog.declare(EventType("IndexEmbeddingUpdated", "index.embedding.updated", "index", "note_id"))
        room.offer("Embedding", at_once)
        room.offer("Linking", at_once)
        id = await room.order("Embedding", note_id="n-1")
        await room.order("Embedding")
        await room.order("Linking", note_id="n-1")
        await trio.sleep(1)

        assert room.data("IndexEmbeddingUpdated") == [{"note_id": "n-1", "job_id": id}]
        assert "IndexLinkingUpdated" not in room.types()
        assert room.types()[room.types().index("JobCompleted") + 1] == "IndexEmbeddingUpdated"


async def test_who_comes_back_can_be_told_how_far_all_are(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Steps", steps, concurrency=2)
        room.offer("Slow", _slow)
        ids = [await room.order("Steps"), await room.order("Slow"), await room.order("Steps", delay=60.0)]
        await trio.sleep(1.5)

        now = room.jobs.passing(SPACE)

        assert [json.loads(event.data) for event in now] == [{"job_id": ids[0], "progress": 50, "message": "reading"}]
        assert all(event.ephemeral for event in now)
        assert room.jobs.passing(SPACE + 1) == []
        assert (room.jobs.depth().running, room.jobs.depth().delayed) == (2, 1)
        assert room.jobs.waits_for() == "2 running, 1 waiting"


async def test_an_end_that_cannot_be_written_is_written_later(autojump_clock: MockClock):
    async def unlucky(run: JobRun) -> None:
        room.trouble = Unavailable("the disk is full")

    async with running(Room()) as room:
        room.offer("Unlucky", unlucky)
        id = await room.order("Unlucky")
        await trio.sleep(30)
        during = room.events(id)
        room.trouble = None

        await trio.sleep(2)

        assert during == ["JobQueued", "JobStarted"]
        assert room.events(id) == ["JobQueued", "JobStarted", "JobCompleted"]


async def _slow(run: JobRun) -> None:
    await trio.sleep(1000)
