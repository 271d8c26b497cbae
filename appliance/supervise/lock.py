"""One process per data folder.

The lock is the kernel's (flock), not the file: a process that dies in any way lets go of it, and a stale
file keeps nobody out. The file only says who holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from appliance.errors import Conflict

__all__ = ["DataInUse", "Holder", "Lock", "holder"]


class Holder(msgspec.Struct, frozen=True):
    """Who has the data, as written in the lock file."""

    pid: int
    url: str = ""  # empty until it listens


class DataInUse(Conflict):
    """Another process works on this data."""

    code = "data_in_use"

    def __init__(self, folder: Path, by: Holder | None) -> None:
        who = "another process" if by is None else f"process {by.pid}"
        where = f", at {by.url}" if by is not None and by.url else ""
        super().__init__(
            f"the data in {folder} is in use by {who}{where}",
            hint="stop that one (`appliance stop`), or give this one a folder of its own with --data",
            pid=None if by is None else by.pid,
            url=None if by is None else by.url,
        )


class Lock:
    """Held from construction until `release`, or the end of the process."""

    def __init__(self, path: Path, *, folder: Path, pid: int) -> None:
        """`folder`: the data it stands for, named in the refusal.

        Raises:
            DataInUse: somebody else holds it.
        """
        self._pid = pid
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = holder(path)
            os.close(self._fd)
            raise DataInUse(folder, by) from None
        self.announce("")

    def announce(self, url: str) -> None:
        """Write down where we answer, for whoever meets the lock."""
        text = msgspec.json.encode(Holder(self._pid, url)) + b"\n"
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))

    def release(self) -> None:
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def holder(path: Path) -> Holder | None:
    """Who last wrote in the lock file; None: nobody, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None
