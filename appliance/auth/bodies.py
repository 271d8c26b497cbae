"""JSON bodies of the routes of this room, and answers that nobody may keep. Pure."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from appliance.errors import Rejected

__all__ = ["SECRET", "decoded"]

T = TypeVar("T")

SECRET = (("cache-control", "no-store"),)  # for answers that hold a token


def decoded(body: bytes, type: type[T], *, like: str) -> T:
    """Raises Rejected: it is none; `like` is one that would do."""
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(str(error), hint=f"a body is like {like}") from error
