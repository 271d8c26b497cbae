"""The methods about messages: write, read, last, version. Validation keeps the API's own order and words."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from appliance.auth.dialect import invalid
from appliance.ingress import calls
from appliance.ingress.calls import Call, Message, batch_size, integer, is_given, object_text, options, text
from appliance.ingress.door import Door
from appliance.ingress.listing import Listing, Pages
from appliance.ingress.rpc import Method, Reply, reply
from appliance.model.event import Draft, Event, Head, Query
from appliance.model.http import Answer, Request, Response
from appliance.model.principal import READ, Principal

__all__ = ["Messages", "MessagesLog"]

NO_NAME = "streamName must be a non-empty string"
NO_CATEGORY = "categoryName must be a string"

_message = msgspec.json.Decoder(Message).decode


class MessagesLog(Pages, Protocol):
    def peek_version(self, namespace: int, stream: str) -> int | None: ...

    async def head(self, namespace: int, stream: str) -> Head | None: ...

    async def last(self, namespace: int, stream: str, type: str = "") -> Event | None: ...


class Messages:
    """`stream.*` and `category.get`."""

    def __init__(self, door: Door, log: MessagesLog) -> None:
        self._door = door
        self._log = log

    def methods(self) -> dict[str, Method]:
        return {
            "stream.write": self.write,
            "stream.writeMany": self.write_many,
            "stream.get": self.get,
            "stream.last": self.last,
            "stream.version": self.version,
            "category.get": self.category,
        }

    def write(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        call.needs(2, "stream.write requires at least 2 arguments: streamName and message")
        stream = text(call.first, NO_NAME)
        try:
            message = _message(call.second)
        except msgspec.ValidationError as error:
            raise invalid("message must be an object") from error
        type = text(message.type, "message.type must be a non-empty string")
        data = object_text(message.data, "message.data must be an object")
        metadata = calls.metadata_text(message.metadata, "message.metadata must be an object")
        id, expected = "", None
        if is_given(call.third):
            wanted = options(call.third, calls.WriteOptions)
            if is_given(wanted.id):
                id = text(wanted.id, "options.id must be a string", empty=True)
            if is_given(wanted.expected_version):
                expected = integer(wanted.expected_version, "options.expectedVersion", 0)
        return self._written(who, [Draft(stream, type, data, metadata, id, expected)], request, _receipt)

    def write_many(self, who: Principal, call: Call, request: Request) -> Answer | Awaitable[Answer]:
        """Messages for any streams, written together or not at all. BEYOND the reference.

        `["stream.writeMany", [{stream, type, data, metadata?, id?, expectedVersion?}, …]]` answers with one
        `{position, globalPosition}` for each. A message sees the versions that those before it make.
        """
        call.needs(1, "stream.writeMany requires at least 1 argument: messages")
        drafts = calls.messages(call.first)
        if not drafts:
            return reply([])
        return self._written(who, drafts, request, _receipts)

    def get(self, who: Principal, call: Call, request: Request) -> Answer | Awaitable[Answer]:
        call.needs(1, "stream.get requires at least 1 argument: streamName")
        stream = text(call.first, NO_NAME)
        wanted = options(call.second, calls.StreamOptions)
        position = integer(wanted.position, "options.position", 0)
        place = integer(wanted.global_position, "options.globalPosition", 0)
        limit = batch_size(wanted.batch_size)
        if is_given(wanted.global_position):
            position = 0
        query = Query(who.namespace.key, stream, position=max(position, 0), global_position=place, limit=limit)
        return self._listed(who, query)

    def category(self, who: Principal, call: Call, request: Request) -> Answer | Awaitable[Answer]:
        call.needs(1, "category.get requires at least 1 argument: categoryName")
        category = text(call.first, NO_CATEGORY, empty=True)
        wanted = options(call.second, calls.CategoryOptions)
        position = integer(wanted.position, "options.position", 1)
        place = integer(wanted.global_position, "options.globalPosition", position)
        limit = batch_size(wanted.batch_size)
        correlation = None
        if is_given(wanted.correlation):
            correlation = text(wanted.correlation, "options.correlation must be a string", empty=True)
        query = Query(
            who.namespace.key,
            categories=(category,) if category else (),
            global_position=place,
            limit=limit,
            correlation=correlation,
            group=calls.group_of(wanted.consumer_group),
        )
        return self._listed(who, query)

    def last(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        call.needs(1, "stream.last requires at least 1 argument: streamName")
        stream = text(call.first, NO_NAME)
        wanted = options(call.second, calls.LastOptions)
        type = text(wanted.type, "options.type must be a string", empty=True) if is_given(wanted.type) else ""
        who.require(READ)
        return Reply(self._last(who.namespace.key, stream, type), _as_is)

    async def _last(self, namespace: int, stream: str, type: str) -> Answer:
        event = await self._log.last(namespace, stream, type)
        if event is None:
            return reply(None)
        query = Query(namespace, stream, position=event.position, limit=1)
        return Response(200, (await self._log.page(query)).text.encode() + b"\n")

    def version(self, who: Principal, call: Call, request: Request) -> Answer | Awaitable[Answer]:
        call.needs(1, "stream.version requires at least 1 argument: streamName")
        stream = text(call.first, NO_NAME)
        who.require(READ)
        version = self._log.peek_version(who.namespace.key, stream)
        if version is None:
            return Reply(self._log.head(who.namespace.key, stream), _version_of)
        return _version(version)

    def _written(
        self, who: Principal, drafts: Sequence[Draft], request: Request, render: Callable[[Sequence[Event]], Answer]
    ) -> Awaitable[Answer]:
        key = request.headers.get("idempotency-key", "")
        fingerprint = hashlib.sha256(request.body).digest() if key else b""
        return Reply(self._door.write(who, drafts, key=key, fingerprint=fingerprint), render)

    def _listed(self, who: Principal, query: Query) -> Answer | Awaitable[Answer]:
        who.require(READ)
        if query.limit == 0:
            return reply([])
        listing = Listing(self._log, query)
        return Reply(listing.begin(), listing.answer)


def _receipt(events: Sequence[Event]) -> Answer:
    event = events[0]
    return Response(200, b'{"position":%d,"globalPosition":%d}\n' % (event.position, event.global_position))


def _receipts(events: Sequence[Event]) -> Answer:
    return reply([{"position": event.position, "globalPosition": event.global_position} for event in events])


def _version_of(head: Head | None) -> Answer:
    return _version(-1 if head is None else head.version)


def _version(version: int) -> Response:
    return Response(200, b"null\n" if version < 0 else b"%d\n" % version)


def _as_is(answer: Answer) -> Answer:
    return answer
