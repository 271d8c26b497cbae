"""Broadcast channels over a real bus, door and engine in memory, with peers that keep what they are sent.

No threads and no sockets: everything that happens, happens on the virtual clock.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
import trio.testing

from appliance.auth.rights import memories_for
from appliance.bus import Bus
from appliance.egress.broadcast.routes import channel_routes
from appliance.egress.broadcast.seats import Seats
from appliance.egress.broadcast.service import Broadcast
from appliance.egress.clients.service import Manager
from appliance.errors import ApplianceError, Unauthenticated
from appliance.ingress.broadcast import Broadcasts
from appliance.ingress.door import Door
from appliance.log.ticket import Ticket
from appliance.model.catalog import Catalog
from appliance.model.channels import May, by_scope
from appliance.model.event import Event, Head, Namespace, Query, Unit
from appliance.model.http import Request, Response, SocketClosed, problem
from appliance.model.principal import Principal
from appliance.model.topic import Topic
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Reader, TokenRow
from appliance.world import RealWorld
from tests.rooms.egress.eventing_room import WebSocket

T = TypeVar("T")

GRACE = 10.0  # seconds a client may be behind
SPACE, OTHER = Namespace(1, "default"), Namespace(2, "other")
ADMIN = Principal(SPACE, frozenset({"admin"}), subject="ann", token_id="t1")
WRITER = Principal(SPACE, frozenset({"read", "write"}), subject="bob", token_id="t2")
READER = Principal(SPACE, frozenset({"read"}), subject="eve", token_id="t3")
BOUND = Principal(SPACE, frozenset({"read", "write"}), token_id="t4", memories=frozenset({"work"}))
STRANGER = Principal(OTHER, frozenset({"read", "write"}), token_id="t5")
LISTENER = Principal(SPACE, frozenset({"read"}))  # without a token


class Log:
    """The log, answering at once: over an engine in memory, with no threads."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.unshown: list[Event] = []
        self.slow = False  # what is on disk is shown only when `show` is called
        self.failing: ApplianceError | None = None  # what readers meet
        self.publish: Callable[[Sequence[Event]], None] = lambda events: None
        self.reads = 0
        self._shown: dict[int, int] = {}
        self._versions: dict[tuple[int, str], int] = {}
        self._asked = itertools.count()
        self._numbers = itertools.count(1)
        for name in ("default", "other"):
            self.engine.create_namespace(name, "", TokenRow(f"t-{name}", name.encode(), 0, ("admin",)), 1)

    def submit(self, unit: Unit) -> Ticket[Sequence[Event]]:
        ticket: Ticket[Sequence[Event]] = Ticket()
        done = self.engine.commit([unit], now_us=next(self._numbers), new_ids=self._ids())
        self.unshown += done.fresh
        if not self.slow:
            self.show()
        outcome = done.outcomes[0]
        if isinstance(outcome, ApplianceError):
            ticket.fail(outcome)
        else:
            ticket.resolve(outcome)
        return ticket

    def show(self) -> None:
        fresh, self.unshown = self.unshown, []
        for event in fresh:
            self._shown[event.namespace] = event.global_position
            self._versions[event.namespace, event.stream] = event.position
        self.publish(fresh)

    def head_position(self, namespace: int) -> int:
        return self._shown.get(namespace, 0)

    def peek_version(self, namespace: int, stream: str) -> int | None:
        """Every other time memory cannot tell."""
        return self._versions.get((namespace, stream)) if next(self._asked) % 2 else None

    async def head(self, namespace: int, stream: str) -> Head | None:
        return await self.reading(lambda reader: reader.head(namespace, stream))

    async def events(self, query: Query) -> list[Event]:
        return await self.reading(lambda reader: reader.events(query))

    async def oldest(self, topic: Topic) -> int:
        assert topic.stream is not None
        stored = await self.events(Query(topic.namespace, topic.stream, limit=1))
        if stored:
            return stored[0].position
        head = await self.head(topic.namespace, topic.stream)
        return 0 if head is None else head.version + 1

    async def reading(self, work: Callable[[Reader], T]) -> T:
        await trio.lowlevel.checkpoint()
        self.reads += 1
        if self.failing is not None:
            raise self.failing
        return work(self.engine.reader())

    def forget_before(self, time: int) -> None:
        """Retention: everything written before the `time`-th event goes."""
        while self.engine.retain(1, "channel", time, 1000):
            pass

    def _ids(self) -> itertools.chain[str]:
        return itertools.chain(f"0190fe00-0000-7000-8000-{n:012x}" for n in self._numbers)


