"""What a new process finds of the one before, and workers that do not come back."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from appliance.errors import Unavailable
from appliance.jobs.retry import Backoff
from appliance.jobs.service import Habits
from appliance.jobs.store import Search
from appliance.model.jobs import JobOrder, JobRun
from tests.rooms.jobs.jobs_room import SPACE, Room, at_once, restarted, running

HOUR = 3600.0
QUICK = Backoff(jitter=0.0, stale_worker=5.0)


class Slow:
    """Counts who is at work on which job at once."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.now: dict[str, int] = {}
        self.twice = False

    async def __call__(self, run: JobRun) -> None:
        self.began.append(run.id)
        self.now[run.id] = self.now.get(run.id, 0) + 1
        self.twice = self.twice or self.now[run.id] > 1
        try:
            await trio.sleep(10)
        finally:
            self.now[run.id] -= 1


async def crashed(room: Room, slow: Slow, orders: int) -> list[str]:
    """A process that ends without a word while jobs run."""
    async with running(room):
        room.offer("Slow", slow, concurrency=2)
        ids = [await room.order("Slow") for _ in range(orders)]
        await trio.sleep(1)
        room.trouble = Unavailable("the process is gone")
    return ids


async def test_what_ran_when_the_process_ended_runs_again_and_counts_as_an_attempt(autojump_clock: MockClock):
    first, slow = Room(Habits(backoff=QUICK)), Slow()
    ids = await crashed(first, slow, 3)

    room = restarted(first)
    async with running(room):
        room.offer("Slow", slow, concurrency=2)
        await trio.sleep(1)
        found = [await room.job(id) for id in ids]
        await trio.sleep(60)

        assert [(job.status, job.retries) for job in found] == [("pending", 1), ("pending", 1), ("running", 0)]
        assert found[0].attempts[0].kind == "stale_worker"
        assert found[0].attempts[0].code == "worker_lease_expired"
        assert room.events(ids[0]) == ["JobQueued", "JobStarted", "JobQueued", "JobStarted", "JobCompleted"]
        assert room.events(ids[2]) == ["JobQueued", "JobStarted", "JobCompleted"]
        assert not slow.twice


async def test_a_process_that_dies_four_times_with_a_job_gives_it_up(autojump_clock: MockClock):
    async def deadly(run: JobRun) -> None:
        room.trouble = Unavailable("the process is gone")
        await trio.sleep(1000)

    room, deaths = Room(Habits(backoff=QUICK)), 0
    room.offer("Deadly", deadly)
    async with running(room):
        id = await room.order("Deadly")
        await trio.sleep(1)
    while True:
        deaths += 1
        room = restarted(room)
        room.offer("Deadly", deadly)
        async with running(room):
            await trio.sleep(100)
        if room.trouble is None:
            break

    assert deaths == 4
    assert room.events(id) == ["JobQueued", *["JobStarted", "JobQueued"] * 3, "JobStarted", "JobFailed"]
    assert room.data("JobFailed")[0]["error"] == "worker_lease_expired"
    assert len(room.letters()) == 1


async def test_a_process_that_is_stopped_gives_its_jobs_back_at_once(autojump_clock: MockClock):
    first, slow = Room(), Slow()
    async with running(first):
        first.offer("Slow", slow)
        id = await first.order("Slow")
        await trio.sleep(1)

    given = await first.job(id)
    room = restarted(first)
    async with running(room):
        room.offer("Slow", slow)
        await trio.sleep(11)

        assert (given.status, given.retries, given.attempts[0].outcome) == ("pending", 0, "given_back")
        assert room.events(id) == ["JobQueued", "JobStarted", "JobQueued", "JobStarted", "JobCompleted"]


async def test_draining_begins_nothing_and_waits_for_what_runs(autojump_clock: MockClock):
    async with running(Room()) as room:
        slow = Slow()
        room.offer("Slow", slow)
        first, second = await room.order("Slow"), await room.order("Slow")
        await trio.sleep(1)
        began = trio.current_time()

        await room.jobs.drain()

        assert 8.9 < trio.current_time() - began < 9.1
        assert ((await room.job(first)).status, (await room.job(second)).status) == ("completed", "pending")


async def test_jobs_pauses_and_the_last_hour_survive_a_restart(autojump_clock: MockClock):
    first = Room()
    async with running(first):
        first.offer("AtOnce", at_once, concurrency=10)
        for _ in range(3):
            await first.order("AtOnce")
        await trio.sleep(1)
        await first.jobs.desk.pause(SPACE, "kitchen")
        await first.jobs.desk.pause(SPACE, None)
        waiting = [await first.order("AtOnce", priority=n, delay=n * 100.0) for n in range(3)]

    room = restarted(first)
    async with running(room):
        room.offer("AtOnce", at_once, concurrency=10)
        await trio.sleep(50)
        numbers = await room.jobs.desk.numbers(SPACE, None)

        assert room.jobs.desk.paused(SPACE, None) == (True, ["kitchen"])
        assert (numbers["pending"], numbers["delayed"], numbers["completed_last_hour"]) == (1, 2, 3)
        await room.jobs.desk.resume(SPACE, None)
        await trio.sleep(200)
        assert {(await room.job(id)).status for id in waiting} == {"completed"}
        await trio.sleep(3700)
        assert (await room.jobs.desk.numbers(SPACE, None))["completed_last_hour"] == 0


