"""When events went over the bus: of the last while, and only in memory. Pure.

A batch is one note, and that all who keep up were handed it is another: nothing is kept for each event or reader.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from appliance.model.event import Event

__all__ = ["Passage", "Passages"]

KEPT = 4096  # batches of a namespace


@dataclass(slots=True)
class Passage:
    """A batch that was shown. Times are microseconds since 1970."""

    first: int  # global positions of its events
    last: int
    published: int
    handed: int = 0  # offered to every reader that was not behind; 0: not yet, or there was none


class Passages:
    """
    Args:
        kept: batches remembered of each namespace.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._spaces: dict[int, deque[Passage]] = {}
        self._waiting: list[Passage] = []

    def published(self, events: Sequence[Event], now_us: int, *, awaited: bool) -> None:
        """A batch, in the order of the log.

        Args:
            awaited: somebody is to be handed it; `handed` is called then.
        """
        first = {event.namespace: event.global_position for event in reversed(events)}
        for namespace, last in {event.namespace: event.global_position for event in events}.items():
            line = self._spaces.get(namespace)
            if line is None:
                line = self._spaces[namespace] = deque(maxlen=self._kept)
            if line and line[-1].last >= first[namespace]:  # the namespace was emptied, or older events are imported
                line.clear()
            line.append(Passage(first[namespace], last, now_us))
            if awaited:
                self._waiting.append(line[-1])

    def handed(self, now_us: int) -> None:
        """All that was published has been offered to every reader that is level."""
        for passage in self._waiting:
            passage.handed = now_us
        self._waiting.clear()

    def of(self, event: Event) -> Passage | None:
        """The batch a stored event was in; None: it is not remembered."""
        line = self._spaces.get(event.namespace, deque())
        place = bisect_left(line, event.global_position, key=attrgetter("last"))
        found = line[place] if place < len(line) else None
        return found if found is not None and found.first <= event.global_position else None
