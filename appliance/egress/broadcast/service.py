"""/ws/broadcast: the endpoint.

A connection is one cursor for each of its channels, all on the same socket. Frames are dealt with in their order, each
to its end before the next is read: a client that asks for more than it takes waits for itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
import trio

from appliance.bus import Bus, Subscription
from appliance.egress.broadcast import protocol
from appliance.egress.broadcast.dialect import ChannelDialect
from appliance.egress.broadcast.pace import Pace
from appliance.egress.broadcast.protocol import Ask, BadFrame
from appliance.egress.broadcast.seats import Seat, Seats
from appliance.egress.broadcast.sieve import Sieve
from appliance.egress.filters import EventFilter, Memories
from appliance.errors import Unauthenticated
from appliance.model.catalog import Catalog
from appliance.model.channels import LONGEST_CHANNEL, May, by_scope, is_channel, stream_of
from appliance.model.clients import Client, Clients, Habits
from appliance.model.closecodes import Close
from appliance.model.event import Event, Head, Query
from appliance.model.http import Request, Socket, SocketRoute
from appliance.model.principal import READ, Principal
from appliance.model.topic import Topic

__all__ = ["Broadcast", "ChannelsLog"]

log = structlog.get_logger("broadcast")

SUBPROTOCOL = "appliance.broadcast"


class ChannelsLog(Protocol):
    """What this room needs of the log."""

    def head_position(self, namespace: int) -> int: ...

    def peek_version(self, namespace: int, stream: str) -> int | None: ...

    def head(self, namespace: int, stream: str) -> Awaitable[Head | None]: ...

    def events(self, query: Query) -> Awaitable[list[Event]]: ...


class Broadcast:
    """The endpoint.

    Args:
        seats: told who listens where.
        clients: looks after whoever has come in.
        visitor: who sends a request; None: a stranger. Raises Unauthenticated: what it shows is not valid.
        stranger: as whom strangers listen; None: they may not.
        memories: what of a namespace a caller may see.
        may: whether a caller may listen to a channel.
        heartbeat: seconds between two pings.
        dead_after: seconds without a byte until a client is given up.
        channels: most channels of one connection.
        frames: most frames of a client in a second.
    """

    def __init__(
        self,
        bus: Bus,
        log: ChannelsLog,
        seats: Seats,
        clients: Clients,
        catalog: Catalog,
        visitor: Callable[[Request], Principal | None],
        memories: Memories,
        *,
        stranger: Callable[[], Principal] | None = None,
        may: May = by_scope,
        heartbeat: float,
        dead_after: float,
        channels: int,
        frames: int,
    ) -> None:
        self.bus = bus
        self.log = log
        self.seats = seats
        self.catalog = catalog
        self.memories = memories
        self.may = may
        self.channels = channels
        self.frames = frames
        self._clients = clients
        self._visitor = visitor
        self._stranger = stranger
        self._habits = Habits("broadcast", "websocket", heartbeat, dead_after, protocol.beat)

    def route(self) -> SocketRoute:
        return SocketRoute(
            "/ws/broadcast",
            self.serve,
            "Messages of channels, as JSON",
            admit=self.admit,
            subprotocols=(SUBPROTOCOL,),
            shutdown_code=Close.GOING_AWAY,
        )

    def admit(self, request: Request) -> None:
        """Raises Unauthenticated, LimitReached: before the upgrade."""
        request.principal = self._visitor(request) or self._admitted_stranger()
        self._clients.check(request)

    async def serve(self, socket: Socket) -> None:
        principal, outlet = socket.request.principal, Sieve(socket.outlet)
        assert principal is not None  # `admit` has seen to it
        with self._clients.enter(socket.request, socket.outlet, self._habits, socket) as client:
            seat = Seat(client.id, principal.namespace.key, outlet)
            with self.seats.taken(seat):
                session = _Session(self, principal, client, seat)
                try:
                    await outlet.send_all(
                        protocol.welcome(client.id, every=self._habits.every, deadline=self._habits.dead)
                    )
                    while await session.took(await socket.receive()):
                        pass
                    await socket.close(Close.POLICY, "too many frames a second")
                finally:
                    session.leave()

    def _admitted_stranger(self) -> Principal:
        if self._stranger is None:
            raise Unauthenticated(
                "this needs a token",
                hint=f"offer the subprotocols {SUBPROTOCOL} and bearer.TOKEN, or set broadcast.anonymous",
            )
        return self._stranger()


class _Session:
    """One client: what it listens to, and what it asks for."""

    def __init__(self, house: Broadcast, principal: Principal, client: Client, seat: Seat) -> None:
        self._house = house
        self._principal = principal
        self._client = client
        self._seat = seat
        self._pace = Pace(house.frames)
        self._subscriptions: dict[str, Subscription] = {}
        seen = house.memories(principal, None)
        self._filter = None if seen is None else EventFilter(house.catalog, memories=seen)
        client.readings = self._subscriptions.values()

    async def took(self, message: str | bytes) -> bool:
        """Do what a frame asks. False: this client has gone too far."""
        self._client.received()
        patience = self._pace.came(trio.current_time())
        if patience.over:
            log.warning("too many frames", client=self._client.id)
            return False
        if patience.wait:
            await self._send(
                protocol.error(
                    "too_many_frames",
                    f"{self._house.frames} frames a second are heard; the rest waits",
                    wait_s=round(patience.wait, 3),
                )
            )
            await trio.sleep(patience.wait)
        try:
            ask = protocol.understood(message)
        except BadFrame as wrong:
            await self._send(protocol.error(wrong.code, wrong.message, hint=wrong.hint))
        else:
            await self._do(ask)
        return True

    def leave(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.leave()

    async def _do(self, ask: Ask) -> None:
        for channel in ask.unsubscribe:
            self._drop(channel)
        channels = await self._allowed(ask)
        if ask.answered:
            await self._subscribe_exactly(channels, ask)
        else:
            for channel in channels:
                if channel not in self._subscriptions:
                    await self._follow(channel, None)
        self._client.topics = tuple(self._subscriptions)

    async def _subscribe_exactly(self, channels: list[str], ask: Ask) -> None:
        """For a client that keeps offsets: it is told behind which one each channel begins, and counts from then on.

        Beginning behind an offset instead of "now" is what makes it exact: whatever is written meanwhile lies
        behind it, and comes from the log. A channel that is followed already begins anew only if `since` says where.
        """
        since = {} if ask.since is None else ask.since
        new = [channel for channel in channels if channel in since or channel not in self._subscriptions]
        newest = {channel: await self._newest(channel) for channel in new}
        offsets = {channel: min(since.get(channel, last), last) for channel, last in newest.items()}
        for channel in offsets:
            self._house.seats.join(self._seat, channel)
        await self._send(protocol.acknowledged(ask, channels, offsets))
        for channel, offset in offsets.items():
            await self._follow(channel, offset + 1, since.get(channel, offset) + 1)

    async def _allowed(self, ask: Ask) -> list[str]:
        """Those of the channels asked for that may be; of the others it is told why not."""
        refused: dict[str, list[str]] = {}
        allowed: list[str] = []
        room = self._house.channels - len(self._subscriptions)
        for channel in ask.subscribe:
            known = channel in self._subscriptions
            if not is_channel(channel):
                refused.setdefault("bad_channel", []).append(channel)
            elif not self._house.may(self._principal, channel, READ):
                refused.setdefault("forbidden", []).append(channel)
            elif not known and not room:
                refused.setdefault("too_many_channels", []).append(channel)
            else:
                allowed.append(channel)
                room -= not known
        for code, channels in refused.items():
            await self._send(protocol.subscribe_error(channels, code, self._why(code)))
        return allowed

    def _why(self, code: str) -> str:
        return {
            "bad_channel": f"a channel has 1 to {LONGEST_CHANNEL} characters, none of them a control character",
            "forbidden": "you may not listen to these channels",
            "too_many_channels": f"a connection listens to {self._house.channels} channels at most",
        }[code]

    async def _newest(self, channel: str) -> int:
        """Offset of the newest message that clients may know; -1: there was none."""
        house, namespace, stream = self._house, self._seat.namespace, stream_of(channel)
        remembered = house.log.peek_version(namespace, stream)
        if remembered is not None:
            return remembered
        known = house.log.head_position(namespace)
        head = await house.log.head(namespace, stream)
        if head is None:
            return -1
        unshown = await house.log.events(Query(namespace, stream, global_position=known + 1, limit=1))
        return unshown[0].position - 1 if unshown else head.version

    async def _follow(self, channel: str, since: int | None, asked: int = 0) -> None:
        """
        Args:
            asked: first offset the client wanted; one that lies ahead was never written, or is no more.
        """
        self._drop(channel)
        ahead = since is not None and since < asked
        gap = protocol.gap(channel, asked=asked, next=since or 0) if ahead else b""
        topic = Topic(self._seat.namespace, stream_of(channel), filter=self._filter)
        self._house.seats.join(self._seat, channel)
        self._subscriptions[channel] = await self._house.bus.follow(
            topic, ChannelDialect(channel), self._seat.outlet, since, greeting=gap
        )

    def _drop(self, channel: str) -> None:
        subscription = self._subscriptions.pop(channel, None)
        if subscription is not None:
            subscription.leave()
            self._house.seats.leave(self._seat, channel)

    async def _send(self, frame: bytes) -> None:
        await self._seat.outlet.send_all(frame)
