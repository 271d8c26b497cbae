"""Deliveries as people look at them: with what was sent, made again from the event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from appliance import __version__
from appliance.egress.webhooks.bodies import headers, message
from appliance.egress.webhooks.endpoint import Delivery, Endpoint, delivery_row
from appliance.errors import NotFound
from appliance.model.catalog import Catalog
from appliance.model.event import Event

__all__ = ["Showing"]

SIGNATURES = frozenset({"webhook-signature", "x-matric-signature", "x-fortemi-signature"})
HIDDEN = "(hidden)"
PLACEHOLDER = "-"  # signs what nobody sees


class _Shelf(Protocol):
    async def deliveries(self, endpoint: Endpoint, limit: int | None = None) -> list[Delivery]: ...


class Showing:
    """Rows of deliveries.

    Args:
        find: a namespace's stored event by its id.
        source: of a namespace, for CloudEvents.
    """

    def __init__(
        self,
        store: _Shelf,
        catalog: Catalog,
        find: Callable[[int, str], Awaitable[Event | None]],
        source: Callable[[int], str],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._find = find
        self._source = source

    async def rows(self, endpoint: Endpoint, limit: int) -> list[dict[str, object]]:
        """The newest ones, newest first, each with the event's payload."""
        found = []
        for delivery in await self._store.deliveries(endpoint, limit):
            event = await self._event(endpoint, delivery)
            found.append(delivery_row(delivery, None if event is None else msgspec.Raw(event.data.encode())))
        return found

    async def row(self, endpoint: Endpoint, id: str) -> dict[str, object]:
        """One, with its last request but for the signatures, which would be as good as the secret for a while.

        Raises:
            NotFound: no such delivery, or none that is kept.
        """
        delivery = await self.delivery(endpoint, id)
        event = await self._event(endpoint, delivery)
        row = delivery_row(delivery, None if event is None else msgspec.Raw(event.data.encode()))
        if event is None:
            return row | {"request": None}
        sent = message(event, self._catalog.view(event), endpoint.format, self._source(endpoint.namespace))
        lines = headers(sent, [PLACEHOLDER], webhook=endpoint.id, delivery=id, now_us=delivery.at, version=__version__)
        shown = {name: HIDDEN if name in SIGNATURES else value for name, value in lines}
        return row | {
            "request": {"method": "POST", "url": endpoint.shown, "headers": shown, "body": sent.body.decode()}
        }

    async def delivery(self, endpoint: Endpoint, id: str) -> Delivery:
        """Raises NotFound."""
        for delivery in await self._store.deliveries(endpoint):
            if delivery.id == id:
                return delivery
        raise NotFound(f"there is no delivery {id}", hint="the newest 1,000 of an endpoint are kept", delivery=id)

    async def _event(self, endpoint: Endpoint, delivery: Delivery) -> Event | None:
        if not delivery.event:
            return None
        return await self._find(endpoint.namespace, delivery.event)
