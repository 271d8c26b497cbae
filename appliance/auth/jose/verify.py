"""Whether a signed token is believed. Pure: the caller brings the time, seconds since 1970.

PyJWT checks signature, issuer and audience; the times are judged here, because the library asks the machine's clock.
What a token says about how it wants to be checked (`alg`, `jwk`, `jku`, `x5u`, `x5c`, `crit`) is compared or refused,
never followed. Source: RFC 8725, JSON Web Token Best Current Practices.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from appliance.auth.jose.keys import KID, KeyRing, VerifyingKey
from appliance.auth.jose.strict import Refused, Unverified, take_apart
from appliance.clock import MICROSECONDS

__all__ = ["Policy", "Signed", "verify"]

NAME = 200  # characters of a subject, an id, a memory

_HEADER = frozenset({"alg", "typ", "kid"})  # all that a header may hold
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_LATEST = 253_402_300_799  # the end of the year 9999
_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_MEMORY = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_LIBRARY = {  # what the library is to check
    "require": ["exp", "iat", "sub", "aud", "iss"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "enforce_minimum_key_length": True,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How far times may be off, and how long a token may live at all; seconds."""

    leeway: float = 30.0
    longest: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Signed:
    """What a token says, and somebody we know has signed it."""

    subject: str
    scopes: frozenset[str]
    namespace: str | None  # None: it names none
    memories: frozenset[str]
    expires: int  # microseconds since 1970, leeway included
    digest: str  # of issuer and jti, without one of everything it claims: by this it is revoked
    mark: str  # of the key


def verify(token: str, ring: KeyRing, policy: Policy, now: float) -> Signed:
    """What `token` says.

    Raises:
        Refused: it is not believed.
    """
    found = take_apart(token)
    key = _key_for(found.header, ring)
    try:
        jwt.decode(
            token,
            key.material,
            algorithms=[key.alg],
            audience=key.audience,
            issuer=key.issuer,
            options=_LIBRARY,  # type: ignore[arg-type]
        )
    except (PyJWTError, ValueError, TypeError) as error:
        raise Refused(f"{type(error).__name__}: {error}") from error
    return _judged(found, key, policy, now)


def _key_for(header: Mapping[str, Any], ring: KeyRing) -> VerifyingKey:
    strange = header.keys() - _HEADER
    if strange:
        raise Refused(f"its header holds {min(strange)}")
    typ, kid = header.get("typ", "JWT"), header.get("kid")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise Refused("it is another type of token")
    if "kid" in header and not (isinstance(kid, str) and KID.fullmatch(kid)):
        raise Refused("its kid is none")
    key = ring.pick(kid)
    if key is None:
        raise Refused("its key is not known")
    if header.get("alg") != key.alg:
        raise Refused("its algorithm is not the key's")
    return key


def _judged(found: Unverified, key: VerifyingKey, policy: Policy, now: float) -> Signed:
    claims = found.claims
    begin, end = _time(claims, "iat"), _time(claims, "exp")
    if not begin < end or end - begin > policy.longest:
        raise Refused("it lives too long, or not at all")
    if begin > now + policy.leeway:
        raise Refused("it was issued in the future")
    if "nbf" in claims and _time(claims, "nbf") > now + policy.leeway:
        raise Refused("it is not valid yet")
    if now >= end + policy.leeway:
        raise Refused("it has expired", expired=True)
    namespace = None if "ns" not in claims else _text(claims["ns"], "ns")
    return Signed(
        _text(claims["sub"], "sub"),
        _scopes(claims.get("scope", "")),
        namespace,
        _memories(claims),
        int((end + policy.leeway) * MICROSECONDS),
        _digest(claims, key),
        key.mark,
    )


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise Refused(f"{name} is no time")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > NAME or not _PLAIN.fullmatch(value):
        raise Refused(f"{name} is no plain text")
    return value


def _scopes(value: object) -> frozenset[str]:
    if not isinstance(value, str):
        raise Refused("scope is no text")
    return frozenset(value.split(" ")) - {""}


def _memories(claims: Mapping[str, Any]) -> frozenset[str]:
    if "memories" not in claims:
        return frozenset()
    value = claims["memories"]
    if not isinstance(value, list) or not value:  # nothing would mean all of them
        raise Refused("memories is no list of names")
    for name in value:
        if not isinstance(name, str) or len(name) > NAME or not _MEMORY.fullmatch(name):
            raise Refused("the name of a memory is none")
    return frozenset(value)


def _digest(claims: Mapping[str, Any], key: VerifyingKey) -> str:
    if "jti" in claims:
        told = f"{key.issuer}\njti\n{_text(claims['jti'], 'jti')}"
    else:
        told = f"{key.issuer}\nall\n{sorted(claims.items())}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]
