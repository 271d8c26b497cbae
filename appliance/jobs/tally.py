"""What the workers have done: since the start for metrics, and within the last hour for people. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.clock import MICROSECONDS
from appliance.jobs.job import Ending

__all__ = ["BOUNDS", "LastHour", "Spread", "Tally"]

BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)  # seconds

MINUTE = 60 * MICROSECONDS
HOUR = 60  # minutes


@dataclass(slots=True)
class Spread:
    """A histogram of durations: how many took no longer than each of `BOUNDS`, and one more for all the others."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0  # seconds

    def add(self, seconds: float) -> None:
        self.total += seconds
        place = next((n for n, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        self.buckets[place] += 1


@dataclass(slots=True)
class Tally:
    """Since the start."""

    outcomes: Counter[tuple[str, Ending]] = field(default_factory=Counter)  # attempts by type and how they ended
    durations: dict[str, Spread] = field(default_factory=dict)  # of attempts that ran to an end, by type
    queued: int = 0

    def ended(self, type: str, outcome: Ending, seconds: float | None = None) -> None:
        self.outcomes[type, outcome] += 1
        if seconds is not None:
            self.durations.setdefault(type, Spread()).add(seconds)


class LastHour:
    """Jobs that ended, by namespace, memory and minute."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[int, str, str], deque[list[int]]] = {}  # [minute, count], oldest first

    def clear(self) -> None:
        self._minutes.clear()

    def add(self, namespace: int, memory: str, status: str, at_us: int) -> None:
        minutes = self._minutes.setdefault((namespace, memory, status), deque())
        minute = at_us // MINUTE
        if minutes and minutes[-1][0] >= minute:
            minutes[-1][1] += 1
        else:
            minutes.append([minute, 1])

    def count(self, namespace: int, memories: Iterable[str] | None, status: str, now_us: int) -> int:
        """Those that ended so; None: of all memories."""
        oldest = now_us // MINUTE - HOUR
        wanted = None if memories is None else frozenset(memories)
        found = 0
        for (space, memory, how), minutes in list(self._minutes.items()):
            while minutes and minutes[0][0] <= oldest:
                minutes.popleft()
            if not minutes:
                del self._minutes[space, memory, how]
            elif space == namespace and how == status and (wanted is None or memory in wanted):
                found += sum(number for _, number in minutes)
        return found
