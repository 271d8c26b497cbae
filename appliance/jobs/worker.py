"""Does the work: one task for each attempt, from its beginning on disk to its end there.

    claimed ─→ JobStarted ─→ handler ─→ JobCompleted | JobFailed | waits for the next attempt

The worker's place is free as soon as its handler has ended: the end of one job and the beginning of the next are
written together. Whatever a handler raises ends here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
import trio

from appliance.clock import MICROSECONDS
from appliance.errors import LimitReached, NotFound, Rejected, Unavailable
from appliance.jobs import job as steps
from appliance.jobs.job import CANCELLED, Ending, Job
from appliance.jobs.queue import Entry, Place, Queue
from appliance.jobs.retry import JOB_TIMEOUT, Backoff, Failure, failure_of, last_code
from appliance.jobs.run import LEASES, Run
from appliance.jobs.scrub import traced
from appliance.jobs.tally import LastHour, Tally
from appliance.jobs.telling import (
    INDEXES,
    completed_draft,
    failed_draft,
    index_draft,
    letter_of,
    queued_draft,
    started_draft,
)
from appliance.jobs.transitions import Made, Step, TakenAway, Transitions
from appliance.model.catalog import Catalog
from appliance.model.jobs import JobType
from appliance.supervise.tree import first_cause
from appliance.world import World

__all__ = ["Worker"]

log = structlog.get_logger("jobs")

LONGEST_RESULT = 256 * 1024  # bytes of JSON that are kept
PAUSE = 1.0  # seconds until something is written again that could not be
FAREWELL = 2.0  # seconds to give a job back when we have to stop


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any
    text: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Failed:
    failure: Failure
    detail: str  # for the shelf


class _Stopped:
    """Somebody wanted it to end; the run's verdict says why."""


_End = _Done | _Failed | _Stopped


