"""What the name of a stream means: category, id, cardinal id, and the consumer that owns it.

`account-123+alice` is a stream of category `account`, its id is `123+alice`, its cardinal id `123`.
A name without a dash is a stream too, in the category of its own name, and has no id.
Source: Message DB 1.3.0, functions category, id, cardinal_id, hash_64.
"""

from __future__ import annotations

import hashlib

import msgspec

__all__ = ["cardinal_hash", "cardinal_id", "category_of", "correlation_of", "member_of"]


class _Correlated(msgspec.Struct):
    correlation: str | None = msgspec.field(name="correlationStreamName", default=None)


_decode = msgspec.json.Decoder(_Correlated).decode


def category_of(stream: str) -> str:
    return stream.partition("-")[0]


def cardinal_id(stream: str) -> str | None:
    """The part of the id before the first `+`; None for a name without a dash."""
    _, dash, rest = stream.partition("-")
    return rest.partition("+")[0] if dash else None


def cardinal_hash(stream: str) -> int | None:
    """Absolute value of Message DB's hash of the cardinal id; None if there is no id.

    0 <= hash <= 2**63 - 1: the one value whose absolute does not fit (2**63, probability 2**-64) is taken modulo 2**63.
    """
    cardinal = cardinal_id(stream)
    if cardinal is None:
        return None
    digest = hashlib.md5(cardinal.encode(), usedforsecurity=False).digest()
    return abs(int.from_bytes(digest[:8], "big", signed=True)) & 0x7FFF_FFFF_FFFF_FFFF


def member_of(stream: str, size: int) -> int | None:
    """Which of `size` consumers reads this stream; None: nobody."""
    hashed = cardinal_hash(stream)
    return None if hashed is None else hashed % size


def correlation_of(metadata: str | None) -> str | None:
    """Category of `metadata.correlationStreamName`, if that is a text."""
    if metadata is None or "correlationStreamName" not in metadata:
        return None
    try:
        name = _decode(metadata).correlation
    except msgspec.ValidationError:  # present, but not a text
        return None
    return None if name is None else category_of(name)
