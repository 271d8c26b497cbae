"""SQLite's errors in our words: whose move is next, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import apsw

from appliance.errors import ApplianceError, Broken, Corrupt, Unavailable

__all__ = ["RESTORE", "explained", "explaining", "in_our_words"]

F = TypeVar("F", bound=Callable[..., Any])

RESTORE = "restore the last proven backup"


def in_our_words(error: Exception, path: Path) -> ApplianceError:
    """What an exception from SQLite, or from decoding what it stored, means for the one who asked."""
    name = path.name
    match error:
        case apsw.FullError():
            return Unavailable(
                "the disk is full: nothing can be written",
                hint=f"free space where {name} lives; reads go on, and writing resumes by itself",
                retry_after=5,
            )
        case apsw.CorruptError() | apsw.NotADBError() | UnicodeDecodeError():
            return Corrupt(f"{name} is damaged: {error}", hint=RESTORE)
        case apsw.IOError():
            kind = getattr(error, "extendedresult", None)
            if kind == apsw.SQLITE_IOERR_DATA:
                return Corrupt(f"{name} is damaged: a page is not what was written", hint=RESTORE)
            if kind in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC):
                # After a failed sync nobody knows what is on disk, and a second one would report success.
                return Broken(f"{name} could not be synced: {error}", hint="check the disk, then start again")
            return Unavailable(f"{name} cannot be read or written: {error}", hint="check the disk")
        case apsw.BusyError() | apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError() | OSError():
            return Unavailable(f"{name} cannot be opened: {error}", hint="check its owner and permissions")
    return Broken(f"{name} cannot be used: {error}", hint=RESTORE)


@contextlib.contextmanager
def explained(path: Path, forget: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Raise only our own errors; whatever fails, `forget` what was remembered of the database.

    A broken constraint passes: the caller knows which of its rows it was.
    """
    try:
        yield
    except (ApplianceError, apsw.ConstraintError):
        forget()
        raise
    except (apsw.Error, OSError) as error:
        forget()
        raise in_our_words(error, path) from error


def explaining(method: F) -> F:
    """The same for a method of something with a `path`, cheap enough for every read."""

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (apsw.Error, UnicodeDecodeError) as error:
            raise in_our_words(error, self.path) from error

    return call  # type: ignore[return-value]
