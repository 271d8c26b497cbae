"""From an order to a job that waits: what is planned becomes true when somebody commits it. Pure.

A plan may never be committed (its transaction was refused), and a JobQueued may name a job that was never planned here
(anybody may write that word into the log). So the first are forgotten after a while, and of the second the row is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

import msgspec

from appliance.clock import MICROSECONDS
from appliance.errors import Conflict, LimitReached, TooLarge
from appliance.jobs.job import Job
from appliance.jobs.kinds import BadJob, Kinds
from appliance.jobs.queue import Entry, Queue
from appliance.jobs.store import Store
from appliance.jobs.telling import KEYS, keep, key_of, queued_draft
from appliance.model.event import Event
from appliance.model.jobs import JobOrder, JobType, Planned
from appliance.model.state import StateChange
from appliance.world import World

__all__ = ["AlreadyPending", "Find", "Orders"]

QUEUED = "JobQueued"
PREFIX = "job-"
REMEMBERED = 60.0  # seconds that a plan may take to be committed; later its row is read
MEANT = 5.0  # seconds that a plan counts as a job, for those who want no second one
MOST_STRAYS = 10_000
LONGEST_ARGUMENTS = 256 * 1024  # bytes of JSON
LONGEST_KEY = 255
MOST_BYTES = 256 * 1024 * 1024  # of the arguments of all jobs that wait

Find = Callable[[int, str], Awaitable[Event | None]]  # a namespace's stored event by its id


class AlreadyPending(Conflict):
    """Such a job waits or runs already."""

    code = "job_already_pending"


class _Labels(msgspec.Struct):
    correlation: str = msgspec.field(name="correlationId", default="")


class Orders:
    """Plans, and what became of them.

    Args:
        find: a cause.
        limit: most jobs that may wait or run.
    """

    def __init__(self, queue: Queue, kinds: Kinds, store: Store, world: World, find: Find, limit: int) -> None:
        self._queue = queue
        self._kinds = kinds
        self._store = store
        self._world = world
        self._find = find
        self._limit = limit
        self._planned: dict[str, tuple[Entry, float]] = {}  # with the time of planning, oldest first
        self._strays: set[tuple[int, str]] = set()

    async def plan(self, order: JobOrder, *, only: bool = False) -> Planned:
        """See `model.jobs.Jobs`.

        Args:
            only: not if there is such a job already, of the same type, memory and note.

        Raises:
            BadJob: nobody does this, or it cannot be asked for so.
            AlreadyPending: with `only`.
            LimitReached: too many wait.
        """
        type = self._kinds.named(order.type)
        arguments = _arguments(order)
        if type.check is not None:
            await type.check(order)
        if order.key and (known := await self._known(order, type)):
            return Planned(known)
        correlation = await self._correlation(order)
        self._admit(order, type, only=only)
        return self._made(order, type, arguments, correlation)

    def arrived(self, events: Iterable[Event]) -> Iterator[Entry]:
        """Planned jobs that these events commit."""
        for event in events:
            if event.type != QUEUED or not event.stream.startswith(PREFIX):
                continue
            id = event.stream.removeprefix(PREFIX)
            entry, _ = self._planned.get(id, (None, 0.0))
            if entry is not None and entry.job.event == event.id and entry.namespace == event.namespace:
                del self._planned[id]
                yield entry
            elif self._queue.find(id) is None:
                self.look_at(event.namespace, id)

    def look_at(self, namespace: int, id: str) -> None:
        """What is known of this job is not true, or nothing is: see what its row says."""
        if len(self._strays) < MOST_STRAYS:
            self._strays.add((namespace, id))

    def expect(self, entry: Entry) -> None:
        """Somebody is about to commit that this job waits."""
        self._planned[entry.id] = (entry, self._world.now())

    def drop(self, id: str) -> None:
        """It was not committed."""
        self._planned.pop(id, None)

    def forget_old(self) -> None:
        now = self._world.now()
        for id, (_, at) in list(self._planned.items()):
            if now - at < REMEMBERED:
                return
            del self._planned[id]

    async def strays(self) -> list[Entry]:
        """Jobs to look at that turn out to wait."""
        strays, self._strays = self._strays, set()
        found = [(space, await self._store.job(space, id)) for space, id in strays]
        return [
            self.entry(space, job)
            for space, job in found
            if job is not None and job.status == "pending" and self._queue.find(job.id) is None
        ]

    def entry(self, namespace: int, job: Job) -> Entry:
        """A place in the queue for a job as it is on disk."""
        delay = (job.due - self._world.wall_us()) / MICROSECONDS
        return Entry(namespace, job, self._world.now() + max(0.0, delay))

    # -- inside -----------------------------------------------------------------------------

    async def _known(self, order: JobOrder, type: JobType) -> str:
        if len(order.key) > LONGEST_KEY or not order.key.isprintable():
            raise BadJob(f"a job's key has up to {LONGEST_KEY} printable characters")
        return await self._store.keyed(order.namespace, type.name, order.key)

    async def _correlation(self, order: JobOrder) -> str:
        """What the cause belongs to; itself if to nothing else."""
        if not order.cause:
            return ""
        cause = await self._find(order.namespace, order.cause)
        if cause is None or cause.metadata is None:
            return order.cause
        try:
            return msgspec.json.decode(cause.metadata, type=_Labels).correlation or order.cause
        except msgspec.MsgspecError:
            return order.cause

    def _admit(self, order: JobOrder, type: JobType, *, only: bool) -> None:
        """No await after this until the plan is made."""
        likeness = (order.namespace, order.memory, type.name, order.note_id)
        if only and (self._queue.alike(*likeness) or self._meant(likeness)):
            raise AlreadyPending("such a job waits or runs already")
        if len(self._queue) + len(self._planned) >= self._limit or self._queue.held > MOST_BYTES:
            raise LimitReached("too many jobs wait", retry_after=5, hint="raise jobs.waiting, or queue fewer")

    def _meant(self, likeness: tuple[int, str, str, str]) -> bool:
        now = self._world.now()
        return any(entry.likeness == likeness and now - at < MEANT for entry, at in self._planned.values())

    def _made(self, order: JobOrder, type: JobType, arguments: bytes, correlation: str) -> Planned:
        now, new_id = self._world.wall_us(), self._world.new_id
        event = new_id()
        job = Job(
            id=new_id(),
            type=type.name,
            created=now,
            priority=type.priority if order.priority is None else order.priority,
            arguments=msgspec.Raw(arguments),
            memory=order.memory,
            note=order.note_id,
            key=order.key,
            due=now + int(order.delay * MICROSECONDS),
            waits=tuple(type.waits),
            cause=order.cause,
            correlation=correlation or event,
            event=event,
        )
        self.expect(Entry(order.namespace, job, self._world.now() + order.delay))
        changes = [keep(order.namespace, job, expected=0)]
        if order.key:
            text = msgspec.json.encode(job.id).decode()
            changes.append(StateChange(order.namespace, KEYS, key_of(job.type, job.key), text, expected=0))
        return Planned(job.id, tuple(changes), (queued_draft(job, order.cause),))


def _arguments(order: JobOrder) -> bytes:
    try:
        text = msgspec.json.encode(order.arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadJob(f"JSON cannot hold these arguments: {error}") from error
    if len(text) > LONGEST_ARGUMENTS:
        raise TooLarge(
            f"a job's arguments have up to {LONGEST_ARGUMENTS} bytes of JSON, these {len(text)}",
            hint="keep them in the plugin's state, and give the key",
        )
    return text
