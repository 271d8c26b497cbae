"""What became of an event everywhere, and what did not and why not: the answers of all rooms, joined."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.model.event import Event
from appliance.model.legs import Leg, Why
from appliance.model.principal import Principal

__all__ = ["all_legs", "happened"]


async def all_legs(whys: Sequence[Why], who: Principal, event: Event) -> list[Leg]:
    """Every place `who` may know of, room by room; in a room the earliest first, then what has no time."""
    found: list[Leg] = []
    for why in whys:
        legs = await why(who, event)
        found += sorted(legs, key=lambda leg: (leg.after_ms is None, leg.after_ms or 0.0))
    return found


def happened(legs: Sequence[Leg]) -> list[Leg]:
    """The way of the event alone, without where it did not go."""
    return [leg for leg in legs if leg.outcome != "skipped"]
