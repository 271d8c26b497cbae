"""From where a client of the eventing streams goes on: behind the last event it has seen.

It names that event by its `seq`, which is its global position and the `id` of server-sent events, or by its
`event_id`. The number needs no look into the log, holds after retention has removed the event itself, and says by
itself whether it lies ahead (of a log that was emptied, or restored from a backup). The id is for clients that keep
ids only. Whatever is neither is answered with `ResyncRequired`: skipping silently would be a gap nobody hears of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from appliance.ids import canonical_uuid
from appliance.model.event import Event

__all__ = ["Find", "Passing", "Start", "begin_after", "last_seen", "nothing_goes_on"]

Find = Callable[[int, str], Awaitable[Event | None]]  # a namespace's stored event by its id
Passing = Callable[[int], Iterable[Event]]  # what goes on in a namespace now, as events told in passing

QUERY_NAMES = ("last_event_id", "lastEventId", "since")
DIGITS = 18  # of a position


def nothing_goes_on(namespace: int) -> Iterable[Event]:
    return ()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins."""

    since: int | None = None  # first global position wanted; None: only what comes
    lost: str = ""  # why the client's past cannot be shown; empty: it can, or none was asked for


def last_seen(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """What the client says it saw last; empty: nothing. The header wins: an `EventSource` that comes back
    repeats the query of its first request."""
    given = [headers.get("last-event-id", ""), *(query.get(name, "") for name in QUERY_NAMES)]
    return next((text.strip() for text in given if text.strip()), "")


async def begin_after(text: str, namespace: int, find: Find, newest: Callable[[int], int]) -> Start:
    """The way from the last event seen to a position.

    Args:
        text: a `seq` or an `event_id`; 0: everything; empty: only what comes.
        newest: global position of the newest event of a namespace.
    """
    if not text:
        return Start()
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        if int(text) > newest(namespace):
            return Start(lost="the log does not reach as far as this id")
        return Start(int(text) + 1)
    try:
        event = await find(namespace, canonical_uuid(text))
    except ValueError:
        return Start(lost="this is no id of an event")
    return Start(lost="the log has no event of this id") if event is None else Start(event.global_position + 1)
