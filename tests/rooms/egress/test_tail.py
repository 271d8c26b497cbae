"""/ws/tail over a real log and bus, with a socket that keeps what it is sent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from appliance.bus import Bus
from appliance.egress.clients.service import Manager
from appliance.egress.websocket.tail import Tail
from appliance.errors import Forbidden, Rejected
from appliance.log import Log
from appliance.model.event import Draft, Namespace
from appliance.model.http import Request, SocketClosed
from appliance.model.principal import Principal
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import TokenRow
from appliance.world import RealWorld


class Frames:
    """An outlet that takes text frames apart again."""

    def __init__(self) -> None:
        self.data = b""
        self.sent = 0
        self.alive = True
        self._more = trio.Event()

    def offer(self, data: bytes) -> bool:
        self.data += data
        self._more.set()
        self._more = trio.Event()
        return True

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if not self.alive:
            raise trio.BrokenResourceError
        self.offer(data)

    async def drained(self) -> None:
        await trio.lowlevel.checkpoint()

    def kill(self) -> None:
        self.alive = False

    def end(self, code: int, reason: str = "") -> None:
        self.kill()

    async def texts(self, count: int) -> list[dict[str, object]]:
        """The first `count` messages, as soon as they are there."""
        with trio.fail_after(5):
            while len(found := self._parsed()) < count:
                await self._more.wait()
        return found

    def _parsed(self) -> list[dict[str, object]]:
        found, rest = [], self.data
        while rest:
            size, skip = rest[1], 2
            if size == 126:
                size, skip = int.from_bytes(rest[2:4], "big"), 4
            found.append(json.loads(rest[skip : skip + size]))
            rest = rest[skip + size :]
        return found


class Client:
    """A socket whose peer says nothing until it leaves."""

    def __init__(self, query: str) -> None:
        principal = Principal(Namespace(1, "default"))
        self.request = Request("GET", "/ws/tail", query, principal=principal)
        self.outlet = Frames()
        self.left = trio.Event()
        self.heard = trio.current_time()
        self.latency: float | None = None

    async def receive(self) -> str:
        await self.left.wait()
        raise SocketClosed(1000)

    async def close(self, code: int, reason: str = "") -> None:
        self.left.set()


async def live(tail: Tail, client: Client) -> None:
    """As the lane does it: a connection that ends is no error."""
    with contextlib.suppress(SocketClosed, trio.BrokenResourceError):
        await tail.serve(client)


@asynccontextmanager
async def a_tail() -> AsyncIterator[tuple[Tail, Log, Bus, trio.Nursery]]:
    engine = MemoryEngine()
    engine.create_namespace("default", "", TokenRow("t", b"t", 0, ("admin",)), 1)
    bus = Bus(lambda query: log.events(query), lambda key: log.head_position(key))
    log = Log(engine, RealWorld(), bus.publish)
    clients = Manager(RealWorld(), lambda who: "", limit=9, per_address=9, per_subject=9)
    tail = Tail(bus, clients, log.head, log.newest, heartbeat=30.0, dead_after=90.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await nursery.start(bus.run)
        yield tail, log, bus, nursery
        nursery.cancel_scope.cancel()


async def write(log: Log, *streams: str) -> None:
    for stream in streams:
        await log.append(1, [Draft(stream, "Happened", "{}")])


async def test_everything_since_a_position_comes_and_then_what_is_new():
    async with a_tail() as (tail, log, _, nursery):
        await write(log, "a-1", "b-1")
        client = Client("since=2")
        nursery.start_soon(live, tail, client)

        await client.outlet.texts(1)
        await write(log, "a-1")

        assert [(one["stream"], one["globalPosition"]) for one in await client.outlet.texts(2)] == [
            ("b-1", 2),
            ("a-1", 3),
        ]


async def test_last_of_a_category_is_its_own_newest_event():
    async with a_tail() as (tail, log, _, nursery):
        await write(log, "quiet-1", "quiet-1", "loud-1", "loud-1")
        client = Client("category=quiet&since=last")
        nursery.start_soon(live, tail, client)

        await client.outlet.texts(1)
        await write(log, "loud-1", "quiet-1")

        assert [one["position"] for one in await client.outlet.texts(2)] == [1, 2]


async def test_last_of_a_stream_and_of_everything():
    async with a_tail() as (tail, log, _, nursery):
        await write(log, "a-1", "a-1", "b-1")
        clients = {query: Client(f"{query}since=last") for query in ("stream=a-1&", "")}
        for client in clients.values():
            nursery.start_soon(live, tail, client)

        assert [one["globalPosition"] for one in await clients["stream=a-1&"].outlet.texts(1)] == [2]
        assert [one["globalPosition"] for one in await clients[""].outlet.texts(1)] == [3]


async def test_leaving_ends_the_subscription():
    async with a_tail() as (tail, log, bus, nursery):
        client = Client("since=1")
        await write(log, "a-1")
        nursery.start_soon(live, tail, client)
        await client.outlet.texts(1)

        client.left.set()
        await trio.testing.wait_all_tasks_blocked()

        assert bus.members == 0


async def test_a_peer_that_breaks_during_history_is_no_error():
    async with a_tail() as (tail, log, bus, _):
        await write(log, "a-1")
        client = Client("since=1")
        client.outlet.kill()

        await live(tail, client)

        assert bus.members == 0


@pytest.mark.parametrize("query", ["since=x", "since=-1", "since=٣", "stream=a&category=b"])
async def test_what_cannot_be_followed_is_refused_before_the_upgrade(query: str):
    async with a_tail() as (tail, _, _, _):
        with pytest.raises(Rejected):
            tail.admit(Request("GET", "/ws/tail", query))


async def test_a_token_bound_to_memories_is_refused():
    async with a_tail() as (tail, _, _, _):
        bound = Principal(Namespace(1, "default"), memories=frozenset({"one"}))

        with pytest.raises(Forbidden):
            tail.admit(Request("GET", "/ws/tail", principal=bound))
