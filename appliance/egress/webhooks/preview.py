"""What would be sent for an event, without sending it: for tools that carry it the last step themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from appliance.egress.webhooks.bodies import Message, message
from appliance.egress.webhooks.endpoint import Endpoint, Format
from appliance.egress.webhooks.wanted import Wanted, canonical
from appliance.egress.webhooks.wishes import Name, Names
from appliance.errors import NotFound
from appliance.model.catalog import Catalog
from appliance.model.event import Event

__all__ = ["Ask", "Preview", "Seen"]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /api/v1/webhooks/preview` takes: an event, and a webhook or what one would be like."""

    event: str
    webhook: str | None = None  # what it was made with counts, and nothing below
    events: Names = ()
    format: Format = "envelope"
    memory: Name | None = None
    condition: str = ""


class Seen(msgspec.Struct, frozen=True):
    """What became of it."""

    event_id: str
    told: bool
    reason: str = ""  # why not
    message_id: str = ""
    type: str = ""
    content_type: str = ""
    attributes: tuple[tuple[str, str], ...] = ()  # headers of its format
    body: str = ""
    trace: str = ""  # the event's; empty: it belongs to none


class Preview:
    """
    Args:
        find: a namespace's stored event by its id.
        source: of a namespace, for CloudEvents.
    """

    def __init__(
        self, catalog: Catalog, find: Callable[[int, str], Awaitable[Event | None]], source: Callable[[int], str]
    ) -> None:
        self._catalog = catalog
        self._find = find
        self._source = source

    def endpoint(self, namespace: int, ask: Ask, memories: tuple[str, ...] | None) -> Endpoint:
        """One that is not there, as `ask` describes it. Raises BadCondition."""
        return Endpoint(
            "preview",
            namespace,
            sealed="",
            shown="",
            events=ask.events,
            memories=memories,
            format=ask.format,
            condition=canonical(ask.condition),
        )

    async def of(self, endpoint: Endpoint, id: str) -> Seen:
        """What `endpoint` would be sent. Raises NotFound."""
        event = await self._find(endpoint.namespace, id)
        if event is None:
            raise NotFound(f"there is no event {id[:100]}", hint="retention may have removed it")
        reason = Wanted.of(endpoint, self._catalog).misses(event)
        if reason:
            return Seen(event.id, told=False, reason=reason)
        sent: Message = message(event, self._catalog.view(event), endpoint.format, self._source(endpoint.namespace))
        return Seen(
            event.id, True, "", sent.id, sent.type, sent.content_type, sent.attributes, sent.body.decode(), sent.trace
        )
