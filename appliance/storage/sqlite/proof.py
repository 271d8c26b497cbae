"""Whether a log that nobody serves is whole: every page, every event, every count."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from appliance.errors import Corrupt, NotFound
from appliance.storage.digest import sum_text
from appliance.storage.ports import Proof
from appliance.storage.sqlite.copying import copy
from appliance.storage.sqlite.recover import SCHEMA_VERSION, connect, migrate, schema_of, verify
from appliance.storage.sqlite.sql import SQL, one
from appliance.storage.sqlite.trouble import RESTORE, explained

__all__ = ["prove", "tally"]

READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def prove(directory: Path, *, breathe: Callable[[], None] = lambda: None) -> tuple[Proof, ...]:
    """Check the whole log in `directory` without changing it, and tell what it holds, namespace by namespace.

    Raises:
        NotFound: there is no log.
        Corrupt: something in it is not what was written.
        ConfigError: it belongs to a newer program.
        Unavailable: it cannot be read.
    """
    path = _log_in(directory)
    with explained(path), _opened(path) as db:
        complaints = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
        if complaints != ["ok"]:
            raise Corrupt(f"{path.name} is damaged: {'; '.join(complaints)}", hint=RESTORE)
        spaces: list[tuple[Any, ...]] = db.execute(SQL["counts"]).fetchall()
        proofs = tuple(_proven(db, *space, breathe=breathe) for space in spaces)
        if db.execute(SQL["misplaced"]).get:
            raise Corrupt(f"{path.name} does not find its events where their streams have them", hint=RESTORE)
        if db.execute(SQL["misfiled"]).get:
            raise Corrupt(f"{path.name} does not find its state by what it is filed under", hint=RESTORE)
        return proofs


def tally(directory: Path) -> tuple[Proof, ...]:
    """What the log in `directory` says it holds, unchecked and unchanged; with what its write-ahead log adds.

    Raises as `prove`.
    """
    path = _log_in(directory)
    with explained(path), contextlib.closing(connect(path, durable=True, reading=True)) as db:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        schema_of(db, path)
        spaces: list[tuple[Any, ...]] = db.execute(SQL["counts"]).fetchall()
        return tuple(
            Proof(id, messages, one(db, SQL["counted"], {"key": key})[0], newest, _digest(db, key))
            for key, id, newest, messages in spaces
        )


def _log_in(directory: Path) -> Path:
    path = directory / "log.db"
    if not path.is_file():
        raise NotFound(f"there is no log in {directory}")
    return path


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    """The file as it is, or a copy of it with today's schema."""
    with contextlib.closing(_read_only(path)) as db:
        if schema_of(db, path) == SCHEMA_VERSION:
            yield db
            return
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            renewed = Path(folder) / path.name
            copy(db, renewed)
            with contextlib.closing(connect(renewed, durable=False)) as modern:
                migrate(modern, renewed)
                yield modern


def _read_only(path: Path) -> apsw.Connection:
    # Immutable: no locks and no files beside it, so that looking at a copy never changes it.
    return apsw.Connection(f"file:{quote(str(path.absolute()))}?immutable=1", flags=READ_ONLY)


def _proven(
    db: apsw.Connection, key: int, id: str, newest: int, messages: int, *, breathe: Callable[[], None]
) -> Proof:
    try:
        found = verify(db, key, breathe=breathe)
        digest = _digest(db, key)
    except (ValueError, TypeError) as error:  # a value of another type than we wrote
        raise Corrupt(f"an event of namespace {id!r} cannot be read: {error}", hint=RESTORE) from error
    streams, counted = one(db, SQL["counted"], {"key": key})
    if not found == messages == counted:
        raise Corrupt(f"namespace {id!r} holds {found} events and counts {messages}", hint=RESTORE)
    return Proof(id, messages, streams, newest, digest)


def _digest(db: apsw.Connection, key: int) -> str:
    _, _, written, removed, _, _ = one(db, SQL["load_namespace"], (key,))
    return sum_text(int(written, 16) - int(removed, 16))
