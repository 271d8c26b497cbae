"""The jobs room over an engine in memory: no threads, no sockets, everything happens on the virtual clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import trio

from appliance.clock import MICROSECONDS
from appliance.errors import ApplianceError
from appliance.jobs.job import Job
from appliance.jobs.retry import Backoff
from appliance.jobs.service import Habits, Jobs
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Query, Unit
from appliance.model.jobs import JobOrder, JobRun, JobType
from appliance.model.letters import SHELF, Letter, Retry
from appliance.model.state import StateChange
from appliance.model.topic import Topic
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Reader, TokenRow
from appliance.world import RealWorld

T = TypeVar("T")

EPOCH = 1_767_225_600 * MICROSECONDS
SPACE = 1
PLAIN = Backoff(jitter=0.0)


class World(RealWorld):
    """The time of day follows the virtual clock."""

    def wall_us(self) -> int:
        return EPOCH + int(trio.current_time() * MICROSECONDS)


@dataclass
class _Done:
    outcome: Sequence[Event] | ApplianceError

    def __await__(self) -> Generator[Any, None, Sequence[Event]]:
        yield from trio.sleep(0.001).__await__()  # noqa: ASYNC105 - it is
        if isinstance(self.outcome, ApplianceError):
            raise self.outcome
        return self.outcome


class Shelf:
    """Remembers who tries letters again."""

    def __init__(self) -> None:
        self.retries: dict[str, Retry] = {}

    def serve(self, kind: str, retry: Retry) -> None:
        self.retries[kind] = retry

    async def put(self, namespace: int, letter: Letter) -> None: ...

    async def forget(self, namespace: int, kind: str, source: str) -> None: ...


@dataclass
class Room:
    """One log in memory, and what was told of jobs. `start` is a process on it."""

    habits: Habits = field(default_factory=lambda: Habits(backoff=PLAIN))
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    told: list[Event] = field(default_factory=list)  # stored events and those in passing, as they come
    followed: list[Topic] = field(default_factory=list)  # by live readers
    trouble: ApplianceError | None = None  # of every write from now on
    asked: int = 0  # writes
    units: int = 0  # that were written
    report: float = 5.0

    def __post_init__(self) -> None:
        self.engine.create_namespace("default", "", TokenRow("t", b"t", 0, ("admin",)), 1)
        self.world = World()
        self.catalog = Catalog()
        self.shelf = Shelf()
        self.jobs = self._new()

    def _new(self) -> Jobs:
        return Jobs(
            self,
            self.catalog,
            self.world,
            self.write,
            self.shelf,
            self.habits,
            announce=self.told.append,
            topics=lambda: self.followed,
            report=self.report,
        )

    # The log

    async def find(self, namespace: int, id: str) -> Event | None:
        await trio.lowlevel.checkpoint()
        return self.engine.find(namespace, id)

    def head_position(self, namespace: int) -> int:
        return self.engine.newest(namespace)

    async def reading(self, work: Callable[[Reader], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work(cast(Reader, self.engine))

    def write(self, namespace: int, drafts: Sequence[Draft], changes: Sequence[StateChange]) -> _Done:
        self.asked += 1
        if self.trouble is not None:
            return _Done(self.trouble)
        self.units += 1
        unit = Unit(namespace, tuple(drafts), changes=tuple(changes))
        ids = iter([self.world.new_id() for _ in drafts])
        (outcome,) = self.engine.commit([unit], now_us=self.world.wall_us(), new_ids=ids).outcomes
        if not isinstance(outcome, ApplianceError):
            self.told += outcome
            self.jobs.ring(outcome)
        return _Done(outcome)

    # What tests do

    async def order(self, type: str, /, *, only: bool = False, **order: Any) -> str:
        """Queue a job; its id."""
        planned = await self.jobs.orders.plan(JobOrder(SPACE, type, **order), only=only)
        if planned.changes:
            await self.write(SPACE, planned.drafts, planned.changes)
        return planned.id

    async def job(self, id: str) -> Job:
        """As it is on disk."""
        found = await self.jobs.store.job(SPACE, id)
        assert found is not None
        return found

    def offer(self, name: str, run: Callable[[JobRun], Awaitable[Any]], **options: Any) -> None:
        self.jobs.register(JobType(name, options.pop("owner", "tests"), run, **options))

    def events(self, id: str) -> list[str]:
        """The words of a job's stream."""
        return [event.type for event in self.engine.events(Query(SPACE, f"job-{id}"))]

    def types(self) -> list[str]:
        return [event.type for event in self.told]

    def data(self, type: str) -> list[dict[str, Any]]:
        return [json.loads(event.data) for event in self.told if event.type == type]

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(row.value) for row in self.engine.states(SPACE, SHELF)]


@asynccontextmanager
async def running(room: Room) -> AsyncIterator[Room]:
    """The service until the block ends; it is stopped without a word, as a crash would."""
    async with trio.open_nursery() as nursery:
        await nursery.start(room.jobs.run)
        yield room
        nursery.cancel_scope.cancel()


def restarted(room: Room) -> Room:
    """A new process on the same disk."""
    fresh = Room(room.habits, report=room.report)
    fresh.engine = room.engine
    fresh.catalog = room.catalog
    return fresh


async def at_once(run: JobRun) -> dict[str, Any]:
    """Work that takes no time."""
    return {"attempt": run.attempt}
