"""Identifiers: UUIDv7 text, so that ids made later sort later."""

from __future__ import annotations

import uuid

__all__ = ["canonical_uuid", "uuid7"]


def uuid7(wall_us: int, entropy: bytes) -> str:
    """A version 7 UUID from a wall clock (microseconds) and 8 random bytes, of which 62 bits are used.

    The bits behind the millisecond hold its fraction: ids made one after another sort in that order, so that an
    index on them grows at its end.

    Source: RFC 9562, section 5.7, and section 6.2, method 3.
    """
    millis, micros = divmod(wall_us, 1000)
    high = (millis & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | (micros << 12) // 1000
    low = int.from_bytes(entropy, "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    h = (high << 64 | low).to_bytes(16, "big").hex()  # formatting each part on its own would cost twice as much
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def canonical_uuid(text: str) -> str:
    """Lower-case hyphenated form of any UUID spelling.

    Raises:
        ValueError: not a UUID.
    """
    return str(uuid.UUID(text))
