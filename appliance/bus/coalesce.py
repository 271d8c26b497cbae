"""Merges what only its newest value matters of: progress, status.

    values of one key   1 2 3 4 5 6 .  .  .  7
    shown               1     . . 6          7        a window opens with the first, and with each one shown later
                        └window┘└window┘

The first value is shown at once, the newest when the window ends, which opens the next one; a window in which
nothing came is forgotten. An event that settles a key (its job is done) lets the held value go first and ends the
window, so nothing final is lost and nothing old comes after it. Pure: the caller brings `now`.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from appliance.model.event import Event

__all__ = ["Alarms", "Coalescer"]

Owner = TypeVar("Owner")


class _Window:
    __slots__ = ("ends", "held")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.held: Event | None = None


class Coalescer:
    """The windows of one audience.

    Args:
        window: seconds; more than 0.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._open: OrderedDict[str, _Window] = OrderedDict()  # what ends first is first: all last equally long
        self.coalesced = 0  # values that were never shown, because a newer one came

    @property
    def due(self) -> float:
        """When the next window ends; inf: none is open."""
        return next((window.ends for window in self._open.values()), math.inf)

    def offer(self, key: str, event: Event, now: float) -> bool:
        """Whether to show the newest value of `key` now; else it is held until its window ends."""
        window = self._open.get(key)
        if window is not None and now < window.ends:
            self.coalesced += window.held is not None
            window.held = event
            return False
        if window is not None:
            self.coalesced += window.held is not None
            del self._open[key]
        self._open[key] = _Window(now + self._window)
        return True

    def settle(self, key: str) -> Event | None:
        """End the window of `key`; what was held is to be shown first."""
        window = self._open.pop(key, None)
        return None if window is None else window.held

    def release(self, now: float) -> list[Event]:
        """What windows that have ended held; each opens anew."""
        ended = []
        for key, window in self._open.items():
            if window.ends > now:
                break
            ended.append((key, window.held))
        for key, held in ended:
            del self._open[key]
            if held is not None:
                self._open[key] = _Window(now + self._window)
        return [held for _, held in ended if held is not None]

    def let_go(self) -> list[Event]:
        """Everything held, before its time. The windows stay open."""
        held = [window.held for window in self._open.values() if window.held is not None]
        for window in self._open.values():
            window.held = None
        return held


class Alarms(Generic[Owner]):
    """When whose next window ends: one timer for all of them. An owner has one alarm at a time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Owner]] = []
        self._set: set[Owner] = set()
        self._order = count()

    @property
    def due(self) -> float:
        return self._heap[0][0] if self._heap else math.inf

    def set(self, owner: Owner, due: float) -> None:
        """Does nothing if the owner has an alarm: its windows last equally long, so that one is earlier."""
        if due < math.inf and owner not in self._set:
            self._set.add(owner)
            heapq.heappush(self._heap, (due, next(self._order), owner))

    def ring(self, now: float, release: Callable[[Owner], float]) -> None:
        """Call `release` for everyone who is due; it returns when that owner is due next (inf: not at all)."""
        while self._heap and self._heap[0][0] <= now:
            _, _, owner = heapq.heappop(self._heap)
            self._set.discard(owner)
            self.set(owner, release(owner))
