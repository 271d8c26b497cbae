"""GET /subscribe: pokes of a stream, of categories, or of everything, from a position on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from appliance.auth.dialect import DialectError, in_dialect
from appliance.bus import Bus
from appliance.egress.sse.pokes import HABITS, POKES
from appliance.errors import LimitReached
from appliance.model.clients import Clients
from appliance.model.event import Group, Head
from appliance.model.http import Exchange, Handler, Lane, Request, Response, Route, Stream
from appliance.model.principal import READ
from appliance.model.topic import Topic

__all__ = ["Subscribe", "parse"]

MOST_CATEGORIES = 100

_HEADERS = (
    ("cache-control", "no-cache"),
    ("connection", "keep-alive"),
    ("access-control-allow-origin", "*"),
    ("x-accel-buffering", "no"),
)

FORBIDDEN = DialectError(403, "AUTH_UNAUTHORIZED", "Token has no scope 'read'").response()

ParsedQuery = tuple[Topic, int | None]


class Subscribe:
    """
    Args:
        clients: looks after whoever has come in.
        guarded: wraps a handler so that it is asked only with `request.principal` set, in the dialect's way.
        head: head of a stream, for a position that lies in the future.
    """

    def __init__(
        self,
        bus: Bus,
        clients: Clients,
        guarded: Callable[[Handler], Handler],
        head: Callable[[int, str], Awaitable[Head | None]],
        newest: Callable[[int], int],
    ) -> None:
        self._bus = bus
        self._clients = clients
        self._guarded = guarded
        self._head = head
        self._newest = newest

    def route(self) -> Route:
        return Route(
            "GET",
            "/subscribe",
            self._guarded(self.handle),
            "Pokes of new messages as server-sent events",
            guarded=True,
            lane=Lane.FAST,
            tags=("message store",),
        )

    async def handle(self, request: Request) -> Response | Stream:
        principal = request.principal
        assert principal is not None  # guarded
        if not principal.may(READ):
            return FORBIDDEN
        try:
            topic, since = parse(request.query, principal.namespace.key)
            self._clients.check(request)
        except ValueError as error:
            return Response(400, str(error).encode(), "text/plain; charset=utf-8")
        except LimitReached as full:
            return in_dialect(full).response()
        topic = await self._with_floor(topic, since)

        async def run(exchange: Exchange) -> None:
            with self._clients.enter(request, exchange.outlet, HABITS) as client:
                client.topics = topic.names
                subscription = await self._bus.follow(topic, POKES, exchange.outlet, since, greeting=POKES.ready)
                client.readings = (subscription,)
                try:
                    await exchange.closed()
                finally:
                    subscription.leave()

        return Stream(run, headers=_HEADERS)

    async def _with_floor(self, topic: Topic, since: int | None) -> Topic:
        """A position that lies in the future leaves out what comes before it."""
        if not since:
            return topic
        if topic.stream is None:
            ahead = since > self._newest(topic.namespace) + 1
        else:
            head = await self._head(topic.namespace, topic.stream)
            ahead = since > (-1 if head is None else head.version) + 1
        return Topic(topic.namespace, topic.stream, topic.categories, topic.group, since) if ahead else topic


def parse(query: Mapping[str, str], namespace: int) -> ParsedQuery:
    """What to follow, and from which position (None: only what comes).

    Raises:
        ValueError: with the text the client gets.
    """
    stream, everything = query.get("stream", ""), query.get("all") == "true"
    categories = _categories(query)
    if everything and (stream or categories):
        raise ValueError("Cannot combine 'all' with 'stream' or 'category'")
    if stream and categories:
        raise ValueError("Cannot specify both 'stream' and 'category'")
    if not (stream or categories or everything):
        raise ValueError("Either 'stream', 'category', or 'all=true' parameter required")
    position = _number(query, "position", "Invalid position parameter")
    group = _group(query) if categories else None
    # Everything is followed live unless a position is given; streams and categories begin at 0.
    since = position if everything or position is not None else 0
    return Topic(namespace, stream or None, categories, group), None if since is None else max(since, 0)


def _categories(query: Mapping[str, str]) -> tuple[str, ...]:
    names = [query.get("category", ""), *query.get("categories", "").split(",")]
    found = tuple(sorted({name for name in names if name}))
    if len(found) > MOST_CATEGORIES:
        raise ValueError(f"At most {MOST_CATEGORIES} categories in one subscription")
    return found


def _group(query: Mapping[str, str]) -> Group | None:
    member = _number(query, "consumer", "Invalid consumer parameter", "consumerGroupMember")
    size = _number(query, "size", "Invalid size parameter", "consumerGroupSize")
    if member is None:
        return None
    if member < 0:
        raise ValueError("Invalid consumer parameter")
    if size is None or member >= size:
        raise ValueError("Invalid consumer group: member must be < size")
    return Group(member, size)


def _number(query: Mapping[str, str], name: str, refusal: str, other: str = "") -> int | None:
    text = query.get(name) or query.get(other, "")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise ValueError(refusal)
    return int(text)
