"""All jobs that wait or run, in the order in which they will be taken. Pure: the caller brings the time.

Each type has a heap of those that are due: highest priority first, then the oldest. A job whose scope is paused is put
aside when it would be taken, and comes back with its scope; one that is not due yet stands in a heap by time. So taking
the next job costs a look at each type, whatever the number of jobs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import TypeVar

from appliance.jobs.job import Job

__all__ = ["EVERYWHERE", "Counts", "Entry", "Place", "Queue", "Scope"]

K = TypeVar("K")

EVERYWHERE = None  # as a memory: the whole namespace
Scope = tuple[int, str | None]  # namespace, memory


class Place(Enum):
    READY = "ready"
    DELAYED = "delayed"
    RUNNING = "running"
    HELD = "held"  # somebody is about to change it: out of everybody's hands
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Entry:
    """A live job."""

    namespace: int
    job: Job  # as it is on disk
    due: float = 0.0  # monotonic seconds
    place: Place = Place.GONE

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def likeness(self) -> tuple[int, str, str, str]:
        """What two jobs have in common of which one is enough."""
        return (self.namespace, self.job.memory, self.job.type, self.job.note)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs there are of each kind."""

    pending: int = 0  # due
    delayed: int = 0
    running: int = 0
    incompatible: int = 0  # of pending and delayed: nobody can do them now

    @property
    def total(self) -> int:
        return self.pending + self.delayed + self.running


@dataclass(slots=True)
class _Lane:
    """The jobs of one type."""

    concurrency: int = 0  # 0: nobody does them
    running: int = 0
    ready: list[tuple[int, int, str, Entry]] = field(default_factory=list)


