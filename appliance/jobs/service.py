"""The queue and its workers. Whatever happens to a job is on disk before anybody is told.

A job is in the queue when the unit that queues it is committed, whoever wrote it: the published JobQueued is what the
queue hears of, so there is one way in for requests, plugins and transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import msgspec
import structlog
import trio
from msgspec.structs import replace

from appliance.clock import MICROSECONDS
from appliance.errors import ApplianceError
from appliance.jobs.desk import Desk
from appliance.jobs.kinds import Kinds
from appliance.jobs.orders import Orders
from appliance.jobs.queue import Counts, Queue
from appliance.jobs.retry import LEASE_EXPIRED, Backoff, Failure
from appliance.jobs.run import Run, Verdict
from appliance.jobs.status import status_events
from appliance.jobs.store import Reading, Store
from appliance.jobs.tally import LastHour, Tally
from appliance.jobs.telling import forget, labels, progress_fields
from appliance.jobs.transitions import Transitions, Write
from appliance.jobs.worker import Worker
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.jobs import JobOrder, JobType, Planned
from appliance.model.letters import Shelf
from appliance.model.state import StateChange
from appliance.model.topic import Topic
from appliance.world import World

__all__ = ["Habits", "Jobs"]

log = structlog.get_logger("jobs")

SAVE = 1.0  # seconds between two looks at the progress of all
SIGN = 4.0  # seconds after which clients hear again of a job that runs, though its handler says nothing new
CLEAN = 60.0  # seconds between two looks at what need not be kept
LOOK = 1000  # ended jobs looked at in one go, of a namespace


@dataclass(frozen=True, slots=True)
class Habits:
    """How the queue is kept. Times in seconds."""

    concurrency: int = 4  # jobs at once, of all types
    waiting: int = 100_000  # most jobs that wait or run
    sweep: float = 30.0  # between two looks for workers that are lost
    grace: float = 2.0  # that a cancelled job may take to end by itself
    keep: float | None = 7 * 24 * 3600.0  # that ended jobs are kept; None: for ever
    keep_count: int = 10_000  # of them, in a namespace
    backoff: Backoff = field(default_factory=Backoff)


class _Log(Reading, Protocol):
    async def find(self, namespace: int, id: str) -> Event | None: ...

    def head_position(self, namespace: int) -> int: ...


class Jobs:
    """A supervised service, and `model.jobs.Jobs`.

    Args:
        write: begins to write into a namespace.
        announce: tells something in passing.
        topics: what live readers follow.
        shelf: where letters of jobs are tried again.
        report: seconds between two reports of the queue.
    """

    name: ClassVar[str] = "jobs"

    def __init__(
        self,
        log: _Log,
        catalog: Catalog,
        world: World,
        write: Write,
        shelf: Shelf,
        habits: Habits,
        *,
        announce: Callable[[Event], None],
        topics: Callable[[], Iterable[Topic]],
        report: float,
    ) -> None:
        self._log, self._world, self._write, self._habits = log, world, write, habits
        self._announce, self._topics, self._report = announce, topics, report
        self._kinds = Kinds()
        self._queue = Queue(habits.concurrency)
        self._hour = LastHour()
        self._more = trio.Event()
        self._idle = trio.Event()
        self._draining = False
        self._nursery: trio.Nursery | None = None
        self.counts = Tally()
        self.store = Store(log)
        self.orders = Orders(self._queue, self._kinds, self.store, world, log.find, habits.waiting)
        self._transitions = Transitions(write, self.store)
        self._worker = Worker(
            self._queue,
            self._transitions,
            catalog,
            world,
            habits.backoff,
            self.counts,
            self._hour,
            told=self._tell,
            free=self._wake,
            lost=self.orders.look_at,
        )
        self.desk = Desk(
            self._queue,
            self.orders,
            self.store,
            self._transitions,
            self._worker,
            self._hour,
            world,
            write,
            stop=self._stop,
            free=self._wake,
        )
        shelf.serve("job", self.desk.retry_letter)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self._draining = False
        await self._load()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._save_progress)
                nursery.start_soon(self._sweep)
                nursery.start_soon(self._report_status)
                nursery.start_soon(self._clean)
                task_status.started()
                await self._dispatch(nursery)
        finally:
            self._nursery = None

    async def drain(self) -> None:
        """Begin no more; those that run have until the grace is over. Then they are given back, and begin anew."""
        self._draining = True
        while self._worker.runs:
            self._idle = trio.Event()
            await self._idle.wait()

    def waits_for(self) -> str:
        return f"{len(self._worker.runs)} running, {len(self._queue) - len(self._worker.runs)} waiting"

    # -- `model.jobs.Jobs` ------------------------------------------------------------------

    @property
    def kinds(self) -> Kinds:
        """Who does which work."""
        return self._kinds

    def register(self, type: JobType) -> None:
        self._kinds.register(type)
        self._queue.offer(type.name, type.concurrency)
        self._wake()

    def forget(self, owner: str) -> None:
        gone = {type.name for type in self._kinds.forget(owner)}
        for name in gone:
            self._queue.withdraw(name)
        for run in self._worker.runs.values():
            if run.type in gone and not run.verdict:
                run.verdict = "given_back"
                run.scope.cancel()

    async def plan(self, order: JobOrder) -> Planned:
        return await self.orders.plan(order)

    def ring(self, events: Sequence[Event]) -> None:
        """These were published. Waits for nobody."""
        for entry in self.orders.arrived(events):
            self.counts.queued += 1
            self._queue.add(entry, self._world.now())
            self._wake()

    def status(self, namespace: int, memories: tuple[str, ...] | None) -> Mapping[str, int]:
        """The members of QueueStatus, for somebody who sees these memories."""
        found = self.desk.counts(namespace, memories)
        return {"total_jobs": found.total, "running": found.running, "pending": found.pending}

    def passing(self, namespace: int) -> list[Event]:
        """How far those are that run, for somebody who has just come back."""
        runs = [run for run in self._worker.runs.values() if run.namespace == namespace and run.working]
        return [self._progress(run) for run in runs if run.percent or run.message]

    def depth(self) -> Counts:
        """Live jobs of all namespaces."""
        spaces = {entry.namespace for entry in self._queue}
        found = [self.desk.counts(space, None) for space in spaces]
        return Counts(
            sum(one.pending for one in found),
            sum(one.delayed for one in found),
            sum(one.running for one in found),
            sum(one.incompatible for one in found),
        )

    # -- at the start -----------------------------------------------------------------------

    async def _load(self) -> None:
        """Everything that waits, and what ran when the process before this one ended."""
        self._queue.clear()
        self._hour.clear()
        for scope in await self.store.paused():
            self._queue.pause(scope)
        for namespace, job in await self.store.recent(self._world.wall_us()):
            self._hour.add(namespace, job.memory, job.status, job.completed)
        for namespace, job in await self.store.live():
            if self._queue.find(job.id) is not None:
                continue
            entry = self.orders.entry(namespace, job)
            if job.status == "running":
                await self._worker.reclaim(entry, Failure("stale_worker", LEASE_EXPIRED))
            if entry.job.status == "pending":
                self._queue.add(entry, self._world.now())

    # -- tasks ------------------------------------------------------------------------------

    async def _dispatch(self, nursery: trio.Nursery) -> None:
        """Begin whatever may run, whenever there is something."""
        while True:
            self._more = trio.Event()
            while not self._draining and (entry := self._queue.claim(self._world.now())) is not None:
                type = self._kinds.find(entry.job.type)
                assert type is not None  # only what is offered can be claimed
                nursery.start_soon(self._worker.attempt, entry, type, name=f"job/{entry.id}")
            with trio.move_on_after(max(0.0, self._queue.next_due() - self._world.now())):
                await self._more.wait()

    async def _save_progress(self) -> None:
        """Once a second what is new, whatever the number of signs; and jobs that came without a plan."""
        while True:
            await trio.sleep(SAVE)
            for run in self._worker.runs.values():
                if run.working and self._world.now() - run.told >= SIGN:
                    self._tell(run)
                if run.working and run.unsaved:
                    run.unsaved = False
                    lease = self._world.wall_us() + int((run.lease - self._world.now()) * MICROSECONDS)
                    job = replace(run.entry.job, percent=run.percent, message=run.message, lease=lease)
                    self._transitions.note(run.entry, job)
            self.orders.forget_old()
            for entry in await self.orders.strays():
                self._queue.add(entry, self._world.now())
                self._wake()

    async def _sweep(self) -> None:
        """Take jobs from workers that do not end although their time is long over."""
        while True:
            await trio.sleep(self._habits.sweep)
            for run in list(self._worker.runs.values()):
                if run.working and run.lease < self._world.now() and run.verdict != "lost":
                    await self._take_away(run)

    async def _take_away(self, run: Run) -> None:
        before, run.verdict = run.verdict, "lost"
        try:
            await self._worker.reclaim(run.entry, Failure("stale_worker", LEASE_EXPIRED))
        except ApplianceError as trouble:
            run.verdict = before
            log.warning("job cannot be reclaimed yet", job=run.id, reason=trouble.code)

    async def _report_status(self) -> None:
        before: set[int] = set()
        while True:
            await trio.sleep(self._report)
            now = {entry.namespace for entry in self._queue}
            busy, before = now | before, now  # a queue that has run empty is told of once more
            for event in status_events(self._topics(), busy, self.status, self._log.head_position, self._world):
                self._announce(event)

    async def _clean(self) -> None:
        """Forget ended jobs, the oldest first."""
        while True:
            await trio.sleep(CLEAN)
            try:
                while await self._clean_some():
                    pass
            except ApplianceError as trouble:
                log.warning("old jobs cannot be removed yet", reason=trouble.code)

    async def _clean_some(self) -> bool:
        keep = self._habits.keep
        before = 0 if keep is None else self._world.wall_us() - int(keep * MICROSECONDS)
        found = await self.store.surplus(before_us=before, most=self._habits.keep_count, limit=LOOK)
        changes: dict[int, list[StateChange]] = {}
        for namespace, job in found:
            changes.setdefault(namespace, []).extend(forget(namespace, job))
        for namespace, gone in changes.items():
            await self._write(namespace, (), gone)
        return bool(found)

    # -- inside -----------------------------------------------------------------------------

    def _wake(self) -> None:
        self._more.set()
        if not self._worker.runs:
            self._idle.set()

    def _stop(self, run: Run, verdict: Verdict) -> None:
        """Ask a run to end; after the grace it is made to."""
        if run.verdict or self._nursery is None:
            return
        run.verdict = verdict
        self._nursery.start_soon(self._force, run)

    async def _force(self, run: Run) -> None:
        await trio.sleep(self._habits.grace)
        run.scope.cancel()

    def _tell(self, run: Run) -> None:
        """How far it is, to those who listen now."""
        run.told = self._world.now()
        self._announce(self._progress(run))

    def _progress(self, run: Run) -> Event:
        job = replace(run.entry.job, percent=run.percent, message=run.message)
        return Event(
            run.namespace,
            f"job-{run.id}",
            "JobProgress",
            -1,
            self._log.head_position(run.namespace),
            self._world.new_id(),
            msgspec.json.encode(progress_fields(job)).decode(),
            labels(job.memory, job.correlation, job.event),
            self._world.wall_us(),
        )
