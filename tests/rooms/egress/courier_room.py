"""A courier over an engine in memory, and receivers that are functions. Everything happens on the virtual clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
import trio

from appliance.clock import MICROSECONDS
from appliance.egress.webhooks.courier import Courier, Office
from appliance.egress.webhooks.endpoint import Cursor, Delivery, Endpoint, Place, Secret
from appliance.egress.webhooks.sender import Result, Sender
from appliance.egress.webhooks.store import Store
from appliance.egress.webhooks.verdicts import SCHEDULE, Outcome, Verdict, of_status
from appliance.egress.webhooks.wanted import Wanted
from appliance.errors import Unavailable
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Query, Unit
from appliance.model.letters import SHELF
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Engine, Reader, TokenRow
from appliance.world import RealWorld

T = TypeVar("T")

EPOCH = 1_767_225_600 * MICROSECONDS
DOWN = Result(Verdict(Outcome.RETRY, "connection"))


class World(RealWorld):
    """The time of day follows the virtual clock."""

    def wall_us(self) -> int:
        return EPOCH + int(trio.current_time() * MICROSECONDS)


@dataclass(frozen=True)
class Sent:
    id: str
    note: int
    at: float
    fresh: bool


class Receiver:
    """`answer` says what comes of each request, and may take its time."""

    def __init__(self, answer: Callable[[Sent], Awaitable[Result]]) -> None:
        self.answer = answer
        self.sent: list[Sent] = []  # as they begin
        self.took: list[Sent] = []  # answered with success
        self.now = self.most = 0

    async def send(self, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, fresh: bool = False) -> Result:
        sent = Sent(dict(headers)["webhook-id"], json.loads(body)["n"], trio.current_time(), fresh)
        self.sent.append(sent)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            result = await self.answer(sent)
        finally:
            self.now -= 1
        if result.verdict.outcome is Outcome.DELIVERED:
            self.took.append(sent)
        return result

    async def aclose(self) -> None:
        pass


async def ok(sent: Sent) -> Result:
    await trio.sleep(0.01)
    return Result(of_status(200), 200)


async def down(sent: Sent) -> Result:
    await trio.sleep(0.01)
    return DOWN


@dataclass
class Room:
    """One log in memory, and what couriers tell of."""

    nursery: trio.Nursery
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    failed: list[Delivery] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    couriers: list[Courier] = field(default_factory=list)
    writes: int = 0
    reads: int = 0
    full: bool = False  # the disk

    def __post_init__(self) -> None:
        self.engine.create_namespace("default", "", TokenRow("t", b"t", 0, ("admin",)), 1)
        self.world = World()
        self.catalog = Catalog()
        self.store = Store(self)
        self.office = Office(
            self, self.store, self.catalog, self.world, SCHEDULE, lambda _: "/namespaces/default", str,
            self._failed, self._disabled,
        )  # fmt: skip

    # The log

    async def events(self, query: Query) -> list[Event]:
        await trio.lowlevel.checkpoint()
        self.reads += 1
        return self.engine.events(query)

    async def find(self, namespace: int, id: str) -> Event | None:
        await trio.lowlevel.checkpoint()
        return self.engine.find(namespace, id)

    def head_position(self, namespace: int) -> int:
        return self.engine.newest(namespace)

    async def reading(self, work: Callable[[Reader], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work(cast(Reader, self.engine))

    async def control(self, work: Callable[[Engine], T]) -> T:
        await trio.sleep(0.001)
        if self.full:
            raise Unavailable("the disk is full")
        self.writes += 1
        return work(cast(Engine, self.engine))

    def write(self, count: int, *, first: int = 0, stream: str = "note-1") -> None:
        drafts = tuple(Draft(stream, "NoteUpdated", f'{{"n":{n}}}') for n in range(first, first + count))
        ids = iter([self.world.new_id() for _ in drafts])
        self.engine.commit([Unit(1, drafts)], now_us=self.world.wall_us(), new_ids=ids)
        for courier in self.couriers:
            courier.wake()

    # Couriers

    def courier(self, receiver: Receiver, id: str = "w1", **options: Any) -> Courier:
        """Starts where the one before of this id has stopped."""
        endpoint = Endpoint(id, 1, "", "http://example.org/", **options)
        row = self.engine.state(1, "webhooks", f"cursor/{id}")
        cursor = Cursor(0) if row is None else msgspec.json.decode(row.value, type=Cursor)
        place = Place("http://example.org/", (Secret("s" * 32),))
        wanted = Wanted.of(endpoint, self.catalog)
        courier = Courier(endpoint, place, cursor, wanted, cast(Sender, receiver), self.office)
        self.couriers.append(courier)
        return courier

    def begin(self, receiver: Receiver, id: str = "w1", **options: Any) -> trio.CancelScope:
        """Cancelling the scope is a kill."""
        courier, scope = self.courier(receiver, id, **options), trio.CancelScope()

        async def live() -> None:
            with scope:
                await courier.run()

        self.nursery.start_soon(live)
        return scope

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(row.value) for row in self.engine.states(1, "webhooks", prefix=f"{kind}/", limit=100_000)]

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(row.value) for row in self.engine.states(1, SHELF, limit=100_000)]

    async def _failed(self, endpoint: Endpoint, delivery: Delivery) -> None:
        await trio.lowlevel.checkpoint()
        self.failed.append(delivery)

    async def _disabled(self, endpoint: Endpoint, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        self.disabled.append(reason)


@asynccontextmanager
async def a_room() -> AsyncIterator[Room]:
    async with trio.open_nursery() as nursery:
        room = Room(nursery)
        await nursery.start(room.store.run)
        yield room
        nursery.cancel_scope.cancel()
