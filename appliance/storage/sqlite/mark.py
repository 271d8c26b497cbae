"""The high-water mark: how far we have acknowledged, beside the database and synced apart from it.

A flipped bit in a write-ahead log silently drops every later transaction, and the database opens as if
nothing had happened. The mark remembers that there was more. One preallocated file with two slots, written
in turn: a torn write spoils one slot, never both.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import apsw

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
    """`found` is the newest mark at opening, None if no slot was readable. Any thread may write.

    `vfs` names a SQLite VFS to go through, so that a disk which fails for the log fails for its mark too.
    Everything here raises OSError.
    """

    def __init__(self, path: Path, vfs: str = "") -> None:
        self.fresh = not path.exists()
        self._file: _File = _VfsFile(path, vfs) if vfs else _Descriptor(path)
        size = self._file.size()
        slots = [Mark.decode(self._file.read(SLOT, n * SLOT)) for n in (0, 1)]
        if size < 2 * SLOT:  # preallocated, so that later syncs carry data and no change of size
            self._file.write(b"\0" * (2 * SLOT - size), size)
            self._file.sync()
        readable = [mark for mark in slots if mark is not None]
        self.found = max(readable, default=None)
        self._next = 1 if self.found is not None and slots[0] == self.found else 0
        self._newest = -1  # batch
        self._lock = threading.Lock()

    def begin(self, mark: Mark) -> None:
        """Forget what was found: both slots tell of `mark`, even if that is less than before."""
        with self._lock:
            self._put(mark)
            self._put(mark)

    def write(self, mark: Mark) -> None:
        """Returns when the mark, or a newer one, is on disk."""
        with self._lock:
            if mark.batch > self._newest:
                self._put(mark)

    def _put(self, mark: Mark) -> None:
        self._file.write(mark.encode(), self._next * SLOT)
        self._file.sync()
        self._next ^= 1
        self._newest = mark.batch

    def close(self) -> None:
        self._file.close()


class _File(Protocol):
    def size(self) -> int: ...

    def read(self, amount: int, offset: int) -> bytes: ...

    def write(self, data: bytes, offset: int) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


class _Descriptor:
    """The real file. Its name is synced too: a mark that vanishes with its directory entry warns of nothing."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def read(self, amount: int, offset: int) -> bytes:
        return os.pread(self._fd, amount, offset)

    def write(self, data: bytes, offset: int) -> None:
        os.pwrite(self._fd, data, offset)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:  # a second close would hit whoever got the number since
            os.close(fd)


class _VfsFile:
    """The same through a VFS."""

    FLAGS = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE

    def __init__(self, path: Path, vfs: str) -> None:
        with _as_os_error():
            self._file = apsw.VFSFile(vfs, str(path), [self.FLAGS, 0])

    def size(self) -> int:
        with _as_os_error():
            return self._file.xFileSize()

    def read(self, amount: int, offset: int) -> bytes:
        with _as_os_error():
            return self._file.xRead(amount, offset)

    def write(self, data: bytes, offset: int) -> None:
        with _as_os_error():
            self._file.xWrite(data, offset)

    def sync(self) -> None:
        with _as_os_error():
            self._file.xSync(apsw.SQLITE_SYNC_NORMAL)

    def close(self) -> None:
        self._file.xClose()


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise OSError(str(error)) from error