class Queue:
    """The index.

    Args:
        concurrency: most jobs that run at once.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.running = 0
        self._entries: dict[str, Entry] = {}
        self._lanes: dict[str, _Lane] = {}
        self._delayed: list[tuple[float, str, Entry]] = []
        self._parked: dict[Scope, list[Entry]] = {}
        self._paused: set[Scope] = set()
        self._tally: Counter[tuple[int, str, Place]] = Counter()
        self._waiting: Counter[tuple[int, str, str]] = Counter()  # of namespace, memory, type
        self._alike: Counter[tuple[int, str, str, str]] = Counter()
        self.held = 0  # bytes of arguments

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, id: str) -> Entry | None:
        return self._entries.get(id)

    def clear(self) -> None:
        """Forget all jobs and pauses; who does what stays."""
        fresh = Queue(self.concurrency)
        for type, lane in self._lanes.items():
            fresh.offer(type, lane.concurrency)
        self.__dict__.update(fresh.__dict__)

    # -- who does what ----------------------------------------------------------------------

    def offer(self, type: str, concurrency: int) -> None:
        """Jobs of this type can be done, so many at once."""
        self._lane(type).concurrency = concurrency

    def withdraw(self, type: str) -> None:
        self._lane(type).concurrency = 0

    def pause(self, scope: Scope) -> None:
        self._paused.add(scope)

    def resume(self, scope: Scope) -> None:
        self._paused.discard(scope)
        for entry in self._parked.pop(scope, []):
            if entry.place is Place.READY:
                self._ready(entry)

    def paused(self, namespace: int) -> set[str | None]:
        """Memories whose jobs wait, and `EVERYWHERE` if all do."""
        return {memory for space, memory in self._paused if space == namespace}

    # -- jobs -------------------------------------------------------------------------------

    def add(self, entry: Entry, now: float) -> None:
        """A job that waits from now on."""
        self._entries[entry.id] = entry
        self.held += len(bytes(entry.job.arguments))
        self._alike[entry.likeness] += 1
        self._wait(entry, now)

    def claim(self, now: float) -> Entry | None:
        """The next job to run, counted as running from now on; None: there is none that may."""
        self._ripen(now)
        if self.running >= self.concurrency:
            return None
        lanes = [lane for lane in self._lanes.values() if lane.running < lane.concurrency and self._settled(lane)]
        if not lanes:
            return None
        lane = min(lanes, key=lambda one: one.ready[0][:3])
        entry = heappop(lane.ready)[3]
        self._move(entry, Place.RUNNING)
        lane.running += 1
        self.running += 1
        return entry

    def release(self, entry: Entry) -> None:
        """Its worker is free for another one. The job itself is somewhere else then: `again`, or `remove`."""
        self._lane(entry.job.type).running -= 1
        self.running -= 1

    def again(self, entry: Entry, now: float) -> None:
        """It waits once more, until `entry.due`."""
        self._wait(entry, now)

    def hold(self, entry: Entry) -> bool:
        """Take a job that waits out of everybody's hands; False: it does not wait."""
        if entry.place not in (Place.READY, Place.DELAYED):
            return False
        self._move(entry, Place.HELD)
        return True

    def remove(self, entry: Entry) -> None:
        """It is not live any more."""
        if self._entries.get(entry.id) is entry:
            del self._entries[entry.id]
            self.held -= len(bytes(entry.job.arguments))
            self._alike[entry.likeness] -= 1
            if not self._alike[entry.likeness]:
                del self._alike[entry.likeness]
        self._move(entry, Place.GONE)

    def next_due(self) -> float:
        """When a job that waits for its time is due; inf: none does."""
        while self._delayed and not _still(*self._delayed[0]):
            heappop(self._delayed)
        return self._delayed[0][0] if self._delayed else math.inf

    # -- counting ---------------------------------------------------------------------------

    def alike(self, namespace: int, memory: str, type: str, note: str) -> bool:
        """Whether such a job waits or runs already; without a note: any of the type that has none either."""
        return (namespace, memory, type, note) in self._alike

    def counts(self, namespace: int, memories: Iterable[str] | None, now: float) -> Counts:
        """Of these memories ("": jobs without one); None: of all."""
        self._ripen(now)
        wanted = None if memories is None else frozenset(memories)

        def count(place: Place) -> int:
            return _sum(self._tally, namespace, wanted, place)

        offered = {type for type, lane in self._lanes.items() if lane.concurrency}
        idle = sum(
            number
            for (space, memory, type), number in self._waiting.items()
            if space == namespace and type not in offered and (wanted is None or memory in wanted)
        )
        held = count(Place.HELD)
        return Counts(count(Place.READY) + held, count(Place.DELAYED), count(Place.RUNNING), idle)

    # -- inside -----------------------------------------------------------------------------

    def _lane(self, type: str) -> _Lane:
        lane = self._lanes.get(type)
        if lane is None:
            lane = self._lanes[type] = _Lane()
        return lane

    def _wait(self, entry: Entry, now: float) -> None:
        if entry.due > now:
            self._move(entry, Place.DELAYED)
            heappush(self._delayed, (entry.due, entry.id, entry))
        else:
            self._move(entry, Place.READY)
            self._ready(entry)

    def _ready(self, entry: Entry) -> None:
        job = entry.job
        heappush(self._lane(job.type).ready, (-job.priority, job.created, job.id, entry))

    def _ripen(self, now: float) -> None:
        while self.next_due() <= now:
            entry = heappop(self._delayed)[2]
            self._move(entry, Place.READY)
            self._ready(entry)

    def _settled(self, lane: _Lane) -> bool:
        """Whether the top of a lane may be taken; what may not is put aside."""
        while lane.ready:
            entry = lane.ready[0][3]
            scope = self._scope(entry)
            if entry.place is Place.READY and scope is None:
                return True
            heappop(lane.ready)
            if entry.place is Place.READY and scope is not None:
                self._parked.setdefault(scope, []).append(entry)
        return False

    def _scope(self, entry: Entry) -> Scope | None:
        """The paused scope it is in."""
        for scope in ((entry.namespace, EVERYWHERE), (entry.namespace, entry.job.memory)):
            if scope in self._paused:
                return scope
        return None

    def _move(self, entry: Entry, place: Place) -> None:
        job, space = entry.job, entry.namespace
        for moved, by in ((entry.place, -1), (place, 1)):
            if moved is Place.GONE:
                continue
            _count(self._tally, (space, job.memory, moved), by)
            if moved is not Place.RUNNING:
                _count(self._waiting, (space, job.memory, job.type), by)
        entry.place = place


def _still(due: float, _: str, entry: Entry) -> bool:
    """Whether a place in the heap by time is still true."""
    return entry.place is Place.DELAYED and entry.due == due


def _count(counter: Counter[K], key: K, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]


def _sum(
    tally: Mapping[tuple[int, str, Place], int], namespace: int, memories: frozenset[str] | None, place: Place
) -> int:
    if memories is not None:
        return sum(tally.get((namespace, memory, place), 0) for memory in memories)
    return sum(number for (space, _, where), number in tally.items() if space == namespace and where is place)
