"""Where an event went: what caused it, what it caused, what happened for the same reason, and what became of it.

The log has no index of causes. Causes are found one by one by their id; what came of an event is looked for in a
stretch of the log behind it. Both ends are bounded, and the answer says how far the look reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from appliance.clock import stamp
from appliance.ids import canonical_uuid
from appliance.ingress.passages import Passage
from appliance.model.catalog import Catalog, View
from appliance.model.event import Event, Query
from appliance.model.legs import Leg, since_accepted

__all__ = ["Link", "Trace", "TraceLog", "traced"]

MOST_CAUSES = 20
LOOK_AHEAD = 500  # events behind the traced one
MOST_LINKS = 100

Seen = tuple[str, ...] | None  # memories; None: all


class TraceLog(Protocol):
    async def events(self, query: Query) -> list[Event]: ...


class Link(msgspec.Struct):
    """Another event of the chain."""

    event_id: str
    type: str
    stream: str
    seq: int
    relation: str  # "cause", "effect", "related"


class Trace(msgspec.Struct, omit_defaults=True):
    """All that is known of an event's way."""

    event_id: str
    type: str
    event_type: str
    stream: str
    position: int
    seq: int
    accepted_at: str
    actor: Mapping[str, str]
    looked_until: int  # global position up to which effects and related events were looked for
    chain: list[Link]
    legs: list[Leg]  # what became of it at each place
    bus_ms: float | None = None  # after it was accepted: shown to who is connected; absent: too long ago to tell
    handed_ms: float | None = None  # the same: offered to all of them who keep up
    memory: str = ""
    correlation_id: str = ""
    causation_id: str = ""


async def traced(
    event: Event,
    catalog: Catalog,
    log: TraceLog,
    find: Callable[[str], Awaitable[Event | None]],
    seen: Seen,
    legs: Sequence[Leg],
    passage: Passage | None,
) -> Trace:
    """The way of `event`, as somebody may see it who is shown the memories `seen`.

    Args:
        legs: what the rooms say of it.
        passage: when it went over the bus; None: not known.
    """
    view = catalog.view(event)
    causes = await _causes(event, catalog, find, seen)
    later = await log.events(
        Query(event.namespace, global_position=event.global_position + 1, limit=LOOK_AHEAD)
    )  # may be fewer: large events cut the list short
    return Trace(
        event_id=event.id,
        type=view.type.name,
        event_type=view.type.dotted,
        stream=event.stream,
        position=event.position,
        seq=event.global_position,
        accepted_at=stamp(event.time),
        actor=view.actor,
        looked_until=later[-1].global_position if later else event.global_position,
        chain=[*reversed(causes), *_later(event, view, later, catalog, seen)],
        legs=list(legs),
        bus_ms=None if passage is None else since_accepted(event, passage.published),
        handed_ms=since_accepted(event, passage.handed) if passage is not None and passage.handed else None,
        memory=view.memory,
        correlation_id=view.correlation,
        causation_id=view.causation,
    )


async def _causes(
    event: Event, catalog: Catalog, find: Callable[[str], Awaitable[Event | None]], seen: Seen
) -> list[Link]:
    """Nearest first, until one is unknown, hidden, or came up before."""
    links: list[Link] = []
    met = {event.id}
    cause = catalog.view(event).causation
    while cause and len(links) < MOST_CAUSES:
        try:
            found = await find(canonical_uuid(cause))
        except ValueError:  # a client may name causes that are no events
            break
        if found is None or found.id in met or not _visible(catalog.view(found), seen):
            break
        met.add(found.id)
        links.append(_link(found, catalog.view(found), "cause"))
        cause = catalog.view(found).causation
    return links


def _later(event: Event, view: View, later: Sequence[Event], catalog: Catalog, seen: Seen) -> list[Link]:
    """What the event caused, directly or by others, and what shares its correlation."""
    links: list[Link] = []
    caused = {event.id}
    for one in later:
        other = catalog.view(one)
        if not _visible(other, seen):
            continue
        if other.causation in caused:
            caused.add(one.id)
            links.append(_link(one, other, "effect"))
        elif view.correlation and other.correlation == view.correlation:
            links.append(_link(one, other, "related"))
        if len(links) == MOST_LINKS:
            break
    return links


def _visible(view: View, seen: Seen) -> bool:
    return seen is None or view.memory in seen


def _link(event: Event, view: View, relation: str) -> Link:
    return Link(event.id, view.type.name, event.stream, event.global_position, relation)
