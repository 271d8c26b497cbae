"""What became of an event at one place, or why nothing did: a row of the answer to "where did my event go?"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from appliance.model.event import Event
from appliance.model.principal import Principal

__all__ = ["Leg", "Outcome", "Why", "since_accepted"]

Outcome = Literal["done", "waiting", "failed", "skipped"]  # skipped: it was not for them, and `detail` says why


class Leg(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place an event went to, or might have."""

    kind: str  # "client", "webhook", "plugin", "job"
    name: str  # as people know it: "erp", "notes: ask_for_summary"
    outcome: Outcome
    detail: str = ""  # a sentence: "`data.total` is 90, needed > 100", "503, next attempt in 8 m"
    at: str = ""  # RFC 3339
    after_ms: float | None = None  # since the event was accepted
    id: str = ""  # of the client, delivery, job


def since_accepted(event: Event, at_us: int) -> float:
    """Milliseconds between the acceptance of a stored event and a moment of the wall clock; never less than 0."""
    return round(max(0, at_us - event.time) / 1000, 3)


Why = Callable[[Principal, Event], Awaitable[Sequence[Leg]]]  # what one room knows; the caller may see the event