class Listener(WebSocket):
    """A client of `/ws/broadcast`."""

    taken = 0  # messages a test has looked at

    def messages(self) -> list[dict[str, Any]]:
        """Everything but welcome and pings."""
        return [one for one in super().messages() if one.get("type") not in ("welcome", "ping")]

    def control(self) -> list[dict[str, Any]]:
        return [one for one in self.messages() if "type" in one]

    def got(self, *names: str) -> list[list[Any]]:
        """The messages, as lists of these members."""
        return [[one[name] for name in names] for one in self.messages() if "type" not in one]


class Room:
    """Both ways in, and the log behind them."""

    def __init__(self, nursery: trio.Nursery, *, anonymous: bool, may: May, channels: int, frames: int, blocks: int):
        world = RealWorld()
        self.log = Log()
        self.nursery = nursery
        self.bus = Bus(self.log.events, self.log.head_position, self.log.oldest, blocks=blocks, grace=GRACE)
        self.log.publish = self.bus.publish
        self.manager = Manager(world, lambda who: "", limit=10_000, per_address=10_000, per_subject=10_000)
        self.seats = Seats()
        self.endpoint = Broadcast(
            self.bus, self.log, self.seats, self.manager, Catalog(), visitor, memories_for,
            stranger=(lambda: LISTENER) if anonymous else None, may=may,
            heartbeat=25.0, dead_after=35.0, channels=channels, frames=frames,
        )  # fmt: skip
        self.broadcasts = Broadcasts(Door(self.log), self.seats, self.bus.flushed, world.new_id, may=may)
        self.lists, self.shows = (route.handler for route in channel_routes(self.seats, self.log.reading, may))

    async def connects(self, principal: Principal | None = READER) -> Listener:
        """A client that is connected. What it said before is not lost."""
        client = Listener()
        client.request = Request("GET", "/ws/broadcast", peer="10.0.0.1", principal=principal)
        self.endpoint.admit(client.request)
        self.nursery.start_soon(self.live, client)
        await trio.testing.wait_all_tasks_blocked()
        return client

    async def listens(self, *channels: str, principal: Principal | None = READER, **extras: object) -> Listener:
        """A client that has subscribed."""
        client = await self.connects(principal)
        await self.says(client, {"subscribe": list(channels), **extras})
        return client

    async def says(self, client: Listener, frame: object) -> None:
        client.says(frame)
        await trio.testing.wait_all_tasks_blocked()

    async def posts(
        self, body: object, principal: Principal | None = WRITER, *, key: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """`POST /broadcast`: status and body of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request("POST", "/broadcast", body=raw, principal=principal)
        if key:
            request.headers["idempotency-key"] = key
        return await self._answer(self.broadcasts.handle, request)

    async def sends(self, channel: str, event: str = "changed", **payload: object) -> dict[str, Any]:
        status, answer = await self.posts({"channel": channel, "event": event, "payload": payload}, ADMIN)
        assert status == 200, answer
        return answer

    async def channels(self, query: str = "", principal: Principal = READER) -> tuple[int, dict[str, Any]]:
        return await self._answer(self.lists, Request("GET", "/channels", query, principal=principal))

    async def channel(self, name: str, principal: Principal = READER) -> tuple[int, dict[str, Any]]:
        request = Request("GET", f"/channels/{name}", params={"channel": name}, principal=principal)
        return await self._answer(self.shows, request)

    async def live(self, client: Listener) -> None:
        """As the lane does it: a connection that ends is no error."""
        with contextlib.suppress(SocketClosed, trio.BrokenResourceError):
            await self.endpoint.serve(client)

    async def _answer(self, handler: Any, request: Request) -> tuple[int, dict[str, Any]]:
        try:
            answer: Response = await handler(request)
        except ApplianceError as error:
            answer = problem(error)
        return answer.status, json.loads(answer.body)


def visitor(request: Request) -> Principal | None:
    """Whoever the test says it is."""
    if request.headers.get("authorization") == "Bearer wrong":
        raise Unauthenticated("this token is not valid")
    return request.principal


@asynccontextmanager
async def a_room(
    *, anonymous: bool = False, may: May = by_scope, channels: int = 100, frames: int = 50, blocks: int = 4096
) -> AsyncIterator[Room]:
    async with trio.open_nursery() as nursery:
        room = Room(nursery, anonymous=anonymous, may=may, channels=channels, frames=frames, blocks=blocks)
        await nursery.start(room.bus.run)
        await nursery.start(room.manager.run)
        yield room
        nursery.cancel_scope.cancel()
