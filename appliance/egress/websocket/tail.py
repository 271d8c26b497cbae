"""/ws/tail: stored and new events as JSON text frames, one envelope each.

    ws://…/ws/tail?category=order&since=1
    {"id":"…","stream":"order-7","type":"OrderPlaced","position":0,"globalPosition":1,
     "data":{…},"metadata":null,"time":"2026-01-02T03:04:05.678901Z"}

`since` is the first global position wanted (a stream's own with `stream=`), or `last` for the newest event and
what follows; without it only new events come. `category` may be repeated as `categories=a,b`; with neither
`stream` nor `category` everything of the namespace comes. A script in a browser offers the subprotocols
`appliance.tail` and `bearer.TOKEN`; the first is chosen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

import msgspec

from appliance.bus import Bus
from appliance.clock import stamp
from appliance.egress.memo import Plain, once
from appliance.errors import Forbidden, Rejected
from appliance.model.clients import Clients, Habits
from appliance.model.event import Event, Head
from appliance.model.frames import text_frame, timed_ping
from appliance.model.http import Request, Socket, SocketRoute
from appliance.model.principal import READ
from appliance.model.topic import Topic

__all__ = ["Tail", "TailDialect"]

SUBPROTOCOL = "appliance.tail"

_encode = msgspec.json.encode


def _envelope(event: Event) -> bytes:
    text = (
        f'{{"id":"{event.id}","stream":{_text(event.stream)},"type":{_text(event.type)},"position":{event.position},'
        f'"globalPosition":{event.global_position},"data":{event.data},"metadata":{event.metadata or "null"},'
        f'"time":"{stamp(event.time)}"}}'
    )
    return text_frame(text.encode())


def _text(value: str) -> str:
    return _encode(value).decode()


class TailDialect(Plain):
    """Events as they are stored. Frames from a server are unmasked, so the same bytes serve everyone."""

    def __init__(self) -> None:
        self.encode = once(_envelope)

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)


class Tail:
    """The endpoint.

    Args:
        clients: looks after whoever has come in.
        head: head of a stream, `newest` global position in categories of a namespace: for `since=last`.
        heartbeat: seconds between two pings.
        dead_after: seconds without a byte until a client is given up.
    """

    def __init__(
        self,
        bus: Bus,
        clients: Clients,
        head: Callable[[int, str], Awaitable[Head | None]],
        newest: Callable[[int, tuple[str, ...]], Awaitable[int]],
        *,
        heartbeat: float,
        dead_after: float,
    ) -> None:
        self._bus = bus
        self._clients = clients
        self._head = head
        self._newest = newest
        self._dialect = TailDialect()
        self._habits = Habits("tail", "websocket", heartbeat, dead_after, timed_ping)

    def route(self) -> SocketRoute:
        return SocketRoute(
            "/ws/tail",
            self.serve,
            "Stored and new events as JSON",
            scope=READ,
            admit=self.admit,
            subprotocols=(SUBPROTOCOL,),
        )

    def admit(self, request: Request) -> None:
        _topic(request.query, 0)
        _since(request.query)
        if request.principal is not None and request.principal.memories:
            raise Forbidden("this token is bound to memories, a tail shows the whole namespace")
        self._clients.check(request)

    async def serve(self, socket: Socket) -> None:
        principal = socket.request.principal
        assert principal is not None  # the route has a scope
        topic = _topic(socket.request.query, principal.namespace.key)
        since = _since(socket.request.query)
        position = await self._newest_of(topic) if since == "last" else since
        with self._clients.enter(socket.request, socket.outlet, self._habits, socket) as client:
            client.topics = topic.names
            subscription = await self._bus.follow(topic, self._dialect, socket.outlet, position)
            client.readings = (subscription,)
            try:
                while True:
                    await socket.receive()  # a tail has nothing to ask: what comes is read and left
                    client.received()
            finally:
                subscription.leave()

    async def _newest_of(self, topic: Topic) -> int:
        if topic.stream is None:
            return await self._newest(topic.namespace, topic.categories)
        head = await self._head(topic.namespace, topic.stream)
        return 0 if head is None else head.version


def _topic(query: Mapping[str, str], namespace: int) -> Topic:
    stream = query.get("stream") or None
    names = {name for name in (query.get("category", ""), *query.get("categories", "").split(",")) if name}
    if stream is not None and names:
        raise Rejected("a tail follows a stream or categories, not both", hint="open two connections")
    return Topic(namespace, stream, tuple(sorted(names)))


def _since(query: Mapping[str, str]) -> int | Literal["last"] | None:
    text = query.get("since", "")
    if not text:
        return None
    if text == "last":
        return "last"
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Rejected(f"since={text!r} is not a position", hint="give a number, or 'last'")
    return int(text)
