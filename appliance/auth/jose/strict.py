"""The text of a signed token, taken apart before anything in it is believed. Pure.

A stranger wrote every byte here, so sizes, depth, alphabet and duplicates are judged first, and the signature
is looked at only afterwards. One token has exactly one text: what decodes to the same bytes but is written
otherwise is refused, or a revoked token would return in other letters.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["LONGEST", "Refused", "Unverified", "take_apart"]

LONGEST = 8192  # characters of a token
HEADER = 1024  # bytes of the decoded header
DEPTH = 8  # of nested objects and lists
DIGITS = 20  # of a number: more is no time and no count

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Refused(Exception):
    """A token that is not believed. The reason is for tests and the log; strangers are told one thing."""

    def __init__(self, reason: str, *, expired: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expired = expired  # it was good once, so nobody is guessing


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says, as long as nobody has looked at its signature."""

    header: dict[str, Any]
    claims: dict[str, Any]


def take_apart(token: str) -> Unverified:
    """Header and claims of `token`.

    Raises:
        Refused: it is no signed token, or one that nobody honest writes.
    """
    if len(token) > LONGEST:
        raise Refused("too long")
    segments = token.split(".")
    if len(segments) != 3:
        raise Refused("not three parts")
    header, claims, _ = (_decoded(segment) for segment in segments)
    if len(header) > HEADER:
        raise Refused("the header is too long")
    return Unverified(_object(header), _object(claims))


def _decoded(segment: str) -> bytes:
    if not _SEGMENT.fullmatch(segment):
        raise Refused("not base64url")
    try:
        found = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError) as error:
        raise Refused("not base64url") from error
    if base64.urlsafe_b64encode(found).rstrip(b"=") != segment.encode():
        raise Refused("not canonical base64url")
    return found


def _object(text: bytes) -> dict[str, Any]:
    if _depth(text) > DEPTH:
        raise Refused("nested too deep")
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_int=_short, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON") from error
    if not isinstance(found, dict):
        raise Refused("not an object")
    return found


def _depth(text: bytes) -> int:
    deepest = now = 0
    for byte in _STRING.sub(b"", text):
        if byte in b"[{":
            now += 1
            deepest = max(deepest, now)
        elif byte in b"]}":
            now -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _short(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError("a number is too long")
    return int(digits)


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
