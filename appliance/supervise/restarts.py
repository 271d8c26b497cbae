"""When a crashed service comes back, and when it has crashed often enough. Pure: the caller brings `now`."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Limits", "Restarts"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much crashing is forgiven. All times in seconds."""

    budget: int = 5  # restarts in a row; the next crash is one too many
    settled: float = 60.0  # being ready for this long earns the whole budget back
    first_pause: float = 0.1  # doubled by every crash in a row
    longest_pause: float = 30.0


@dataclass(slots=True)
class Restarts:
    """Spends a budget of restarts with growing pauses; a service that settles gets it back.

    The budget counts crashes in a row, not crashes per minute: a service that needs half a minute to
    fail its start would otherwise stay within any rate for ever.
    """

    limits: Limits = field(default_factory=Limits)
    used: int = 0
    ready_at: float | None = None

    def ready(self, now: float) -> None:
        """It runs; from here on it may settle."""
        self.ready_at = now

    def crashed(self, now: float) -> float | None:
        """How long to pause before the next start. None: the budget is spent."""
        if self.ready_at is not None and now - self.ready_at >= self.limits.settled:
            self.used = 0
        self.ready_at = None
        self.used += 1
        if self.used > self.limits.budget:
            return None
        # The exponent is capped: a float overflows long before a generous budget is spent.
        return min(self.limits.first_pause * 2.0 ** min(self.used - 1, 60), self.limits.longest_pause)

    def forgive(self) -> None:
        """A person has looked at it: the whole budget again."""
        self.used = 0
