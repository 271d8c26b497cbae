"""Tickets: a browser's WebSocket shows one in its address, once, within half a minute. Pure.

Only hashes are held, and only in memory. The caller brings `now`, monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from appliance.auth.tokens import hash_token
from appliance.errors import LimitReached
from appliance.model.principal import Principal

__all__ = ["LIFETIME", "Tickets"]

LIFETIME = 30.0  # seconds


@dataclass
class Tickets:
    """Each lets its holder in once, with the rights of whoever asked for it."""

    lifetime: float = LIFETIME
    most: int = 10_000  # held at once
    _held: OrderedDict[bytes, tuple[float, Principal]] = field(default_factory=OrderedDict)  # end, whose; oldest first

    def issue(self, text: str, principal: Principal, now: float) -> None:
        """Raises LimitReached: too many are out."""
        self._drop_expired(now)
        if len(self._held) >= self.most:
            raise LimitReached("too many tickets are out", retry_after=int(self.lifetime))
        self._held[hash_token(text)] = (now + self.lifetime, principal)

    def spend(self, text: str, now: float) -> Principal | None:
        """Whose it is, this once. A table of hashes of unpredictable texts tells nothing by its timing."""
        self._drop_expired(now)
        _, principal = self._held.pop(hash_token(text), (0.0, None))
        return principal

    def _drop_expired(self, now: float) -> None:
        while self._held and next(iter(self._held.values()))[0] <= now:
            self._held.popitem(last=False)
