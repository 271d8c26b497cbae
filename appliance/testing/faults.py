"""A disk that fails on request, and that forgets at a crash what was never synced.

It is a SQLite VFS that inherits the real one (shared memory too, so that WAL works), on real files in a
temporary folder. Nothing is really synced: a sync only declares what a crash may no longer take. Between two
syncs the disk keeps the bytes that were there before, per sector; a crash then undoes a seeded part of them.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType

import apsw

__all__ = ["Fault", "FaultyDisk"]

SECTOR = 512  # bytes: the least a disk writes at once
PAGE = 4096  # and what most write at once
_CODES = {"read": apsw.SQLITE_IOERR_READ, "write": apsw.SQLITE_IOERR_WRITE, "sync": apsw.SQLITE_IOERR_FSYNC}
_numbers = count(1)


@dataclass(slots=True)
class Fault:
    """Calls of one kind that fail."""

    call: str  # "read", "write" or "sync"
    at: int = 1  # the first that fails, counted from now
    times: int | None = 1  # how many fail; None: all from then on
    full: bool = False  # a write as on a full disk, instead of a broken one; reads and syncs have no words for that
    hits: int = 0

    @property
    def code(self) -> int:
        """What SQLite is told. Whatever a sync fails of, the system's VFS tells it as a sync that failed."""
        return apsw.SQLITE_FULL if self.full and self.call == "write" else _CODES[self.call]

    def strikes(self) -> bool:
        """Count one call down."""
        self.at -= 1
        if self.at > 0 or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class _Unsynced:
    """What a crash may still undo in one file."""

    size: int  # when it was last synced
    born: bool = False  # created and never synced: the file itself may be gone
    before: dict[int, bytes] = field(default_factory=dict)  # sector -> what a crash may bring back


BASE = "unix"  # below page checksums, which cannot lie between SQLite and a disk of ours


class FaultyDisk(apsw.VFS):
    """Give its `name` to `SqliteEngine.open(..., vfs=name)`. Use as a context manager."""

    def __init__(self) -> None:
        self.name = f"faulty-{next(_numbers)}"
        self.lying: tuple[str, ...] = ()  # ends of names of files whose syncs report success and do nothing
        self.calls: Counter[str] = Counter()
        self._faults: list[Fault] = []
        self._unsynced: dict[str, _Unsynced] = {}
        self._off = False
        super().__init__(self.name, BASE)

    def __enter__(self) -> FaultyDisk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_connections()
        self.unregister()

    @property
    def off(self) -> bool:
        """Whether the power is cut."""
        return self._off

    def fail(self, call: str, *, at: int = 1, times: int | None = 1, full: bool = False) -> Fault:
        """Let the `at`-th such call from now fail, and `times` in a row."""
        fault = Fault(call, at, times, full)
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """No more faults."""
        self._faults.clear()

    def cut_power(self) -> None:
        """From now on nothing reaches the disk: every call fails, until `crash` says what a restart finds."""
        self._off = True

    def crash(self, rng: Random) -> None:
        """Cut the power: close every connection without another write, then lose a part of what was not synced.

        Each unsynced sector (or page: one grain per crash) keeps what was written last or returns to what was
        there before. How many do is part of the chance: none, some or all.
        """
        self.cut_power()
        self._close_connections()
        self._off = False
        self.heal()
        grain, share = rng.choice((SECTOR, PAGE)) // SECTOR, rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for path, unsynced in sorted(self._unsynced.items()):
            _undo(Path(path), unsynced, grain, share, rng)
        self._unsynced.clear()

    def _close_connections(self) -> None:
        for connection in apsw.connections():
            if connection.open_vfs == self.name:
                with suppress(apsw.Error):  # without power its last checkpoint fails, as it should
                    connection.close(True)

    # -- what SQLite calls

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        known = path is None or path in self._unsynced or Path(path).exists()
        file = _File(self, path or "", name, flags)
        if path is not None and not known:
            self._unsynced[path] = _Unsynced(0, born=True)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.check_power()
        self._unsynced.pop(filename, None)
        super().xDelete(filename, syncdir)

    # -- what its files call

    def called(self, call: str) -> None:
        """Count a call; raise if it is to fail."""
        self.check_power()
        self.calls[call] += 1
        for fault in self._faults:
            if fault.call == call and fault.strikes():
                raise _failure(fault.code)

    def check_power(self) -> None:
        if self._off:
            raise _failure(apsw.SQLITE_IOERR_WRITE)

    def keep(self, file: _File, offset: int, end: int) -> None:
        """Remember what the sectors of a write hold now, unless an earlier write since the last sync did."""
        if not file.path:  # a temporary file has no name and no future
            return
        size = file.xFileSize()
        unsynced = self._unsynced.setdefault(file.path, _Unsynced(size))
        for sector in range(offset // SECTOR, (end + SECTOR - 1) // SECTOR):
            if sector not in unsynced.before:
                unsynced.before[sector] = file.peek(sector * SECTOR, SECTOR) if sector * SECTOR < size else b""

    def settle(self, path: str) -> None:
        """A sync: nothing of this file can be lost any more."""
        if not path.endswith(self.lying):
            self._unsynced.pop(path, None)


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, path: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(BASE, name, flags)
        self._disk = disk
        self.path = path

    def peek(self, offset: int, amount: int) -> bytes:
        return super().xRead(amount, offset)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.called("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.called("write")
        self._disk.keep(self, offset, offset + len(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.called("write")
        self._disk.keep(self, newsize, self.xFileSize())
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.called("sync")
        self._disk.settle(self.path)


def _failure(code: int) -> apsw.Error:
    kind = apsw.FullError if code == apsw.SQLITE_FULL else apsw.IOError
    error = kind("injected fault")
    error.extendedresult = code  # type: ignore[union-attr]  # apsw hands it on to SQLite
    return error


def _undo(path: Path, unsynced: _Unsynced, grain: int, share: float, rng: Random) -> None:
    """Bring back what was there before, in a random part of the sectors."""
    if not path.exists():
        return
    if unsynced.born and rng.random() < share:
        path.unlink()
        return
    content = bytearray(path.read_bytes())
    after = len(content)
    lost = {unit for unit in sorted({sector // grain for sector in unsynced.before}) if rng.random() < share}
    for sector, before in unsynced.before.items():
        if sector // grain in lost:
            start = sector * SECTOR
            content.extend(bytes(max(0, start + len(before) - len(content))))
            end = min(start + SECTOR, len(content))
            content[start:end] = before.ljust(end - start, b"\0")[: end - start]
    # The size is written apart from the sectors: the old one, the new one, or on the way.
    size = rng.choice((unsynced.size, after, rng.randint(min(unsynced.size, after), max(unsynced.size, after))))
    path.write_bytes(bytes(content[:size]).ljust(size, b"\0") if share else bytes(content[:after]))
