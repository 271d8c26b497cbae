"""Authorization codes: what an admin has agreed to, waiting for the client to fetch it. Pure.

A code works once, within ten minutes, for the client, the address and the verifier it was made for. One that comes
twice was stolen on one of the two ways, so everything that came of it ends (RFC 6749, section 4.1.2). Only hashes are
held, and only in memory. The caller brings `now`, monotonic seconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass, field

from appliance.auth.oauth.refusals import OAuthError
from appliance.auth.tokens import hash_token
from appliance.errors import LimitReached

__all__ = ["LIFETIME", "Agreement", "Codes", "answers", "check_challenge"]

LIFETIME = 600.0  # seconds

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an admin has agreed to."""

    client: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    namespace: int
    memories: tuple[str, ...]
    family: str  # of the tokens that come of it


@dataclass
class Codes:
    """Each is good for one exchange."""

    lifetime: float = LIFETIME
    most: int = 1000  # held at once
    _held: OrderedDict[bytes, tuple[float, Agreement, int]] = field(default_factory=OrderedDict)  # end, what, uses

    def issue(self, code: str, agreement: Agreement, now: float) -> None:
        """Raises LimitReached: too many are out."""
        self._drop_expired(now)
        if len(self._held) >= self.most:
            raise LimitReached("too many codes are out", retry_after=60)
        self._held[hash_token(code)] = (now + self.lifetime, agreement, 0)

    def spend(self, code: str, now: float) -> tuple[Agreement | None, bool]:
        """What it is good for, and whether it has been spent before. None: not known, or expired."""
        self._drop_expired(now)
        digest = hash_token(code)
        if digest not in self._held:
            return None, False
        until, agreement, uses = self._held[digest]
        self._held[digest] = (until, agreement, uses + 1)
        return agreement, uses > 0

    def replayed(self, code: str) -> bool:
        """Whether it has come twice."""
        held = self._held.get(hash_token(code))
        return held is not None and held[2] > 1

    def _drop_expired(self, now: float) -> None:
        while self._held and next(iter(self._held.values()))[0] <= now:
            self._held.popitem(last=False)


def check_challenge(challenge: str, method: str) -> None:
    """Raises OAuthError: a sign-in without proof of who began it (RFC 7636) is not taken."""
    if method != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge is needed, with code_challenge_method=S256")


def answers(agreement: Agreement, client: str, redirect_uri: str, verifier: str) -> bool:
    """Whether the one who brings a code is the one who asked for it."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    right = hmac.compare_digest(digest, agreement.challenge.encode())
    return right and (agreement.client, agreement.redirect_uri) == (client, redirect_uri)
