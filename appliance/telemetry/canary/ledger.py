"""What became of the canary on each leg, against what is promised. Pure.

Each leg is timed from the moment the event was handed over. A leg that the event did not arrive on counts as late for
ever: it is a miss, and never an outlier that an average swallows.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

__all__ = ["LEGS", "CanaryJson", "Ledger", "LegJson"]

KEPT = 1440  # runs; one a minute is a day

# Leg: the promise in seconds, and the share of runs that keep it.
LEGS: Mapping[str, tuple[float, float]] = {
    "append": (0.010, 0.99),  # acknowledged, on disk
    "bus": (0.5, 0.95),  # offered to all live readers that keep up
    "websocket": (0.5, 0.95),
    "sse": (0.5, 0.95),
    "webhook": (0.5, 0.95),
}


class LegJson(msgspec.Struct, frozen=True):
    """One leg, as `GET /api/v1/canary` shows it. Times are milliseconds; None: there is none yet, or it was missed."""

    name: str
    state: str  # "ok"; "late": the promise is not kept; "failed": it did not arrive the last time; "waiting"
    last_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    promised_ms: float
    quantile: float  # share of runs the promise is for
    runs: int  # that the numbers are of
    misses: int  # of them


class CanaryJson(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/canary`."""

    state: str  # the worst of the legs; "off": it does not fly; "waiting": it has not flown yet
    every_s: float | None  # None: off
    flown_at: str | None  # RFC 3339
    trouble: str  # why the last run failed as a whole; "": it did not
    legs: list[LegJson]


@dataclass(slots=True)
class _Leg:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))  # inf: missed

    def quantile(self, share: float) -> float:
        """The nearest rank: what that share of the runs did not exceed."""
        ordered = sorted(self.times)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Ledger:
    """What was measured since the start, the newest day of it."""

    def __init__(self) -> None:
        self._legs = {name: _Leg() for name in LEGS}
        self._missed = dict.fromkeys(LEGS, 0)
        self.runs = 0

    def enter(self, times: Mapping[str, float]) -> None:
        """One run: seconds by leg; a leg that is not in there was missed."""
        self.runs += 1
        for name, leg in self._legs.items():
            taken = times.get(name, math.inf)
            leg.times.append(taken)
            self._missed[name] += taken == math.inf

    @property
    def state(self) -> str:
        """The worst of all legs."""
        states = {row.state for row in self.rows()}
        return next(state for state in ("waiting", "failed", "late", "ok") if state in states)

    @property
    def last(self) -> Mapping[str, float]:
        """Seconds of the last run, by leg, of those the event arrived on. Safe to ask from another thread."""
        newest = {name: leg.times[-1] for name, leg in self._legs.items() if leg.times}
        return {name: taken for name, taken in newest.items() if taken < math.inf}

    @property
    def misses(self) -> Mapping[str, int]:
        """Since the start, by leg. Safe to ask from another thread."""
        return self._missed.copy()

    def rows(self) -> list[LegJson]:
        return [self._row(name, leg) for name, leg in self._legs.items()]

    def _row(self, name: str, leg: _Leg) -> LegJson:
        promised, share = LEGS[name]
        if not leg.times:
            return LegJson(name, "waiting", None, None, None, None, promised * 1000, share, 0, 0)
        kept = leg.quantile(share) <= promised
        return LegJson(
            name,
            "failed" if leg.times[-1] == math.inf else "ok" if kept else "late",
            _ms(leg.times[-1]),
            _ms(leg.quantile(0.5)),
            _ms(leg.quantile(0.95)),
            _ms(leg.quantile(0.99)),
            promised * 1000,
            share,
            len(leg.times),
            sum(taken == math.inf for taken in leg.times),
        )


def _ms(seconds: float) -> float | None:
    return None if seconds == math.inf else round(seconds * 1000, 3)
