"""How often a value was at most each of some bounds: a histogram, as monitoring systems read it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

__all__ = ["LATENCIES", "Buckets"]

LATENCIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Buckets:
    """Counts of values by size. Observing costs under a microsecond; reading is safe from another thread."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float] = LATENCIES) -> None:
        """`bounds`: ascending; above the last one everything is counted together."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0  # of all values

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def rows(self) -> Iterator[tuple[str, int]]:
        """Each bound as text, "+Inf" last, and how many values were at most that."""
        total = 0
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), list(self._counts), strict=True):
            total += count
            yield bound, total
