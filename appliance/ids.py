"""Identifiers: UUIDv7 text, so that ids made later sort later."""

from __future__ import annotations

import uuid

__all__ = ["canonical_uuid", "uuid7"]


def uuid7(wall_us: int, entropy: bytes) -> str:
    """A version 7 UUID from a wall clock (microseconds) and 10 random bytes.

    Source: RFC 9562, section 5.7.
    """
    millis = (wall_us // 1000) & 0xFFFF_FFFF_FFFF
    raw = millis.to_bytes(6, "big") + entropy
    h = raw[:6].hex() + f"{0x70 | raw[6] & 0x0F:02x}{raw[7]:02x}{0x80 | raw[8] & 0x3F:02x}" + raw[9:16].hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def canonical_uuid(text: str) -> str:
    """Lower-case hyphenated form of any UUID spelling.

    Raises:
        ValueError: not a UUID.
    """
    return str(uuid.UUID(text))
