"""Which events an endpoint is told of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.egress.filters import EventFilter
from appliance.egress.webhooks.endpoint import Endpoint
from appliance.egress.webhooks.wishes import wanted_types
from appliance.model.catalog import Catalog
from appliance.model.event import Event

__all__ = ["Wanted"]

OURS = "webhook."


@dataclass(frozen=True, slots=True)
class Wanted:
    """The endpoint's own wish, and no news of webhooks unless it asks for them: telling of trouble makes more of it.

    It never hears of its own trouble.
    """

    filter: EventFilter
    id: str

    @classmethod
    def of(cls, endpoint: Endpoint, catalog: Catalog) -> Wanted:
        """What `endpoint` asked for."""
        types = wanted_types(catalog, endpoint.events)
        return cls(EventFilter(catalog, types, endpoint.memories), endpoint.id)

    def passes(self, event: Event) -> bool:
        """Whether to tell it."""
        if event.ephemeral or not self.filter.passes(event):
            return False
        if not self.filter.catalog.of(event.type).dotted.startswith(OURS):
            return True
        return bool(self.filter.types) and event.stream != f"webhook-{self.id}"
