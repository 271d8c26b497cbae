"""/api/v1/ws: what happens, as JSON text messages; the client may ask for the job queue and choose what it sees.

    → {"type":"QueueStatus","total_jobs":0,…}                        at once: nothing from now on is missed
    ← {"type":"subscribe","types":["note","job.completed"],"since":7}
    → {"type":"Subscribed","types":["job.completed","note"],…,"seq":9}
    → {"type":"NoteUpdated","note_id":"…",…,"seq":8,"event_id":"…"}

A first filter may stand in the address: `types=`, `events=`, `memory=`, `entity_id=`, `since=`. A script in a browser
offers the subprotocols `appliance.events` and `bearer.TOKEN`; the first is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from appliance.bus import Bus, Subscription
from appliance.egress.filters import NOTHING, Memories, Wish, asked, topic_for
from appliance.egress.since import Find, Passing, begin_after, last_seen, nothing_goes_on
from appliance.egress.websocket.eventing_commands import Command, understood, wanted
from appliance.egress.websocket.eventing_frames import EventingDialect, QueueStatus, Voice
from appliance.errors import ApplianceError, Forbidden, Rejected
from appliance.model.catalog import Catalog
from appliance.model.clients import Client, Clients, Habits
from appliance.model.closecodes import Close
from appliance.model.frames import timed_ping
from appliance.model.http import Request, Socket, SocketRoute
from appliance.model.principal import READ, Principal
from appliance.model.topic import Topic
from appliance.world import World

__all__ = ["Eventing"]

log = structlog.get_logger("eventing")

SUBPROTOCOL = "appliance.events"
MESSAGE_LIMIT = 64 * 1024  # bytes a client may say at once


class Eventing:
    """The endpoint.

    Args:
        clients: looks after whoever has come in.
        queue_status: numbers of the job queue.
        memories: what of a namespace a caller may see.
        find: a stored event by its id; `newest` global position of a namespace.
        passing: what goes on, told to those who resume.
        heartbeat: seconds between two pings.
        dead_after: seconds without a byte until a client is given up.
    """

    def __init__(
        self,
        bus: Bus,
        catalog: Catalog,
        clients: Clients,
        world: World,
        queue_status: QueueStatus,
        memories: Memories,
        find: Find,
        newest: Callable[[int], int],
        *,
        passing: Passing = nothing_goes_on,
        heartbeat: float,
        dead_after: float,
    ) -> None:
        self.passing = passing
        self.bus = bus
        self.catalog = catalog
        self.memories = memories
        self.find = find
        self.newest = newest
        self.voice = Voice(catalog, queue_status, newest, new_id=world.new_id, wall_us=world.wall_us)
        self.ignored = 0  # messages that nobody understood
        self._clients = clients
        self._habits = Habits("eventing", "websocket", heartbeat, dead_after, timed_ping)

    def routes(self) -> tuple[SocketRoute, ...]:
        """The endpoint, and its short name."""
        return tuple(
            SocketRoute(
                path,
                self.serve,
                "Events as JSON, with filters chosen while connected",
                scope=READ,
                admit=self.admit,
                message_limit=MESSAGE_LIMIT,
                subprotocols=(SUBPROTOCOL,),
                shutdown_code=Close.RESTART,
            )
            for path in ("/api/v1/ws", "/ws")
        )

    def admit(self, request: Request) -> None:
        """Raises BadFilter, Forbidden, LimitReached: before the upgrade."""
        assert request.principal is not None  # the routes have a scope
        self.memories(request.principal, asked(request, self.catalog).memory)
        self._clients.check(request)

    async def serve(self, socket: Socket) -> None:
        request = socket.request
        with self._clients.enter(request, socket.outlet, self._habits, socket) as client:
            session = _Session(self, socket, client)
            try:
                await session.begin(asked(request, self.catalog), last_seen(request.headers, request.query))
                while True:
                    message = await socket.receive()
                    client.received()
                    await session.took(message)
            finally:
                session.leave()


class _Session:
    """One client: what it follows, and what it asks for."""

    __slots__ = (
        "_client", "_fluent", "_house", "_ignored", "_namespace", "_outlet", "_principal", "_seen", "_subscription",
    )  # fmt: skip

    def __init__(self, house: Eventing, socket: Socket, client: Client) -> None:
        assert socket.request.principal is not None  # the routes have a scope
        self._house = house
        self._principal: Principal = socket.request.principal
        self._namespace = self._principal.namespace.key
        self._outlet = socket.outlet
        self._client = client
        self._subscription: Subscription | None = None
        self._seen: tuple[str, ...] | None = ()  # memories; None: all
        self._fluent = False  # it has subscribed: it speaks our dialect, and is told what it got wrong
        self._ignored = 0

    async def begin(self, wish: Wish, last: str) -> None:
        await self._follow(wish, last, self._status)

    async def took(self, message: str | bytes) -> None:
        """Do what a message asks; one that asks nothing is counted and left."""
        try:
            match understood(message):
                case Command.REFRESH:
                    await self._outlet.send_all(self._status())
                case Command.SUBSCRIBE:
                    self._fluent = True
                    await self._subscribe(*wanted(message, self._house.catalog))
                case Command.UNSUBSCRIBE:
                    await self._unsubscribe()
        except (Rejected, Forbidden) as refused:
            await self._ignore(refused)

    def leave(self) -> None:
        if self._subscription is not None:
            self._subscription.leave()

    async def _subscribe(self, wish: Wish, last: str) -> None:
        asked_for = {"types": wish.types, "memory": wish.memory, "entity_id": wish.entity_id}
        fields = {name: value for name, value in asked_for.items() if value is not None}
        await self._follow(wish, last, lambda seq: self._say("Subscribed", fields, seq))

    async def _unsubscribe(self) -> None:
        assert self._subscription is not None  # it began with one
        self._client.topics = ()
        nothing = Topic(self._namespace, filter=NOTHING)
        await self._subscription.move(nothing, greeting=lambda seq: self._say("Unsubscribed", {}, seq))

    async def _follow(self, wish: Wish, last: str, greet: Callable[[int], bytes]) -> None:
        """Show what is wished for from here on, instead of what was followed until now.

        Args:
            greet: what stands exactly between the two, given the global position up to which the old one reaches.
        """
        house, namespace = self._house, self._namespace
        seen = house.memories(self._principal, wish.memory)
        topic = topic_for(house.catalog, namespace, wish, seen)
        start = await begin_after(last, namespace, house.find, house.newest)
        self._seen, self._client.topics = seen, wish.names

        def greeting(seq: int) -> bytes:
            lost = house.voice.resync(namespace, start.lost, last, seq=seq) if start.lost else b""
            return greet(seq) + lost

        if self._subscription is None:
            self._subscription = await house.bus.follow(
                topic, self._dialect, self._outlet, start.since, greeting=greeting
            )
            self._client.readings = (self._subscription,)
        else:
            await self._subscription.move(topic, start.since, dialect=self._dialect, greeting=greeting)
        if start.since is not None:
            for event in house.passing(namespace):  # the past has no progress in it
                if topic.matches(event):
                    self._outlet.offer(house.voice.encode(event))

    @property
    def _dialect(self) -> EventingDialect:
        return EventingDialect(self._house.voice, self._namespace, self._seen)

    async def _ignore(self, refused: ApplianceError) -> None:
        self._house.ignored += 1
        self._ignored += 1
        if self._ignored == 1:  # once for each client: it can send many
            log.info("message not understood", client=self._client.id, reason=refused.code)
        if self._fluent:
            fields = {"code": refused.code, "message": refused.message, "hint": refused.hint}
            await self._outlet.send_all(self._say("Error", fields))

    def _status(self, seq: int | None = None) -> bytes:
        return self._house.voice.status(self._namespace, self._seen, seq)

    def _say(self, type: str, fields: Mapping[str, object], seq: int | None = None) -> bytes:
        return self._house.voice.say(self._namespace, type, fields, seq)
