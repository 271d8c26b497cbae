"""POST /broadcast: a message to everybody who listens to a channel, kept in the log.

    {"channel": "order", "event": "item_added", "payload": {"entity_id": "123"}}

It is answered when the message is on disk and was offered to every socket of ours that keeps up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec

from appliance.errors import ApplianceError, Forbidden, Rejected, Unauthenticated
from appliance.ingress.door import Door
from appliance.ingress.jsontext import compact, decode
from appliance.ingress.labels import labelled
from appliance.model.channels import ORIGIN, May, Seating, by_scope, check_channel, stream_of
from appliance.model.event import Draft, Event
from appliance.model.http import Lane, Request, Response, Route, json_response
from appliance.model.ports import Pending
from appliance.model.principal import WRITE, Principal

__all__ = ["Broadcasts", "Message", "Sent"]

LONGEST_ORIGIN = 200  # characters


class Message(msgspec.Struct, frozen=True):
    """The body. The name of the event may be called `event` or `event_type`, its origin also `mutation_id`."""

    channel: str
    payload: msgspec.Raw  # an object
    event: str | None = None
    event_type: str | None = None
    origin: str | None = None  # what its writer calls itself, or the change it made; all who listen are told
    mutation_id: str | None = None
    exclude: str | None = None  # connection that is not told: the `connection_id` of its welcome
    memory: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """The answer, for clients of either form."""

    channel: str
    event: str
    event_type: str
    subscriber_count: int  # connections that listened when it was sent
    id: str
    offset: int
    success: bool = True
    status: str = "broadcasted"


class Broadcasts:
    """
    Args:
        seating: who listens.
        flushed: returns when all that was published was offered to everybody who keeps up.
        new_id: for a message.
        may: whether a caller may write to a channel.
    """

    def __init__(
        self,
        door: Door,
        seating: Seating,
        flushed: Callable[[], Awaitable[None]],
        new_id: Callable[[], str],
        *,
        may: May = by_scope,
    ) -> None:
        self._door = door
        self._seating = seating
        self._flushed = flushed
        self._new_id = new_id
        self._may = may

    def route(self) -> Route:
        return self._route("/broadcast", self.handle, "Send a message to a channel", scope=WRITE)

    def test_route(self, caller: Callable[[Request], Principal]) -> Route:
        """The same for test suites, which bring no token.

        Args:
            caller: as whom a request writes.
        """

        def handle(request: Request) -> Awaitable[Response]:
            request.principal = caller(request)
            return self.handle(request)

        return self._route("/test/broadcast", handle, "Send a message to a channel, without a token")

    def handle(self, request: Request) -> Awaitable[Response]:
        """Begun at once: messages that are pipelined are written together."""
        if request.principal is None:
            raise Unauthenticated("this needs a token")
        message = decode(request.body, Message)
        key = request.headers.get("idempotency-key", "")
        fingerprint = hashlib.sha256(request.body).digest() if key else b""
        sending = self.send(request.principal, message, key=key, fingerprint=fingerprint)

        async def answer() -> Response:
            return json_response(await sending)

        return answer()

    def send(
        self, who: Principal, message: Message, *, key: str = "", fingerprint: bytes = b""
    ) -> Coroutine[Any, Any, Sent]:
        """Begin to write a message; await the result to see it off.

        Args:
            key: the same key with the same `fingerprint` sends nothing again, and has the first answer's id and offset.

        Raises:
            Rejected: there can be no such message.
            Forbidden: the caller may not write to the channel, or not in the memory.
            TooLarge, KeyReused, LimitReached, Unavailable: as the door.
        """
        channel, draft = self._draft(message)
        if not self._may(who, channel, WRITE):
            raise Forbidden("you may not write to this channel", hint="ask for a wider scope", channel=channel)
        draft = labelled(draft, who, memory=message.memory or "")
        exclude = message.exclude or ""
        if exclude:  # told before it is written, since it may be sent before we know
            self._seating.hide(who.namespace.key, exclude, channel, draft.id)
        try:
            begun = self._door.write(who, [draft], key=key, fingerprint=fingerprint)
        except ApplianceError:
            self._seating.unhide(exclude, draft.id)
            raise
        return self._seen_off(who, channel, draft.id, exclude, begun)

    def _draft(self, message: Message) -> tuple[str, Draft]:
        channel = check_channel(message.channel)
        event = _one(message.event, message.event_type, "event and event_type")
        if not event:
            raise Rejected("the event has no name", hint='say what happened, for example "event": "item_added"')
        if not bytes(message.payload).startswith(b"{"):
            raise Rejected("payload is not an object", hint='send {} or, for example, {"entity_id": "123"}')
        origin = _one(message.origin, message.mutation_id, "origin and mutation_id")
        if len(origin) > LONGEST_ORIGIN:
            raise Rejected(f"an origin has up to {LONGEST_ORIGIN} characters")
        metadata = msgspec.json.encode({ORIGIN: origin}).decode() if origin else None
        return channel, Draft(stream_of(channel), event, compact(message.payload), metadata, self._new_id())

    async def _seen_off(
        self, who: Principal, channel: str, id: str, exclude: str, begun: Pending[Sequence[Event]]
    ) -> Sent:
        try:
            event = (await begun)[0]
        except ApplianceError:
            self._seating.unhide(exclude, id)
            raise
        if event.id != id:  # a repeat: nothing new was written
            self._seating.unhide(exclude, id)
        listeners = self._seating.count(who.namespace.key, channel)
        await self._flushed()
        return Sent(channel, event.type, event.type, listeners, event.id, event.position)

    def _route(
        self, path: str, handler: Callable[[Request], Awaitable[Response]], summary: str, scope: str | None = None
    ) -> Route:
        return Route(
            "POST", path, handler, summary,
            scope=scope, lane=Lane.FAST, request=Message, answer=Sent, tags=("broadcast",),
        )  # fmt: skip


def _one(first: str | None, second: str | None, names: str) -> str:
    """Two names for one thing."""
    if first is not None and second is not None and first != second:
        raise Rejected(f"{names} differ, and mean the same", hint="give one of them")
    return (first if first is not None else second) or ""
