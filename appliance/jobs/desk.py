"""What people do with jobs: look at them, cancel, try again, pause and resume. Pure.

Who may see what is said by the memories of a caller: "" among them stands for jobs without a memory, None for all.
A job of another memory is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from appliance.errors import Conflict, NotFound
from appliance.jobs import job as steps
from appliance.jobs.job import Job
from appliance.jobs.orders import Orders
from appliance.jobs.queue import EVERYWHERE, Counts, Entry, Place, Queue
from appliance.jobs.run import Run, Verdict
from appliance.jobs.store import Search, Store, scope_change
from appliance.jobs.tally import LastHour
from appliance.jobs.telling import queued_draft, scope_draft, take_off_shelf
from appliance.jobs.transitions import Made, Transitions, Write
from appliance.jobs.worker import Worker
from appliance.model.letters import Letter
from appliance.world import World

__all__ = ["Desk"]

Seen = tuple[str, ...] | None
Stop = Callable[[Run, Verdict], None]


class Desk:
    """The hands of people.

    Args:
        stop: ask a run to end, and make it.
        free: called when there may be something to run.
    """

    def __init__(
        self,
        queue: Queue,
        orders: Orders,
        store: Store,
        transitions: Transitions,
        worker: Worker,
        hour: LastHour,
        world: World,
        write: Write,
        *,
        stop: Stop,
        free: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._orders = orders
        self._store = store
        self._transitions = transitions
        self._worker = worker
        self._hour = hour
        self._world = world
        self._write = write
        self._stop = stop
        self._free = free

    # -- looking ----------------------------------------------------------------------------

    async def find(self, namespace: int, id: str, seen: Seen) -> Job:
        """Raises NotFound."""
        entry = self._queue.find(id)
        if entry is not None and entry.namespace == namespace:
            job: Job | None = self._lively(entry.job)
        else:
            job = await self._store.job(namespace, id)
        if job is None or (seen is not None and job.memory not in seen):
            raise NotFound(f"there is no job {id[:100]}", hint="appliance job list shows them", job=id[:100])
        return job

    async def page(self, search: Search, *, limit: int, offset: int, after: str) -> list[Job]:
        """Newest first, with the progress of this moment."""
        return [self._lively(job) for job in await self._store.page(search, limit=limit, offset=offset, after=after)]

    async def count(self, search: Search) -> int:
        return await self._store.count(search)

    def counts(self, namespace: int, seen: Seen) -> Counts:
        """Of live jobs."""
        return self._queue.counts(namespace, seen, self._world.now())

    async def numbers(self, namespace: int, seen: Seen) -> dict[str, int]:
        """Of live jobs, of those that ended, and of those that nobody can do."""
        live, now = self.counts(namespace, seen), self._world.wall_us()
        return {
            "pending": live.pending,
            "delayed": live.delayed,
            "processing": live.running,
            "completed_last_hour": self._hour.count(namespace, seen, "completed", now),
            "failed_last_hour": self._hour.count(namespace, seen, "failed", now),
            "dead": await self._store.count(Search(namespace, seen, (("status", "failed"),))),
            "incompatible": live.incompatible,
        }

    def paused(self, namespace: int, seen: Seen) -> tuple[bool, list[str]]:
        """Whether the whole namespace is paused, and the memories that are."""
        scopes = self._queue.paused(namespace)
        names = [name for name in scopes if name is not None and (seen is None or name in seen)]
        return EVERYWHERE in scopes, sorted(names)

    # -- doing ------------------------------------------------------------------------------

    async def cancel(self, namespace: int, id: str, seen: Seen) -> Job:
        """End a job. One that runs is asked to, and made to if it does not; it is still running in the answer.

        Raises:
            NotFound: there is none.
            Conflict: it has ended already, or is being changed.
        """
        job = await self.find(namespace, id, seen)
        run, entry = self._worker.runs.get(id), self._queue.find(id)
        if run is not None:
            self._stop(run, "cancelled")
            return run.entry.job
        if entry is None or not self._queue.hold(entry):
            raise _not_now(job, entry)
        await self._held(entry, self._worker.cancelled())
        self._queue.remove(entry)
        self._hour.add(namespace, job.memory, "cancelled", entry.job.completed)
        return entry.job

    async def retry(self, namespace: int, id: str, seen: Seen) -> Job:
        """Try a job again that failed or was cancelled; one that waits for its time is due now.

        Raises:
            NotFound: there is none.
            Conflict: it runs, or is done, or is being changed.
        """
        job, entry = await self.find(namespace, id, seen), self._queue.find(id)
        if entry is None and job.status in ("failed", "cancelled"):
            return await self._revive(namespace, job)
        if entry is None or not self._queue.hold(entry):
            raise _not_now(job, entry)
        await self._held(entry, lambda job: Made(replace(job, due=self._world.wall_us())))
        entry.due = self._world.now()
        self._queue.again(entry, entry.due)
        self._free()
        return entry.job

    async def retry_letter(self, namespace: int, letter: Letter) -> bool:
        """`model.letters.Retry`; False: the job is not kept any more, or somebody was faster."""
        try:
            await self.retry(namespace, letter.job, None)
        except (NotFound, Conflict):
            return False
        return True

    async def pause(self, namespace: int, memory: str | None) -> None:
        """Begin no more jobs of the memory (None: of the namespace); those that run go on."""
        await self._switch(namespace, memory, paused=True)
        self._queue.pause((namespace, memory))

    async def resume(self, namespace: int, memory: str | None) -> None:
        await self._switch(namespace, memory, paused=False)
        self._queue.resume((namespace, memory))
        self._free()

    # -- inside -----------------------------------------------------------------------------

    def _lively(self, job: Job) -> Job:
        """With the progress of this moment."""
        run = self._worker.runs.get(job.id)
        if run is None or job.status != "running":
            return job
        return replace(job, percent=run.percent, message=run.message)

    async def _held(self, entry: Entry, step: Callable[[Job], Made]) -> None:
        """Make a step of a job that is in our hands; it waits again if that fails."""
        try:
            await self._transitions.make(entry, step)
        except BaseException:
            self._queue.again(entry, self._world.now())
            self._free()
            raise

    async def _revive(self, namespace: int, job: Job) -> Job:
        def step(job: Job) -> Made:
            new = steps.revived(job, event=self._world.new_id(), now_us=self._world.wall_us())
            self._orders.expect(Entry(namespace, new, self._world.now()))
            return Made(new, (queued_draft(new, job.event),), tuple(take_off_shelf(namespace, job)))

        return await self._transitions.make(Entry(namespace, job), step)

    async def _switch(self, namespace: int, memory: str | None, *, paused: bool) -> None:
        name = "JobsPaused" if paused else "JobsResumed"
        draft = scope_draft(name, memory, self._world.new_id())
        await self._write(namespace, [draft], [scope_change(namespace, memory, paused=paused)])


def _not_now(job: Job, entry: Entry | None) -> Conflict:
    if entry is not None and entry.place is Place.HELD:
        return Conflict("the job is being changed", hint="look at it again", job=job.id)
    return Conflict(f"the job is {job.status}", hint="look at it again", job=job.id, status=job.status)
