"""On whose behalf a handler runs: where, for whom, and why. What it writes says so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from appliance.ingress.labels import labelled
from appliance.model.catalog import View
from appliance.model.event import Draft, Event, Namespace
from appliance.model.principal import WRITE, Principal
from appliance.model.tracing import label_of

__all__ = ["Cause"]

Kind = Literal["user", "agent", "system"]
KINDS = frozenset({"user", "agent", "system"})


@dataclass(frozen=True, slots=True)
class Cause:
    """The place of one call."""

    space: Namespace
    memory: str = ""  # "": none
    actor: Mapping[str, str] = field(default_factory=dict)  # kind and id; empty: the plugin itself
    correlation: str = ""  # of the cause; "": its id, or that of the first event that is written
    id: str = ""  # of the event that is the reason; "": none
    trace: str = ""  # it goes on; "": that of the request being served, if any
    fingerprint: bytes = b""  # what makes two units with one idempotency key the same; empty: what they write

    @classmethod
    def of_event(cls, space: Namespace, event: Event, view: View) -> Cause:
        correlation, trace = view.correlation or event.id, label_of(event.metadata)
        return cls(space, view.memory, view.actor, correlation, event.id, trace, event.id.encode())

    def stamped(self, draft: Draft, plugin: str, correlation: str = "") -> Draft:
        """The draft with its labels; one that has some already keeps them.

        Args:
            correlation: where the cause has none.
        """
        if draft.metadata is not None:
            return draft
        kind = self.actor.get("kind", "")
        who = self.principal(plugin)
        return labelled(
            draft,
            who,
            memory=self.memory,
            correlation=self.correlation or correlation,
            causation=self.id,
            kind=cast(Kind, kind) if kind in KINDS else "system",
            trace=self.trace,
        )

    def principal(self, plugin: str) -> Principal:
        """Who writes. What may be written, the route's scope has decided, or the operator who runs the plugin."""
        subject = self.actor.get("id", "") if self.actor else f"plugin:{plugin}"
        return Principal(self.space, frozenset({WRITE}), subject=subject)
