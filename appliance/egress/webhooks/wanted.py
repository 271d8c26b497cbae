"""Which events an endpoint is told of, and why not of others. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.conditions import Condition, EvaluationError, compile, facts_of
from appliance.egress.filters import EventFilter
from appliance.egress.webhooks.endpoint import Endpoint
from appliance.egress.webhooks.wishes import wanted_types
from appliance.model.catalog import Catalog
from appliance.model.event import Event

__all__ = ["Wanted", "canonical"]

OURS = "webhook."


def canonical(condition: str) -> str:
    """A condition as it is kept; empty stays so.

    Raises:
        BadCondition: it cannot be read.
    """
    return compile(condition).text if condition else ""


@dataclass(slots=True)
class Wanted:
    """The endpoint's own wish, and no news of webhooks unless it asks for them: telling of trouble makes more of it.

    It never hears of its own trouble.
    """

    filter: EventFilter
    id: str
    condition: Condition | None = None
    unanswered: int = 0  # events for which the condition had no answer: they were not told
    trouble: str = ""  # why not, the last time

    @classmethod
    def of(cls, endpoint: Endpoint, catalog: Catalog) -> Wanted:
        """What `endpoint` asked for."""
        types = wanted_types(catalog, endpoint.events)
        condition = compile(endpoint.condition) if endpoint.condition else None
        return cls(EventFilter(catalog, types, endpoint.memories), endpoint.id, condition)

    def passes(self, event: Event) -> bool:
        """Whether to tell it."""
        if event.ephemeral or not self.filter.passes(event) or self._about_us(event):
            return False
        return self.condition is None or self._holds(self.condition, event)

    def misses(self, event: Event) -> str:
        """Why it is not told, in a sentence; empty: it is."""
        if event.ephemeral:
            return "what is told in passing is not sent"
        if reason := self.filter.misses(event):
            return reason
        if self._about_us(event):
            return "news of webhooks go only to those who ask for them, and never about themselves"
        if self.condition is None:
            return ""
        return self.condition.explain(facts_of(event, self.filter.catalog.view(event)))

    def _about_us(self, event: Event) -> bool:
        if not self.filter.catalog.of(event.type).dotted.startswith(OURS):
            return False
        return not self.filter.types or event.stream == f"webhook-{self.id}"

    def _holds(self, condition: Condition, event: Event) -> bool:
        try:
            return condition.holds(facts_of(event, self.filter.catalog.view(event)))
        except EvaluationError as error:
            self.unanswered += 1
            self.trouble = error.message
            return False
