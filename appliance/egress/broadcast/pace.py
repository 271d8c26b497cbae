"""How fast a client may talk. Pure; `now` comes as an argument.

Nothing is thrown away: a client that says too much in a second is heard again when the second is over, and is warned.
Its frames wait in its own socket meanwhile. One that goes on like this is sent away.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace", "Patience"]

STRIKES = 10  # seconds of excess until a client is sent away
CALM = 10.0  # seconds without excess that make up for those before


@dataclass(frozen=True, slots=True)
class Patience:
    """What to do about a frame."""

    wait: float = 0.0  # seconds until it may be dealt with; more than none is excess
    over: bool = False  # the client is to be sent away


FINE = Patience()


class Pace:
    """One client's.

    Args:
        most: frames in a second.
    """

    __slots__ = ("_began", "_count", "_excess", "_most", "_strikes")

    def __init__(self, most: int) -> None:
        self._most = most
        self._began = float("-inf")  # of the second that counts
        self._count = 0
        self._strikes = 0
        self._excess = float("-inf")  # when it was last

    def came(self, now: float) -> Patience:
        """A frame came. Whoever is told to wait waits, and asks no more for this frame."""
        if now - self._began >= 1.0:
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= self._most:
            return FINE
        self._strikes = self._strikes + 1 if now - self._excess < CALM else 1
        self._excess = now
        wait = self._began + 1.0 - now
        self._began, self._count = self._began + 1.0, 1  # this frame is the first of the next second
        return Patience(wait, self._strikes >= STRIKES)
