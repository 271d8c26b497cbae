"""How often a stranger may guess. Pure: the caller brings `now`, monotonic seconds."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from appliance.errors import LimitReached

__all__ = ["Attempts"]


@dataclass
class Attempts:
    """Makes an address wait that has brought too much which nobody was given.

    A bucket for each address: it holds `burst` attempts, a wrong one takes one out, and one comes back every so often.
    Whoever brings something good is not asked here.
    """

    burst: int = 30
    every: float = 60.0  # seconds until one comes back
    addresses: int = 4096  # remembered; the one silent for longest is forgotten
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)  # attempts left, at that time

    def check(self, address: str, now: float) -> None:
        """Raises LimitReached: it has guessed enough for now."""
        left = self._now(address, now)
        if left < 1:
            raise LimitReached(
                "too many wrong tokens or codes came from this address",
                retry_after=math.ceil((1 - left) * self.every),
            )

    def failed(self, address: str, now: float) -> None:
        """Count a wrong one.

        Raises:
            LimitReached: there was none left.
        """
        self.check(address, now)
        left = self._now(address, now) - 1
        self._left[address] = (left, now)
        self._left.move_to_end(address)
        if len(self._left) > self.addresses:
            self._left.popitem(last=False)

    def _now(self, address: str, now: float) -> float:
        left, since = self._left.get(address, (float(self.burst), now))
        return min(float(self.burst), left + (now - since) / self.every)
