"""Which channels there are, over HTTP: how many listen, and how far each has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import msgspec

from appliance.egress.broadcast.seats import Seats
from appliance.errors import Forbidden, Rejected, Unauthenticated
from appliance.model.channels import May, by_scope, channel_of, check_channel, stream_of
from appliance.model.event import Event, Head, Query
from appliance.model.http import Lane, Request, Response, Route, json_response
from appliance.model.principal import READ, Principal

__all__ = ["ChannelJson", "ChannelList", "ChannelReader", "Reading", "channel_routes"]

T = TypeVar("T")

PAGE = 100  # channels of an answer unless asked otherwise
MOST = 1000


class ChannelReader(Protocol):
    """What is asked of the log's reader, in a thread."""

    def head(self, namespace: int, stream: str) -> Head | None: ...

    def heads(self, namespace: int, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Head]: ...

    def events(self, query: Query) -> list[Event]: ...


class Reading(Protocol):
    """The log, read aside."""

    def __call__(self, work: Callable[[ChannelReader], T]) -> Awaitable[T]: ...


class ChannelJson(msgspec.Struct, frozen=True):
    """One channel."""

    channel: str
    subscriber_count: int  # connections that listen now
    offset: int  # of the newest message; -1: there was none
    oldest: int | None = None  # offset of the oldest message that can be replayed; None: there is none


class ChannelRow(msgspec.Struct, frozen=True):
    """One channel in a list."""

    channel: str
    subscriber_count: int
    offset: int


class ChannelList(msgspec.Struct, frozen=True):
    """The answer of `GET /channels`."""

    total_connections: int  # of `/ws/broadcast`, in this namespace
    channels: list[ChannelRow]  # by name in byte order
    next: str | None  # `after` of the next page; None: this was the last


def channel_routes(seats: Seats, reading: Reading, may: May = by_scope) -> tuple[Route, ...]:
    """List and look. Channels that the caller may not listen to are not there."""

    async def listed(request: Request) -> Response:
        principal = _viewer(request)
        after, limit = request.query.get("after", ""), _limit(request.query)
        rows = await reading(lambda reader: _rows(reader, seats, principal.namespace.key, after, limit + 1))
        page = rows[:limit]
        return json_response(
            ChannelList(
                seats.connections(principal.namespace.key),
                [row for row in page if may(principal, row.channel, READ)],
                page[-1].channel if len(rows) > limit else None,
            )
        )

    async def shown(request: Request) -> Response:
        principal = _viewer(request)
        channel, namespace = check_channel(request.params["channel"]), principal.namespace.key
        if not may(principal, channel, READ):
            raise Forbidden("you may not listen to this channel", channel=channel)
        offset, oldest = await reading(lambda reader: _extent(reader, namespace, channel))
        return json_response(ChannelJson(channel, seats.count(namespace, channel), offset, oldest))

    def route(path: str, handler: Callable[[Request], Awaitable[Response]], summary: str, answer: type) -> Route:
        return Route("GET", path, handler, summary, scope=READ, lane=Lane.FAST, answer=answer, tags=("broadcast",))

    return (
        route("/channels", listed, "Channels with listeners or messages", ChannelList),
        route("/channels/{channel:path}", shown, "One channel: listeners, newest and oldest offset", ChannelJson),
    )


def _rows(reader: ChannelReader, seats: Seats, namespace: int, after: str, limit: int) -> list[ChannelRow]:
    """The first `limit` channels behind `after`, those stored and those only listened to, by name in byte order."""
    heads = reader.heads(namespace, prefix=stream_of(""), after=stream_of(after), limit=limit)
    offsets = {channel_of(head.stream): head.version for head in heads}
    live = [name for name in seats.channels(namespace) if name.encode() > after.encode()]
    names = sorted({*offsets, *live}, key=str.encode)[:limit]  # of both kinds, whatever is missing here lies behind
    return [ChannelRow(name, seats.count(namespace, name), offsets.get(name, -1)) for name in names]


def _extent(reader: ChannelReader, namespace: int, channel: str) -> tuple[int, int | None]:
    """Offsets of the newest message ever and of the oldest stored one."""
    head = reader.head(namespace, stream_of(channel))
    stored = reader.events(Query(namespace, stream_of(channel), limit=1))
    return -1 if head is None else head.version, stored[0].position if stored else None


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= MOST:
        raise Rejected(f"limit={text[:20]!r} is not a number from 1 to {MOST}")
    return int(text[:9])


def _viewer(request: Request) -> Principal:
    if request.principal is None:
        raise Unauthenticated("this needs a token")
    if request.principal.memories:
        raise Forbidden("this token is bound to memories, a list of channels shows the whole namespace")
    return request.principal
