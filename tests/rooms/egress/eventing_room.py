"""The eventing endpoints over a real bus and an engine in memory, with peers that keep what they are sent.

No threads and no sockets: everything that happens, happens on the virtual clock.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from appliance.auth.rights import memories_for
from appliance.bus import Bus
from appliance.egress.clients.service import Manager
from appliance.egress.sse.events import EventStream
from appliance.egress.websocket.eventing import Eventing
from appliance.errors import ApplianceError
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Namespace, Query, Unit
from appliance.model.http import Request, SocketClosed, Stream
from appliance.model.occasions import CORE
from appliance.model.principal import Principal
from appliance.model.topic import Topic
from appliance.model.types import EventType
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import TokenRow
from appliance.world import RealWorld
from tests.rooms.egress.parser import Block, parse

PATIENCE = 5.0  # seconds
NOTES = tuple(
    EventType(f"Note{what}", f"note.{what.lower()}", "note", "note_id") for what in ("Created", "Updated", "Deleted")
)
ADMIN = Principal(Namespace(1, "default"), frozenset({"admin"}), subject="ann", token_id="t1")
READER = Principal(Namespace(1, "default"), frozenset({"read"}), subject="bob", token_id="t2")
BOUND = Principal(Namespace(1, "default"), frozenset({"read"}), token_id="t3", memories=frozenset({"work"}))
STRANGER = Principal(Namespace(2, "other"), frozenset({"admin"}), token_id="t4")


class Peer:
    """The sending half of a connection whose other end takes what it is given, unless it is `stuck`."""

    def __init__(self) -> None:
        self.data = b""
        self.sent = 0
        self.offers = 0
        self.stuck = False
        self.ended: tuple[int, str] | None = None
        self.gone = trio.Event()
        self._more = trio.Event()
        self._free = trio.Event()

    def offer(self, data: bytes) -> bool:
        if self.gone.is_set():
            raise trio.BrokenResourceError
        if self.stuck:
            return False
        self.offers += 1
        self._take(data)
        return True

    async def send_all(self, data: bytes) -> None:
        await self.drained()
        self._take(data)

    async def drained(self) -> None:
        await trio.lowlevel.checkpoint()
        while self.stuck and not self.gone.is_set():
            await self._free.wait()
        if self.gone.is_set():
            raise trio.BrokenResourceError

    def kill(self) -> None:
        self.gone.set()
        self.free()

    def end(self, code: int, reason: str = "") -> None:
        self.ended = (code, reason)
        self.kill()

    def free(self) -> None:
        self.stuck = False
        self._free.set()
        self._free = trio.Event()

    async def more(self) -> None:
        await self._more.wait()

    def _take(self, data: bytes) -> None:
        self.data += data
        self.sent += len(data)
        self._more.set()
        self._more = trio.Event()


class WebSocket(Peer):
    """A socket with a script of what its peer says."""

    def __init__(self, query: str = "", principal: Principal = ADMIN, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.request = Request("GET", "/api/v1/ws", query, headers or {}, peer="10.0.0.1", principal=principal)
        self.outlet = self
        self.heard = trio.current_time()
        self.latency: float | None = None
        self._say, self._said = trio.open_memory_channel[str](100)

    def says(self, message: object) -> None:
        """Text as it is, anything else as JSON."""
        self._say.send_nowait(message if isinstance(message, str) else json.dumps(message))

    def leaves(self) -> None:
        self._say.close()
        self.kill()

    async def receive(self) -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_gone, nursery.cancel_scope)
            with contextlib.suppress(trio.EndOfChannel):
                message = await self._said.receive()
                nursery.cancel_scope.cancel()
                return message
        raise SocketClosed(1000)

    async def close(self, code: int, reason: str = "") -> None:
        self.end(code, reason)

    async def texts(self, count: int) -> list[dict[str, object]]:
        """The first `count` messages, as soon as they are there."""
        with trio.fail_after(PATIENCE):
            while len(found := self.messages()) < count:
                await self.more()
        return found

    def messages(self) -> list[dict[str, object]]:
        return [json.loads(payload) for opcode, payload in self.frames() if opcode == 1]

    def frames(self) -> list[tuple[int, bytes]]:
        """(opcode, payload) of every frame."""
        found, rest = [], self.data
        while rest:
            size, skip = rest[1], 2
            if size >= 126:
                skip = 4 if size == 126 else 10
                size = int.from_bytes(rest[2:skip], "big")
            found.append((rest[0] & 15, rest[skip : skip + size]))
            rest = rest[skip + size :]
        return found

    async def _until_gone(self, scope: trio.CancelScope) -> None:
        await self.gone.wait()
        scope.cancel()


class EventSource(Peer):
    """The other end of an event stream: takes the chunks apart, then the blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.outlet = self

    async def write(self, data: bytes) -> None:
        await self.send_all(b"%x\r\n%b\r\n" % (len(data), data))

    async def closed(self) -> None:
        await self.gone.wait()

    @property
    def body(self) -> bytes:
        body, rest = b"", self.data
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            assert rest[length : length + 2] == b"\r\n"
            body, rest = body + rest[:length], rest[length + 2 :]
        return body

    def blocks(self) -> list[Block]:
        return parse(self.body)

    async def until(self, count: int) -> list[Block]:
        """The first `count` blocks, as soon as they are there."""
        with trio.fail_after(PATIENCE):
            while len(found := self.blocks()) < count:
                await self.more()
        return found


