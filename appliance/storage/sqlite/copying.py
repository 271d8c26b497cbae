"""A consistent copy of a live database, in a file that is whole or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import apsw

from appliance.errors import Unavailable
from appliance.storage.sqlite.sql import script

__all__ = ["copy", "sync"]

PAGES = 1024  # copied in one go, 4 MB


def copy(source: apsw.Connection, target: Path, *, stop: Callable[[], bool] = lambda: False) -> None:
    """Copy what `source` sees now; writers go on. The file has no write-ahead log and is synced.

    Raises:
        Unavailable: `stop` said so.
    """
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        _fill(source, partial, stop)
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _fill(source: apsw.Connection, partial: Path, stop: Callable[[], bool]) -> None:
    with contextlib.closing(apsw.Connection(str(partial))) as copied, source:
        # A transaction that has read holds one state; without it the copy starts again at every commit.
        source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        script(copied, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")  # synced as a whole, afterwards
        with copied.backup("main", source, "main") as work:
            while not work.done:
                if stop():
                    raise Unavailable("the copy was given up: the appliance is stopping")
                work.step(PAGES)
        script(copied, "PRAGMA journal_mode = DELETE")
    partial.chmod(0o600)


def sync(path: Path) -> None:
    """Sync a file, or the names in a directory."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
