"""The high-water mark: how far we have acknowledged, beside the database and synced apart from it.

A flipped bit in a write-ahead log silently drops every later transaction, and the database opens as if
nothing had happened. The mark remembers that there was more. One preallocated file with two slots, written
in turn: a torn write spoils one slot, never both.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

__all__ = ["Mark", "MarkFile"]

SLOT = 4096  # bytes: what a disk writes at once, or more
_LAYOUT = struct.Struct("<8sQQ16s")
_MAGIC = b"appmark1"
_CHECK = 16  # bytes of checksum after the layout


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """State of the ledger after a batch. `sum` is the digest sum of all events ever appended."""

    batch: int = 0
    appended: int = 0
    sum: int = 0

    def encode(self) -> bytes:
        body = _LAYOUT.pack(_MAGIC, self.batch, self.appended, self.sum.to_bytes(16, "little"))
        return (body + blake2b(body, digest_size=_CHECK).digest()).ljust(SLOT, b"\0")

    @staticmethod
    def decode(slot: bytes) -> Mark | None:
        """None: never written, torn or rotten."""
        body, check = slot[: _LAYOUT.size], slot[_LAYOUT.size : _LAYOUT.size + _CHECK]
        if len(body) < _LAYOUT.size or blake2b(body, digest_size=_CHECK).digest() != check:
            return None
        magic, batch, appended, total = _LAYOUT.unpack(body)
        return Mark(batch, appended, int.from_bytes(total, "little")) if magic == _MAGIC else None


class MarkFile:
    """Not thread-safe: one caller writes. `found` is the newest mark at opening, None if no slot was readable."""

    def __init__(self, path: Path) -> None:
        self.fresh = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._fd).st_size
        slots = [Mark.decode(os.pread(self._fd, SLOT, n * SLOT)) for n in (0, 1)]
        if size < 2 * SLOT:  # preallocated, so that later syncs carry data and no change of size
            os.pwrite(self._fd, b"\0" * (2 * SLOT - size), size)
            os.fsync(self._fd)
        readable = [mark for mark in slots if mark is not None]
        self.found = max(readable, default=None)
        self._next = 1 if self.found is not None and slots[0] == self.found else 0

    def write(self, mark: Mark) -> None:
        """Returns when the mark is on disk."""
        os.pwrite(self._fd, mark.encode(), self._next * SLOT)
        os.fdatasync(self._fd)
        self._next ^= 1

    def close(self) -> None:
        os.close(self._fd)
