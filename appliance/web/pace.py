"""How slowly a body may come: a minimum rate with a grace, so that a drip does not hold us for ever."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(slots=True)
class Pace:
    """Time credit of one body. Waiting spends it, bytes earn it back, never more than the grace.

    Only time in which *we* wait is charged: a handler that pulls slowly costs the peer nothing.
    """

    grace: float  # seconds
    rate: float  # bytes per second
    credit: float = 0.0
    since: float = 0.0

    def begin(self) -> None:
        """A new body."""
        self.credit = self.grace

    def wait(self, now: float) -> float:
        """We begin to wait for bytes. Returns when patience ends."""
        self.since = now
        return now + self.credit

    def came(self, now: float, count: int) -> None:
        """`count` bytes arrived."""
        self.credit = min(self.grace, self.credit - (now - self.since) + count / self.rate)
