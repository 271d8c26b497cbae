"""Codes that open a door once. Pure: the caller brings `now`, monotonic seconds.

Only a hash of a code is held, and only in memory: a restart ends them all. Spent and expired ones are remembered for
a while, so that whoever comes with one is told which it is.
"""

from __future__ import annotations

import base64
import hmac
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from appliance.auth.attempts import Attempts
from appliance.auth.tokens import hash_token
from appliance.errors import Unauthenticated

__all__ = ["CODE_BYTES", "LIFETIME", "Fate", "OneTimeCodes", "Visits"]

CODE_BYTES = 16  # 22 characters in a link: nobody guesses one, and the QR code stays small
LIFETIME = 15 * 60.0  # seconds

_NEXT = "run appliance link where the appliance runs: it prints a new one"
_THEFT = "if it was not you who used this one: appliance token list shows its token, appliance token revoke ends it"


class Fate(Enum):
    """What became of a code that somebody brings."""

    OPENS = "opens"
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class _Code:
    digest: bytes
    until: float
    used: bool = False


@dataclass
class OneTimeCodes:
    """Each code opens once, until it expires. Asking and spending is one step, so two cannot share one."""

    lifetime: float = LIFETIME
    kept: int = 16  # the oldest gives way to one more
    _codes: deque[_Code] = field(default_factory=deque)

    def issue(self, code: str, now: float) -> None:
        if len(self._codes) == self.kept:
            self._codes.popleft()
        self._codes.append(_Code(hash_token(code), now + self.lifetime))

    def spend(self, code: str, now: float) -> Fate:
        """OPENS, this once, or why not."""
        found = self._find(code)
        if found is None:
            return Fate.UNKNOWN
        if found.used:
            return Fate.USED
        if now >= found.until:
            return Fate.EXPIRED
        found.used = True
        return Fate.OPENS

    def give_back(self, code: str) -> None:
        """What it should have opened stayed shut: it may be tried again."""
        found = self._find(code)
        if found is not None:
            found.used = False

    def _find(self, code: str) -> _Code | None:
        digest, found = hash_token(code), None
        for each in self._codes:  # all of them, so that the time taken tells nothing
            if hmac.compare_digest(each.digest, digest):
                found = each
        return found


@dataclass
class Visits:
    """Who may come in with a code: once with a good one, and not at all after too many bad ones."""

    attempts: Attempts
    codes: OneTimeCodes = field(default_factory=OneTimeCodes)

    def issue(self, secret: bytes, now: float) -> str:
        """A new code, made of unpredictable bytes."""
        code = base64.urlsafe_b64encode(secret).decode().rstrip("=")
        self.codes.issue(code, now)
        return code

    def enter(self, code: str, address: str, now: float) -> None:
        """Spend the code.

        Raises:
            Unauthenticated: used, expired or never issued.
            LimitReached: this address has guessed too often.
        """
        self.attempts.check(address, now)
        match self.codes.spend(code, now):
            case Fate.OPENS:
                return
            case Fate.USED:
                raise _refused("this link has been used already", Fate.USED, f"{_NEXT}\n{_THEFT}")
            case Fate.EXPIRED:
                minutes = f"{self.codes.lifetime / 60:.0f} minutes"
                raise _refused(f"this link has expired: it worked for {minutes}", Fate.EXPIRED, _NEXT)
            case Fate.UNKNOWN:
                self.attempts.failed(address, now)
                raise _refused("this link is not known here; a restart ends links too", Fate.UNKNOWN, _NEXT)


def _refused(message: str, fate: Fate, hint: str) -> Unauthenticated:
    return Unauthenticated(message, hint=hint, reason=fate.value)