async def test_a_worker_that_never_ends_loses_its_job_and_cannot_write_any_more(autojump_clock: MockClock):
    async def deaf(run: JobRun) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        return "too late"

    room = Room(Habits(backoff=QUICK, sweep=1.0))
    async with running(room):
        room.offer("Deaf", deaf, timeout=10.0)
        id = await room.order("Deaf")

        await trio.sleep(30)
        taken = await room.job(id)
        await trio.sleep(60)
        still = room.events(id)
        room.offer("Deaf", at_once)
        await trio.sleep(20)

        assert (taken.status, taken.attempts[0].kind) == ("pending", "stale_worker")
        assert still == ["JobQueued", "JobStarted", "JobQueued"]  # not while the other one has not let go
        assert room.events(id) == ["JobQueued", "JobStarted", "JobQueued", "JobStarted", "JobCompleted"]
        assert bytes((await room.job(id)).result) == b'{"attempt":2}'


async def test_a_job_is_taken_from_a_lost_worker_when_that_can_be_written(autojump_clock: MockClock):
    async def deaf(run: JobRun) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    async with running(Room(Habits(backoff=QUICK, sweep=1.0))) as room:
        room.offer("Deaf", deaf, timeout=10.0, waits=())
        id = await room.order("Deaf")
        await trio.sleep(15)
        room.trouble = Unavailable("the disk is full")
        await trio.sleep(15)
        during = await room.job(id)
        room.trouble = None
        await trio.sleep(5)

        assert during.status == "running"
        assert (await room.job(id)).code == "worker_lease_expired"
        assert room.events(id) == ["JobQueued", "JobStarted", "JobFailed"]


async def test_while_nothing_can_be_written_few_jobs_are_tried_and_later_all(autojump_clock: MockClock):
    room = Room(Habits(concurrency=3))
    async with running(room):
        room.offer("AtOnce", at_once, concurrency=100)
        await room.jobs.desk.pause(SPACE, None)
        ids = [await room.order("AtOnce") for _ in range(50)]
        await room.jobs.desk.resume(SPACE, None)
        room.trouble, before = Unavailable("the disk is full"), room.asked
        await trio.sleep(20)
        during = room.asked - before
        room.trouble = None
        await trio.sleep(10)

        assert 3 < during <= 3 * 21
        assert {(await room.job(id)).status for id in ids} == {"completed"}


async def test_progress_is_a_sign_of_life(autojump_clock: MockClock):
    async def long(run: JobRun) -> None:
        with trio.CancelScope(shield=True):
            for n in range(100):
                await run.progress(n)
                await trio.sleep(1)

    async with running(Room(Habits(backoff=QUICK, sweep=1.0))) as room:
        room.offer("Long", long, timeout=10.0, waits=())
        id = await room.order("Long")
        await trio.sleep(200)

        assert room.events(id)[:2] == ["JobQueued", "JobStarted"]
        assert "JobQueued" not in room.events(id)[2:]


async def test_jobs_that_ended_long_ago_are_forgotten_with_their_keys(autojump_clock: MockClock):
    async with running(Room(Habits(keep=HOUR, keep_count=5))) as room:
        room.offer("AtOnce", at_once, concurrency=10)
        old = await room.order("AtOnce", key="k")
        waiting = await room.order("AtOnce", delay=10 * HOUR)
        await trio.sleep(HOUR + 120)
        kept = [await room.order("AtOnce") for _ in range(8)]
        await trio.sleep(120)

        left = await room.jobs.store.page(Search(SPACE), limit=100)
        again = await room.order("AtOnce", key="k")

        assert [job.id for job in left] == [*reversed(kept[3:]), waiting]
        assert again != old


async def test_a_plan_that_is_committed_late_is_a_job_all_the_same(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("AtOnce", at_once)
        planned = await room.jobs.plan(JobOrder(SPACE, "AtOnce"))
        await trio.sleep(120)

        await room.write(SPACE, planned.drafts, planned.changes)
        await trio.sleep(5)

        assert (await room.job(planned.id)).status == "completed"


async def test_a_plan_that_is_never_committed_is_nothing(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("AtOnce", at_once)
        await room.jobs.plan(JobOrder(SPACE, "AtOnce"))
        await trio.sleep(120)

        assert room.jobs.desk.counts(SPACE, None).total == 0
        assert room.told == []


async def test_a_namespace_that_goes_takes_its_jobs_along(autojump_clock: MockClock):
    async with running(Room()) as room:
        slow = Slow()
        room.offer("Slow", slow)
        for _ in range(2):
            await room.order("Slow")
        await trio.sleep(1)

        room.engine.delete_namespace(SPACE)
        await trio.sleep(60)

        assert room.jobs.desk.counts(SPACE, None).total == 0
        assert len(slow.began) == 1