@dataclass
class Room:
    """Both endpoints, and the log behind them."""

    engine: MemoryEngine
    catalog: Catalog
    nursery: trio.Nursery
    queue: dict[str, int] = field(default_factory=lambda: {"total_jobs": 0, "running": 0, "pending": 0})
    asked_status: list[tuple[int, tuple[str, ...] | None]] = field(default_factory=list)
    trouble: ApplianceError | None = None  # what reading the log runs into
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def open(self, *, limit: int, blocks: int, coalesce: float, names: str) -> None:
        world = RealWorld()
        self.bus = Bus(self.read, self.newest, self.oldest, blocks=blocks)
        self.manager = Manager(world, lambda who: "", limit=limit, per_address=limit, per_subject=limit)
        self.eventing = Eventing(
            self.bus, self.catalog, self.manager, world, self.status, memories_for, self.find, self.newest,
            heartbeat=30.0, dead_after=90.0,
        )  # fmt: skip
        self.stream = EventStream(
            self.bus, self.catalog, self.manager, memories_for, self.find, self.newest,
            names=names, coalesce=coalesce, heartbeat=30.0,
        )  # fmt: skip

    # The log, as the endpoints know it

    async def read(self, query: Query) -> list[Event]:
        await trio.lowlevel.checkpoint()
        if self.trouble is not None:
            raise self.trouble
        return self.engine.reader().events(query)

    async def find(self, namespace: int, id: str) -> Event | None:
        await trio.lowlevel.checkpoint()
        return self.engine.reader().find(namespace, id)

    async def oldest(self, topic: Topic) -> int:
        await trio.lowlevel.checkpoint()
        return self.engine.reader().oldest(topic.namespace)

    def newest(self, namespace: int) -> int:
        return self.engine.reader().newest(namespace)

    def status(self, namespace: int, memories: tuple[str, ...] | None) -> dict[str, int]:
        self.asked_status.append((namespace, memories))
        return self.queue

    # What happens

    def write(
        self,
        type: str,
        fields: dict[str, object] | None = None,
        *,
        stream: str = "note-1",
        memory: str = "",
        space: int = 1,
    ) -> Event:
        """Store an event and publish it, as the log does."""
        metadata = json.dumps({"memory": memory}) if memory else None
        draft = Draft(stream, type, json.dumps(fields or {}, separators=(",", ":")), metadata)
        done = self.engine.commit([Unit(space, (draft,))], now_us=next(self.numbers), new_ids=self._ids())
        self.bus.publish(done.fresh)
        return done.fresh[0]

    def announce(self, type: str, fields: dict[str, object], *, stream: str = "job-1", space: int = 1) -> Event:
        """Tell of something that is stored nowhere."""
        event = Event(
            space, stream, type, -1, self.newest(space), next(self._ids()), json.dumps(fields), None, next(self.numbers)
        )
        self.bus.announce(event)
        return event

    def _ids(self) -> itertools.chain[str]:
        return itertools.chain(f"0190fe00-0000-7000-8000-{n:012x}" for n in self.numbers)

    # Who comes

    async def socket(self, query: str = "", principal: Principal = ADMIN, *, greeted: bool = True) -> WebSocket:
        """A WebSocket client that has had its first QueueStatus."""
        client = WebSocket(query, principal)
        self.eventing.admit(client.request)
        self.nursery.start_soon(self._live, self.eventing.serve, client)
        if greeted:
            await client.texts(1)
        return client

    async def source(
        self, query: str = "", principal: Principal = ADMIN, headers: dict[str, str] | None = None
    ) -> EventSource:
        """A client of server-sent events that has had its confirmation."""
        request = Request("GET", "/api/v1/events", query, headers or {}, peer="10.0.0.1", principal=principal)
        answer = await self.stream.handle(request)
        assert isinstance(answer, Stream)
        client = EventSource()
        self.nursery.start_soon(self._live, answer.run, client)
        await client.until(1)
        return client

    async def _live(self, serve: Callable[[object], Awaitable[None]], client: object) -> None:
        """As the lane does it: a connection that ends is no error."""
        with contextlib.suppress(SocketClosed, trio.BrokenResourceError):
            await serve(client)


@asynccontextmanager
async def a_room(
    *, limit: int = 10_000, blocks: int = 4096, coalesce: float = 0.5, names: str = "pascal"
) -> AsyncIterator[Room]:
    engine = MemoryEngine()
    for number, name in enumerate(("default", "other")):
        engine.create_namespace(name, "", TokenRow(f"t{number}", name.encode(), 0, ("admin",)), 1)
    async with trio.open_nursery() as nursery:
        room = Room(engine, Catalog((*CORE, *NOTES)), nursery)
        room.open(limit=limit, blocks=blocks, coalesce=coalesce, names=names)
        await nursery.start(room.bus.run)
        await nursery.start(room.manager.run)
        yield room
        nursery.cancel_scope.cancel()
