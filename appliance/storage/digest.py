"""One digest per event, summed per namespace: how loss and rot are noticed.

Each row stores the digest of its own content. A namespace keeps the sum (modulo 2**128) of the digests of
everything ever written to it, retention keeps the sum of what it removed, so at any time

    sum(stored rows) + removed == written

A sum instead of a chain, since it does not care for order: an import may fill positions in any order, and
retention may take events out of the middle, without a single other row being rewritten. Positions are part of
what is digested, so two rows that swap places, or a row that vanishes, still show.
"""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["MODULUS", "SIZE", "digest_of", "number_of", "sum_text"]

SIZE = 16  # bytes
MODULUS = 1 << (8 * SIZE)


def digest_of(
    global_position: int, position: int, time: int, id: str, stream: str, type: str, data: str, metadata: str | None
) -> bytes:
    """Digest of one event. Every field is delimited by its length, so no two events share an encoding."""
    absent, meta = (1, "-") if metadata is None else (0, metadata)
    text = (
        f"{global_position} {position} {time} {id} {len(stream)} {len(type)} {len(data)} {absent} "
        f"{stream}{type}{data}{meta}"
    )
    return blake2b(text.encode(), digest_size=SIZE).digest()


def number_of(digest: bytes) -> int:
    return int.from_bytes(digest, "little")


def sum_text(total: int) -> str:
    """A sum as it is stored and shown: 32 hex digits."""
    return f"{total % MODULUS:032x}"
