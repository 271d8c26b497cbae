"""The text of a token: `ns_` + base64url(namespace) + `_` + 64 hex digits.

The secret is the last 64 characters and the one before them separates it, so that a namespace whose
encoding contains `_` works too. What is stored is the SHA-256 of the whole text, never the text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

__all__ = ["SECRET_BYTES", "MalformedToken", "Token", "hash_token", "make_token", "parse_token"]

PREFIX = "ns_"
SECRET_BYTES = 32
SECRET_DIGITS = 2 * SECRET_BYTES

_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_NOT_BASE64URL = re.compile(r"[^A-Za-z0-9_-]")


class MalformedToken(ValueError):
    """The text cannot be a token; the message says why, in the words of the message-store API."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says about itself. Whether it is true only the stored hash can tell."""

    namespace: str
    text: str


def make_token(namespace: str, secret: bytes) -> str:
    """The text of a new token from 32 unpredictable bytes."""
    encoded = base64.urlsafe_b64encode(namespace.encode()).decode().rstrip("=")
    return f"{PREFIX}{encoded}_{secret.hex()}"


def hash_token(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def parse_token(text: str) -> Token:
    """Take a token apart.

    Raises:
        MalformedToken: it is none.
    """
    if not text.startswith(PREFIX):
        raise _malformed("missing 'ns_' prefix")
    rest = text[len(PREFIX) :]
    if "_" not in rest:
        raise _malformed("expected 2 parts after prefix, got 1")
    if len(rest) > SECRET_DIGITS and rest[-SECRET_DIGITS - 1] == "_":
        encoded, secret = rest[: -SECRET_DIGITS - 1], rest[-SECRET_DIGITS:]
    else:
        encoded, _, secret = rest.rpartition("_")
    _check_secret(secret)
    return Token(_decoded(encoded), text)


def _check_secret(secret: str) -> None:
    if len(secret) != SECRET_DIGITS:
        raise _malformed(f"random part must be {SECRET_DIGITS} hex characters, got {len(secret)}")
    wrong = _NOT_HEX.search(secret)
    if wrong is not None:
        raise _malformed(f"random part is not valid hexadecimal: invalid character {wrong.group()!r}")


def _decoded(encoded: str) -> str:
    wrong = _NOT_BASE64URL.search(encoded)  # the decoder would skip it
    if wrong is not None:
        raise _malformed(f"namespace part is not valid base64url: invalid character {wrong.group()!r}")
    try:
        namespace = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _malformed(f"namespace part is not valid base64url: {error}") from error
    if not namespace:
        raise _malformed("namespace is empty")
    return namespace


def _malformed(reason: str) -> MalformedToken:
    return MalformedToken(f"invalid token format: {reason}")
