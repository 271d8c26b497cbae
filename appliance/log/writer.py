"""Group commit: whatever waits is written and synced together, and only then shown and acknowledged.

    submit ─→ queue ─→ commit (writer thread) ─→ seal the mark ─→ publish and wake (loop)
                          └─ the next batch is being written while the mark of this one is synced

A batch forms by itself: it is what arrived while the previous one was being synced. Nobody waits to fill it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import trio

from appliance.errors import ApplianceError, Broken, LimitReached, Unavailable
from appliance.log.ticket import Ticket
from appliance.model.event import Event, Unit
from appliance.storage.ports import Committed, Engine
from appliance.world import World

__all__ = ["Writer", "Written"]

BATCH_ROWS = 1024  # most events and changes of one transaction, unless one unit alone has more
BATCH_CHARACTERS = 16 * 1024 * 1024
QUEUE_UNITS = 20_000  # waiting; the next one is refused
QUEUE_CHARACTERS = 256 * 1024 * 1024

Events = tuple[Event, ...]
Step = Callable[[Engine], Committed]
Work = Callable[[Engine], Any]


class _Job:
    """Something for the writer: a unit for the common batch, a commit of its own, or other work between commits."""

    __slots__ = ("begun", "rows", "size", "step", "ticket", "unit", "work")

    def __init__(
        self, ticket: Ticket[Any], *, unit: Unit | None = None, step: Step | None = None, work: Work | None = None
    ) -> None:
        self.begun = 0.0  # when it was put into the queue
        self.ticket = ticket
        self.unit = unit
        self.step = step
        self.work = work
        self.rows = 0 if unit is None else len(unit.drafts)
        self.size = 0
        if unit is not None:
            for draft in unit.drafts:
                self.size += len(draft.data) if draft.metadata is None else len(draft.data) + len(draft.metadata)
            if unit.changes:
                self.rows += len(unit.changes)
                self.size += sum([change.size for change in unit.changes])


_Done = tuple[list[_Job], Committed]


@dataclass(slots=True)
class Written:
    """What was committed since the start."""

    commits: int = 0
    events: int = 0


class Writer:
    """Owns the writing half of the engine. `publish` gets fresh events on the loop, in order, before anyone is told.

    `took` is told, once for each commit, how many seconds the first of its units waited for the answer.
    """

    def __init__(
        self,
        engine: Engine,
        world: World,
        publish: Callable[[Events], None],
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._engine = engine
        self._world = world
        self._publish = publish
        self._took = took
        self._queue: deque[_Job] = deque()
        self._characters = 0  # waiting
        self._ids: Iterator[str] = iter(world.new_id, "")
        self._committed: deque[_Done] = deque()  # waiting for the second thread to seal them
        self._handed = 0  # commits given to the second thread; counted by the first
        self._sealed = 0  # those it has reported; counted by the second
        self.commits = world.background("log-writer", self._step)
        self.seals = world.background("log-mark", self._seal_waiting)
        self.written = Written()
        self.unacknowledged = 0  # submitted, not yet answered
        self.trouble: Unavailable | None = None  # why the newest commit failed, if it did
        self._accepting = True
        self._finished = trio.Event()  # not accepting, and everything answered

    def submit(self, unit: Unit) -> Ticket[Events]:
        ticket: Ticket[Events] = Ticket()
        job = _Job(ticket, unit=unit)
        if not self._accepting:
            ticket.fail(Unavailable("the appliance is stopping", hint="try again in a few seconds"))
        elif len(self._queue) >= QUEUE_UNITS or self._characters > QUEUE_CHARACTERS:
            ticket.fail(LimitReached("too many writes are waiting", retry_after=1))
        else:
            self._put(job)
        return ticket

    def step(self, step: Step) -> Ticket[Events]:
        """A commit of its own, sealed and published like any other (imports)."""
        ticket: Ticket[Events] = Ticket()
        self._put(_Job(ticket, step=step))
        return ticket

    def control(self, work: Work) -> Ticket[Any]:
        """Other work on the engine, between two commits, in its turn."""
        ticket: Ticket[Any] = Ticket()
        self._put(_Job(ticket, work=work))
        return ticket

    async def finish(self) -> None:
        """Accept no more units; return when everything begun is answered."""
        self._accepting = False
        if self.unacknowledged:
            await self._finished.wait()

    def _put(self, job: _Job) -> None:
        job.begun = self._world.now()
        self.unacknowledged += 1
        self._characters += job.size
        self._queue.append(job)
        self.commits.wake()

    # Everything below down to `_report` runs aside, in the writer's or the mark's thread.

    def _step(self) -> bool:
        jobs = self._take()
        if not jobs:
            return False
        try:
            self._hand_over(jobs, self._commit(jobs))
        except ApplianceError as error:
            self.commits.call_soon(lambda error=error: self._refuse(jobs, error))  # type: ignore[misc]
            if isinstance(error, Broken):
                raise
        return True

    def _take(self) -> list[_Job]:
        """The next batch: units until it is full or something else is in turn."""
        jobs: list[_Job] = []
        rows = size = 0
        while self._queue:
            job = self._queue[0]
            alone = job.unit is None
            if jobs and (alone or rows + job.rows > BATCH_ROWS or size + job.size > BATCH_CHARACTERS):
                break
            jobs.append(self._queue.popleft())
            rows, size = rows + job.rows, size + job.size
            if alone:
                break
        return jobs

    def _commit(self, jobs: list[_Job]) -> Committed:
        first = jobs[0]
        if first.step is not None:
            return first.step(self._engine)
        if first.work is not None:
            return Committed((first.work(self._engine),), ())
        units = [job.unit for job in jobs if job.unit is not None]
        return self._engine.commit(units, now_us=self._world.wall_us(), new_ids=self._ids)

    def _hand_over(self, jobs: list[_Job], committed: Committed) -> None:
        """Seal here when nothing waits (a thread hop saved for a lone writer), else beside the next commit."""
        if self._handed == self._sealed and not self._queue:
            if committed.mark is not None:
                self._engine.seal(committed.mark)
            self.commits.call_soon(lambda: self._report([(jobs, committed)]))
        else:
            self._handed += 1
            self._committed.append((jobs, committed))
            self.seals.wake()

    def _seal_waiting(self) -> bool:
        done: list[_Done] = []
        while self._committed:
            done.append(self._committed.popleft())
        if not done:
            return False
        marks = [committed.mark for _, committed in done if committed.mark is not None]
        if marks:
            self._engine.seal(marks[-1])  # the newest stands for those before it
        self.seals.call_soon(lambda: self._report(done))
        self._sealed += len(done)  # only now: reports stay in the order of the commits
        return True

    # On the loop.

    def _report(self, done: list[_Done]) -> None:
        for jobs, committed in done:
            if committed.mark is not None or committed.fresh:
                self.written.commits += 1
            if committed.fresh:
                self.written.events += len(committed.fresh)
                self._publish(committed.fresh)
                self._took(self._world.now() - jobs[0].begun)
            if self.trouble is not None and jobs[0].work is None:
                self.trouble = None
            for job, result in zip(jobs, committed.outcomes, strict=True):
                self._settle(job)
                if isinstance(result, ApplianceError):
                    job.ticket.fail(result)
                else:
                    job.ticket.resolve(result)

    def _refuse(self, jobs: list[_Job], error: ApplianceError) -> None:
        if isinstance(error, Unavailable):
            self.trouble = error
        for job in jobs:
            self._settle(job)
            job.ticket.fail(error)

    def _settle(self, job: _Job) -> None:
        self.unacknowledged -= 1
        self._characters -= job.size
        if not self._accepting and not self.unacknowledged:
            self._finished.set()
