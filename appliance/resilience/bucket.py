"""So many in a minute, and a burst of them at once. Pure; `now` is monotonic seconds.

It is kept as the one moment when the bucket would be full again, so there is nothing to refill.

Source: the generic cell rate algorithm, ITU-T I.371.
"""

from __future__ import annotations

__all__ = ["Bucket"]

MINUTE = 60.0  # seconds


class Bucket:
    """
    Args:
        rate: of a minute, at least 1.
        burst: at once, when none came for a while; at least 1.
    """

    __slots__ = ("_full", "_slack", "_step")

    def __init__(self, rate: int, burst: int) -> None:
        self._step = MINUTE / rate
        self._slack = self._step * (burst - 1)
        self._full = float("-inf")  # when all of the burst is there again

    def take(self, now: float) -> float:
        """Seconds until one may be taken; 0: it is taken."""
        wait = self._full - self._slack - now
        if wait > 0:
            return wait
        self._full = max(self._full, now) + self._step
        return 0.0