class Worker:
    """What all attempts share.

    Args:
        told: called when an attempt has something to tell in passing.
        free: called when there is a place for another attempt.
        lost: called with namespace and id of a job that is not what we took it for.
    """

    def __init__(
        self,
        queue: Queue,
        transitions: Transitions,
        catalog: Catalog,
        world: World,
        backoff: Backoff,
        tally: Tally,
        hour: LastHour,
        *,
        told: Callable[[Run], None],
        free: Callable[[], None],
        lost: Callable[[int, str], None],
    ) -> None:
        self.runs: dict[str, Run] = {}
        self._queue = queue
        self._transitions = transitions
        self._catalog = catalog
        self._world = world
        self._backoff = backoff
        self._tally = tally
        self._hour = hour
        self._told = told
        self._free = free
        self._lost = lost

    async def attempt(self, entry: Entry, type: JobType) -> None:
        """A job that was claimed: try it."""
        run = self.runs[entry.id] = Run(entry, type.timeout, self._told)
        begun = self._world.now()
        busy = True
        try:
            if not await self._begin(entry, type):
                return
            begun = self._world.now()
            end = await self._work(run, type)
            self._queue.release(entry)
            busy = False
            self._free()
            await self._insist(entry, run, end, self._world.now() - begun)
        finally:
            if entry.place is Place.RUNNING:
                await self._farewell(entry, run, self._world.now() - begun)
            del self.runs[entry.id]
            if busy:
                self._queue.release(entry)
            self._free()

    async def reclaim(self, entry: Entry, failure: Failure) -> None:
        """Take a job from a worker that is lost. Who has it still cannot write any more.

        Raises what `Transitions.make` raises.
        """
        delay = self._backoff.delay(entry.id, entry.job.waits, entry.job.retries, failure)
        if delay is None:
            await self._fail(entry, failure, "its worker was lost, as in the attempts before", 0)
        else:
            await self._transitions.make(entry, self._reclaimed(failure, delay))
            entry.due = self._world.now() + delay
            self._tally.ended(entry.job.type, "retried")
        log.warning("job reclaimed from a lost worker", job=entry.id, type=entry.job.type, attempt=entry.job.number)

    # -- the beginning ----------------------------------------------------------------------

    async def _begin(self, entry: Entry, type: JobType) -> bool:
        """Whether it is on disk that the job runs."""
        try:
            await self._transitions.make(entry, self._started(type.timeout))
        except (Unavailable, LimitReached) as trouble:
            log.warning("no job can be begun now", job=entry.id, reason=trouble.code)
            await trio.sleep(PAUSE)  # in its place: or one job after the other would be tried in vain
            self._wait(entry, 0.0)
        except (NotFound, TakenAway) as gone:
            self._let_go(entry, gone.code)
        else:
            return True
        return False

    def _started(self, timeout: float) -> Step:
        def step(job: Job) -> Made:
            now = self._world.wall_us()
            lease = now + int(LEASES * timeout * MICROSECONDS)
            new = steps.begun(job, event=self._world.new_id(), now_us=now, lease_us=lease)
            return Made(new, (started_draft(job, new),))

        return step

    # -- the work ---------------------------------------------------------------------------

    async def _work(self, run: Run, type: JobType) -> _End:
        """What came of the handler."""
        if run.verdict:  # while the beginning was being written
            return _Stopped()
        run.working = True
        try:
            with run.scope, trio.move_on_after(type.timeout) as clock:
                return _done(await type.run(run))
        except Exception as error:  # noqa: BLE001 - the border of foreign code
            return _Stopped() if run.verdict else _failed(first_cause(error))
        finally:
            run.working = False
        if run.verdict:
            return _Stopped()
        assert clock.cancelled_caught
        return _Failed(Failure("timeout", JOB_TIMEOUT), f"the attempt took longer than {type.timeout:g} s")

    # -- the end ----------------------------------------------------------------------------

    async def _insist(self, entry: Entry, run: Run, end: _End, took: float) -> None:
        """Write what came of it, until it is written."""
        while True:
            try:
                await self._close(entry, run, end, took)
            except (Unavailable, LimitReached) as trouble:
                log.warning("end of a job cannot be written yet", job=entry.id, reason=trouble.code)
                await trio.sleep(PAUSE)
            except (NotFound, TakenAway) as gone:
                self._let_go(entry, gone.code)
                return
            else:
                return

    async def _close(self, entry: Entry, run: Run, end: _End, took: float) -> None:
        took_ms = round(took * 1000)
        if run.verdict == "lost":  # `reclaim` has written all there is to write
            if entry.place is Place.RUNNING:
                self._queue.again(entry, self._world.now())
            return
        entry.job = _with_progress(entry.job, run)
        match end:
            case _Done():
                await self._transitions.make(entry, self._completed(end, took_ms))
                self._settle(entry, "completed", took)
            case _ if run.verdict == "cancelled":
                await self._transitions.make(entry, self.cancelled(took_ms))
                self._settle(entry, "cancelled", took)
            case _Failed():
                await self._missed(entry, run, end, took)
            case _Stopped():
                await self._give_back(entry, took_ms)

    def _completed(self, end: _Done, took_ms: int) -> Step:
        def step(job: Job) -> Made:
            now, new_id = self._world.wall_us(), self._world.new_id
            new = steps.completed(job, end.text, event=new_id(), now_us=now, duration_ms=took_ms)
            drafts = [completed_draft(job, new, end.result)]
            index = INDEXES.get(job.type, "")
            if index and job.note and self._catalog.find(index) is not None:
                drafts.append(index_draft(new, index, new_id()))
            return Made(new, tuple(drafts))

        return step

    def cancelled(self, took_ms: int = 0) -> Step:
        """The step of a job that a person does not want any more."""

        def step(job: Job) -> Made:
            new = steps.cancelled(job, event=self._world.new_id(), now_us=self._world.wall_us(), duration_ms=took_ms)
            return Made(new, (failed_draft(job, new, CANCELLED),))

        return step

    async def _missed(self, entry: Entry, run: Run, end: _Failed, took: float) -> None:
        """An attempt failed: there will be another one, or none would help."""
        job, failure = entry.job, end.failure
        delay = self._backoff.delay(job.id, job.waits, job.retries, failure)
        log.warning(
            "job attempt failed",
            job=job.id,
            type=job.type,
            code=failure.code,
            kind=failure.kind,
            next=delay and round(delay, 1),
        )
        if delay is None:
            await self._fail(entry, failure, end.detail, round(took * 1000), took)
            return
        await self._transitions.make(entry, self._postponed(failure, delay, round(took * 1000)))
        self._tally.ended(job.type, "retried", took)
        self._wait(entry, delay)
        run.message = f"attempt {run.attempt + 1} of {job.max_retries + 1} in {delay:.0f} s"
        self._told(run)

    def _postponed(self, failure: Failure, delay: float, took_ms: int) -> Step:
        def step(job: Job) -> Made:
            now = self._world.wall_us()
            retry = now + int(delay * MICROSECONDS)
            return Made(steps.postponed(job, failure, now_us=now, retry_us=retry, duration_ms=took_ms))

        return step

    async def _fail(self, entry: Entry, failure: Failure, detail: str, took_ms: int, took: float | None = None) -> None:
        """For good: on the shelf, for a person."""

        def step(job: Job) -> Made:
            now, new_id = self._world.wall_us(), self._world.new_id
            told = Failure(failure.kind, last_code(failure, job.retries))
            new = steps.failed(job, told, event=new_id(), now_us=now, duration_ms=took_ms, letter=new_id())
            return Made(new, (failed_draft(job, new, told.code),), (letter_of(entry.namespace, new, detail, now),))

        await self._transitions.make(entry, step)
        self._settle(entry, "failed", took)

    def _reclaimed(self, failure: Failure, delay: float) -> Step:
        def step(job: Job) -> Made:
            now = self._world.wall_us()
            retry = now + int(delay * MICROSECONDS)
            new = steps.reclaimed(job, failure, event=self._world.new_id(), now_us=now, retry_us=retry)
            return Made(new, (queued_draft(new, job.event),))

        return step

    async def _give_back(self, entry: Entry, took_ms: int) -> None:
        """Nobody failed: it waits as before."""

        def step(job: Job) -> Made:
            new = steps.given_back(job, event=self._world.new_id(), now_us=self._world.wall_us(), duration_ms=took_ms)
            return Made(new, (queued_draft(new, job.event),))

        await self._transitions.make(entry, step)
        self._tally.ended(entry.job.type, "given_back")
        self._wait(entry, 0.0)

    async def _farewell(self, entry: Entry, run: Run, took: float) -> None:
        """We are being stopped in the middle of it. What cannot be written now, the next start finds."""
        with trio.CancelScope(shield=True), trio.move_on_after(FAREWELL):
            try:
                if run.verdict != "lost":
                    await self._give_back(entry, round(took * 1000))
            except (Unavailable, LimitReached, NotFound, TakenAway) as trouble:
                log.info("job could not be given back", job=entry.id, reason=trouble.code)

    def _let_go(self, entry: Entry, reason: str) -> None:
        log.info("job is not ours any more", job=entry.id, reason=reason)
        self._queue.remove(entry)
        self._lost(entry.namespace, entry.id)

    def _wait(self, entry: Entry, delay: float) -> None:
        now = self._world.now()
        entry.due = now + delay
        self._queue.again(entry, now)

    def _settle(self, entry: Entry, outcome: Ending, took: float | None) -> None:
        self._queue.remove(entry)
        self._tally.ended(entry.job.type, outcome, took)
        self._hour.add(entry.namespace, entry.job.memory, outcome, entry.job.completed)


def _done(result: Any) -> _End:
    """Raises TypeError, Rejected: this is no result."""
    text = msgspec.json.encode(result)
    if len(text) > LONGEST_RESULT:
        raise Rejected(
            f"a job's result has up to {LONGEST_RESULT} bytes of JSON, this one {len(text)}",
            hint="keep it in the plugin's state, and return its key",
        )
    return _Done(msgspec.json.decode(text), msgspec.Raw(text))


def _failed(error: Exception) -> _Failed:
    if isinstance(error, trio.TooSlowError):
        return _Failed(Failure("timeout", "timed_out"), traced(error))
    return _Failed(failure_of(error), traced(error))


def _with_progress(job: Job, run: Run) -> Job:
    return msgspec.structs.replace(job, percent=run.percent, message=run.message)
