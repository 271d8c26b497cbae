"""A circuit breaker: who failed too often is left alone for a while, then asked once.

    closed ──failures──▶ open ──pause──▶ half open ──success──▶ closed
                          ▲                  │
                          └─────failure──────┘

Pure; `now` is monotonic seconds. While it is open nothing is tried, and nothing that waits has used up an attempt.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Breaker", "State"]


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """
    Args:
        failures: in a row, until it opens.
        pause: seconds until the first probe.
        longest: seconds; the pause doubles with each failed probe up to this.
    """

    def __init__(self, *, failures: int = 5, pause: float = 30.0, longest: float = 600.0) -> None:
        self._threshold = failures
        self._first_pause = pause
        self._longest = longest
        self._failures = 0  # in a row
        self._pause = pause
        self._since = 0.0  # when it opened, or began to probe
        self.state = State.CLOSED

    def wait(self, now: float) -> float:
        """Seconds until something may be tried; 0: now. An answer of 0 that is used is announced by `begin`."""
        if self.state is State.CLOSED:
            return 0.0
        return max(0.0, self._since + self._pause - now)

    def begin(self, now: float) -> bool:
        """Ask for leave to try. False: not now. While half open, only one has leave at a time."""
        if self.state is State.CLOSED:
            return True
        if self.wait(now) > 0:
            return False
        # A probe that never comes back (its task was cancelled) holds its place for one pause only.
        self.state, self._since = State.HALF_OPEN, now
        return True

    def succeeded(self) -> bool:
        """What was tried worked. Returns whether that closed it."""
        closed = self.state is not State.CLOSED
        self.state, self._failures, self._pause = State.CLOSED, 0, self._first_pause
        return closed

    def failed(self, now: float) -> bool:
        """What was tried did not work. Returns whether that opened it."""
        self._failures += 1
        if self.state is State.HALF_OPEN:
            self._pause = min(self._pause * 2, self._longest)
            self.state, self._since = State.OPEN, now
            return False
        if self.state is State.CLOSED and self._failures >= self._threshold:
            self.state, self._since = State.OPEN, now
            return True
        return False
