"""Attempts: their order and number, what failures lead to, time-outs, and what people do about jobs."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from appliance.errors import Conflict, LimitReached, NotFound, PeerFailed, Rejected
from appliance.jobs.orders import AlreadyPending
from appliance.jobs.run import JobStopped
from appliance.jobs.service import Habits
from appliance.model.event import Draft, Unit
from appliance.model.jobs import JobOrder, JobRun
from appliance.model.letters import Letter
from tests.rooms.jobs.jobs_room import PLAIN, SPACE, Room, at_once, running


class Work:
    """Handlers that remember when they ran."""

    def __init__(self, *errors: Exception | None, takes: float = 0.0) -> None:
        self.errors = list(errors)
        self.takes = takes
        self.began: list[tuple[str, float]] = []
        self.now = self.most = 0

    async def __call__(self, run: JobRun) -> str:
        self.began.append((run.id, trio.current_time()))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(self.takes)
            error = self.errors.pop(0) if self.errors else None
            if error is not None:
                raise error
            return "done"
        finally:
            self.now -= 1

    @property
    def order(self) -> list[str]:
        return [id for id, _ in self.began]

    @property
    def gaps(self) -> list[float]:
        times = [at for _, at in self.began]
        return [round(after - before, 1) for before, after in pairwise(times)]


async def test_the_most_urgent_job_is_first_and_then_the_oldest(autojump_clock: MockClock):
    async with running(Room(Habits(concurrency=1))) as room:
        work = Work(takes=1)
        room.offer("Work", work)
        blocker = await room.order("Work")
        await trio.sleep(0.5)

        ids = [await room.order("Work", priority=priority) for priority in (1, 5, 5, 9)]
        await trio.sleep(10)

        assert work.order == [blocker, ids[3], ids[1], ids[2], ids[0]]


async def test_types_and_all_together_have_their_limits(autojump_clock: MockClock):
    room = Room(Habits(concurrency=5, backoff=PLAIN))
    async with running(room):
        one, many = Work(takes=1), Work(takes=1)
        room.offer("One", one)
        room.offer("Many", many, concurrency=10)

        for _ in range(10):
            await room.order("One")
            await room.order("Many")
        await trio.sleep(60)

        assert one.most == 1
        assert many.most in (4, 5)
        assert (len(one.began), len(many.began)) == (10, 10)


async def test_a_job_waits_until_it_is_due(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work()
        room.offer("Work", work)
        began = trio.current_time()

        await room.order("Work", delay=90.0)
        await trio.sleep(1)
        during = room.jobs.desk.counts(SPACE, None)
        await trio.sleep(100)

        assert (during.pending, during.delayed) == (0, 1)
        assert round(work.began[0][1] - began) == 90


@pytest.mark.parametrize(
    ("error", "gaps"),
    [
        (PeerFailed("the model is away"), [5.0, 10.0, 20.0]),
        (trio.TooSlowError(), [15.0, 30.0, 60.0]),
        (LimitReached("slower, please", retry_after=7), [30.0, 60.0, 120.0]),
        (LimitReached("slower, please", retry_after=100), [100.0, 100.0, 120.0]),
        (KeyError("oops"), [5.0, 10.0, 20.0]),
        (Rejected("no such thing"), []),
    ],
)
async def test_failures_are_tried_again_in_their_time(error: Exception, gaps: list[float], autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work(*[error] * 10)
        room.offer("Work", work)

        id = await room.order("Work")
        await trio.sleep(1000)

        assert work.gaps == gaps
        assert room.events(id) == ["JobQueued", *["JobStarted"] * (len(gaps) + 1), "JobFailed"]
        assert (await room.job(id)).retries == len(gaps)


async def test_a_retry_can_be_seen(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work(PeerFailed("away")))

        id = await room.order("Work")
        await trio.sleep(1)
        waiting = await room.job(id)
        await trio.sleep(10)

        (told,) = room.data("JobProgress")
        assert (waiting.status, waiting.retries, waiting.attempts[0].outcome) == ("pending", 1, "retried")
        assert waiting.attempts[0].retry_at == waiting.due
        assert told["message"] == "attempt 2 of 4 in 5 s"
        assert (await room.job(id)).status == "completed"


async def test_an_attempt_has_its_time_and_no_more(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work(takes=100), timeout=10.0, waits=())

        id = await room.order("Work")
        await trio.sleep(11)

        assert room.data("JobFailed")[0]["error"] == "job_timeout"
        assert (await room.job(id)).attempts[0].kind == "timeout"
        assert (await room.job(id)).attempts[0].duration_ms == 10_000


async def test_what_failed_for_good_is_on_the_shelf_and_leaves_it_when_it_is_tried_again(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work(ValueError("token=hunter2 in /home/ann"), None), waits=())
        id = await room.order("Work", cause="c-1")
        await trio.sleep(1)
        (letter,) = room.letters()

        retried = await room.jobs.desk.retry(SPACE, id, None)
        await trio.sleep(1)

        assert (letter["kind"], letter["source"], letter["job"], letter["event"]) == ("job", "Work", id, "c-1")
        assert "hunter2" not in str(letter)
        assert "ann" not in letter["detail"]
        assert "test_attempts.py" in letter["detail"]
        assert retried.status == "pending"
        assert room.letters() == []
        assert room.events(id) == ["JobQueued", "JobStarted", "JobFailed", "JobQueued", "JobStarted", "JobCompleted"]


async def test_the_shelf_tries_jobs_again_and_says_if_they_are_gone(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work(ValueError("no"), None), waits=())
        id = await room.order("Work")
        await trio.sleep(1)
        retry = room.shelf.retries["job"]
        letter = Letter("l", "job", "Work", "", "Work", 0, "x", 0, job=id)

        tried = [await retry(SPACE, letter), await retry(SPACE, letter)]
        gone = await retry(SPACE, Letter("l", "job", "Work", "", "Work", 0, "x", 0, job="nobody"))

        assert (tried, gone) == ([True, False], False)


async def test_a_job_that_waits_is_cancelled_at_once(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work()
        room.offer("Work", work)
        id = await room.order("Work", delay=60.0)

        job = await room.jobs.desk.cancel(SPACE, id, None)
        await trio.sleep(100)

        assert (job.status, work.began) == ("cancelled", [])
        assert room.data("JobFailed") == [{"job_id": id, "job_type": "Work", "error": "cancelled"}]
        assert room.jobs.desk.counts(SPACE, None).total == 0
        with pytest.raises(Conflict):
            await room.jobs.desk.cancel(SPACE, id, None)


async def test_a_job_that_runs_is_asked_to_end(autojump_clock: MockClock):
    ended = []

    async def polite(run: JobRun) -> None:
        try:
            while True:
                await run.progress(1)
                await trio.sleep(0.1)
        except JobStopped:
            ended.append(trio.current_time())
            raise

    async with running(Room()) as room:
        room.offer("Polite", polite)
        id = await room.order("Polite")
        await trio.sleep(1)

        job = await room.jobs.desk.cancel(SPACE, id, None)
        at = trio.current_time()
        await trio.sleep(1)

        assert job.status == "running"
        assert ended[0] - at <= 0.1
        assert (await room.job(id)).status == "cancelled"
        assert room.events(id)[-1] == "JobFailed"


async def test_a_job_that_does_not_listen_is_made_to_end(autojump_clock: MockClock):
    async with running(Room(Habits(grace=3.0))) as room:
        room.offer("Work", Work(takes=1000))
        id = await room.order("Work")
        await trio.sleep(1)

        await room.jobs.desk.cancel(SPACE, id, None)
        await trio.sleep(2.9)
        before = (await room.job(id)).status
        await trio.sleep(0.2)

        assert (before, (await room.job(id)).status) == ("running", "cancelled")


async def test_a_cancelled_job_that_fails_meanwhile_is_not_tried_again(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work(PeerFailed("away"), takes=1.0))
        id = await room.order("Work")
        await trio.sleep(0.5)

        await room.jobs.desk.cancel(SPACE, id, None)
        await trio.sleep(60)

        assert (await room.job(id)).status == "cancelled"


async def test_a_job_that_waits_for_its_time_can_be_tried_now(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work())
        id = await room.order("Work", delay=3600.0)

        await room.jobs.desk.retry(SPACE, id, None)
        await trio.sleep(1)

        assert (await room.job(id)).status == "completed"
        with pytest.raises(Conflict):
            await room.jobs.desk.retry(SPACE, id, None)


async def test_a_job_that_two_people_try_again_is_tried_once(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work(ValueError("no"))
        room.offer("Work", work, waits=())
        id = await room.order("Work")
        await trio.sleep(1)

        async def retry() -> None:
            with contextlib.suppress(Conflict):
                await room.jobs.desk.retry(SPACE, id, None)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(retry)
        await trio.sleep(5)

        assert len(work.began) == 2
        assert room.events(id) == ["JobQueued", "JobStarted", "JobFailed", "JobQueued", "JobStarted", "JobCompleted"]


async def test_the_same_key_is_the_same_job(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work()
        room.offer("Work", work)
        room.offer("Other", work)

        ids = [await room.order("Work", key="k"), await room.order("work", key="k")]
        await trio.sleep(1)
        ids += [await room.order("Work", key="k"), await room.order("Other", key="k"), await room.order("Work")]
        await trio.sleep(1)

        assert ids[0] == ids[1] == ids[2]
        assert len(set(ids)) == 3
        assert len(work.began) == 3


async def test_two_with_one_key_at_once_are_one_job(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work())
        order = JobOrder(SPACE, "Work", key="k")
        one, other = await room.jobs.plan(order), await room.jobs.plan(order)

        await room.write(SPACE, one.drafts, one.changes)
        with pytest.raises(Conflict):
            await room.write(SPACE, other.drafts, other.changes)

        assert (await room.jobs.plan(order)).id == one.id


async def test_who_wants_no_second_one_gets_none(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work(takes=10)
        room.offer("Work", work)
        await room.order("Work", only=True, note_id="n-1")

        await trio.sleep(1)
        for memory, note in (("", "n-1"),):
            with pytest.raises(AlreadyPending):
                await room.order("Work", only=True, note_id=note, memory=memory)
        await room.order("Work", only=True, note_id="n-2")
        await room.order("Work", only=True, note_id="n-1", memory="kitchen")
        await room.order("Work", only=True)
        planned = await room.jobs.plan(JobOrder(SPACE, "Work", note_id="n-3"))
        with pytest.raises(AlreadyPending):  # about to be written
            await room.order("Work", only=True, note_id="n-3")
        room.jobs.orders.drop(planned.id)
        await trio.sleep(60)
        await room.order("Work", only=True, note_id="n-1")
        await trio.sleep(60)

        assert len(work.began) == 5


async def test_what_cannot_be_done_is_refused(autojump_clock: MockClock):
    async def check(order: JobOrder) -> None:
        raise NotFound("there is no such note")

    async with running(Room(Habits(waiting=2))) as room:
        room.offer("Checked", at_once, check=check)
        room.offer("Work", Work(takes=1000))

        with pytest.raises(NotFound):
            await room.order("Checked")
        with pytest.raises(Rejected, match="no job type"):
            await room.order("Nobody")
        with pytest.raises(Rejected, match="JSON"):
            await room.order("Work", arguments={"a": object()})
        with pytest.raises(Rejected, match="done by tests"):
            room.offer("Work", at_once, owner="others")
        for _ in range(2):
            await room.order("Work")
        with pytest.raises(LimitReached):
            await room.order("Work")
        assert room.told == [] or {event.type for event in room.told} <= {"JobQueued", "JobStarted"}


async def test_paused_jobs_wait_and_those_that_run_go_on(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work(takes=5)
        room.offer("Work", work, concurrency=10)
        await room.order("Work", memory="kitchen")
        await trio.sleep(1)

        await room.jobs.desk.pause(SPACE, "kitchen")
        waiting = await room.order("Work", memory="kitchen")
        other = await room.order("Work", memory="attic")
        await trio.sleep(10)
        paused = room.jobs.desk.paused(SPACE, None), room.jobs.desk.counts(SPACE, None)
        await room.jobs.desk.resume(SPACE, "kitchen")
        await trio.sleep(10)

        assert paused[0] == (False, ["kitchen"])
        assert (paused[1].pending, paused[1].running) == (1, 0)
        assert work.order.index(other) < work.order.index(waiting)
        assert room.data("JobsPaused") == room.data("JobsResumed") == [{"scope": "archive"}]
        assert len(work.began) == 3


async def test_everything_is_paused_and_resumed(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work()
        room.offer("Work", work, concurrency=10)

        await room.jobs.desk.pause(SPACE, None)
        for memory in ("", "kitchen"):
            await room.order("Work", memory=memory)
        await trio.sleep(10)
        during = list(work.began)
        await room.jobs.desk.resume(SPACE, None)
        await trio.sleep(1)

        assert (during, len(work.began)) == ([], 2)
        assert room.data("JobsPaused") == [{"scope": "global"}]


async def test_jobs_of_a_plugin_that_goes_wait_until_it_is_back(autojump_clock: MockClock):
    async with running(Room()) as room:
        work = Work(takes=10)
        room.offer("Work", work, concurrency=1)
        ids = [await room.order("Work") for _ in range(2)]
        await trio.sleep(1)

        room.jobs.forget("tests")
        await trio.sleep(1)
        during = room.jobs.desk.counts(SPACE, None), [(await room.job(id)).status for id in ids]
        room.offer("Work", work, concurrency=1)
        await trio.sleep(30)

        assert during[0].incompatible == 2
        assert during[1] == ["pending", "pending"]
        assert room.events(ids[0]) == ["JobQueued", "JobStarted", "JobQueued", "JobStarted", "JobCompleted"]
        assert (await room.job(ids[0])).retries == 0


async def test_somebody_else_may_write_into_the_stream_of_a_job(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work(takes=5))
        id = await room.order("Work")
        await trio.sleep(1)

        room.engine.commit(
            [Unit(SPACE, (Draft(f"job-{id}", "Remark", "{}"),))], now_us=1, new_ids=iter([room.world.new_id()])
        )
        await trio.sleep(10)

        assert room.events(id) == ["JobQueued", "JobStarted", "Remark", "JobCompleted"]


async def test_a_word_in_the_log_makes_no_job(autojump_clock: MockClock):
    async with running(Room()) as room:
        room.offer("Work", Work())

        data = '{"job_id":"forged","job_type":"Work"}'
        await room.write(SPACE, [Draft("job-forged", "JobQueued", data)], [])
        await trio.sleep(10)

        assert room.events("forged") == ["JobQueued"]
        assert room.jobs.desk.counts(SPACE, None).total == 0


async def test_a_result_that_is_none_fails_the_job(autojump_clock: MockClock):
    async def garbage(run: JobRun) -> object:
        return object()

    async def flood(run: JobRun) -> object:
        return "x" * 300_000

    async with running(Room()) as room:
        room.offer("Garbage", garbage, waits=())
        room.offer("Flood", flood)
        ids = [await room.order("Garbage"), await room.order("Flood")]
        await trio.sleep(1)

        assert [(await room.job(id)).status for id in ids] == ["failed", "failed"]
