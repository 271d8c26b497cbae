"""Opening the log: the connection, the schema, and whether everything we acknowledged is there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import apsw
import structlog

from appliance import __version__
from appliance.errors import ConfigError, Corrupt, EventsLost
from appliance.model.event import Event
from appliance.storage.digest import MODULUS, digest_of, number_of
from appliance.storage.ports import Recovery
from appliance.storage.sqlite import pages
from appliance.storage.sqlite.copying import copy
from appliance.storage.sqlite.mark import Mark, MarkFile
from appliance.storage.sqlite.sql import KEY_BITS, MOST_ROWS, SQL, one, script

__all__ = ["SCHEMA_VERSION", "connect", "migrate", "read_ledger", "recover", "schema_of", "verify"]

log = structlog.get_logger("storage")

PATIENCE = 3.0  # seconds of a migration until the log is told, and from then on
STEPS = 100_000  # of SQLite's machine between two looks at the clock: some milliseconds
BREATH = 256  # events checked in one go: about a millisecond

APPLICATION_ID = 0x41505031  # "APP1", so that nobody takes another program's file for ours

_MIGRATIONS = sorted(
    (int(match[1]), entry.read_text())
    for entry in (files(__package__) / "migrations").iterdir()
    if (match := re.match(r"(\d+)_.*\.sql$", entry.name))
)
SCHEMA_VERSION = _MIGRATIONS[-1][0]


def connect(path: Path, *, vfs: str = "", durable: bool, reading: bool = False) -> apsw.Connection:
    """A connection with our settings. Only the writing one ever checkpoints."""
    db = apsw.Connection(str(path), vfs=vfs or None, statementcachesize=4 * MOST_ROWS)
    if not vfs:
        pages.reserve(db)
    script(db, SQL["pragmas"])
    if reading:
        db.wal_autocheckpoint(0)
        script(db, "PRAGMA query_only = ON; PRAGMA cache_size = -8000")
    else:
        script(db, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32000")
        script(db, f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    return db


def migrate(db: apsw.Connection, path: Path, waiting: Callable[[], object] = lambda: None) -> None:
    """Bring the schema forward, one transaction a step, after a copy of the file was put aside.

    Where that takes its time, the log is told every few seconds, and `waiting` is called.
    """
    version = schema_of(db, path)
    if 0 < version < SCHEMA_VERSION:
        aside = path.with_name(f"{path.name}.before-schema-{SCHEMA_VERSION}")
        if not aside.exists():  # else a migration was cut short: the first copy is the one to keep
            copy(db, aside, stop=_going_on(path, f"copying it to {aside.name}", waiting))
    for number, statements in _MIGRATIONS:
        if number > version:
            db.set_progress_handler(_going_on(path, f"schema {number} of {SCHEMA_VERSION}", waiting), STEPS)
            with db:
                script(db, statements)
                script(db, f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}")
    db.set_progress_handler(None)


def _going_on(path: Path, what: str, waiting: Callable[[], object]) -> Callable[[], bool]:
    """To be called often: tells the log every few seconds that this is still going on. Never asks to stop."""
    began = told = time.monotonic()

    def still() -> bool:
        nonlocal told
        now = time.monotonic()
        if now - told >= PATIENCE:
            told = now
            waiting()
            log.info("the log is brought to the schema of this program", file=path.name, now=what, s=round(now - began))
        return False

    return still


def schema_of(db: apsw.Connection, path: Path) -> int:
    """Version of the schema; 0: an empty file.

    Raises:
        ConfigError: the file is another program's, or a newer one's.
    """
    version: int = db.pragma("user_version")
    owner = db.pragma("application_id")
    if owner not in (0, APPLICATION_ID) or (version and owner != APPLICATION_ID):
        raise ConfigError(f"{path} is not a log of this program", hint="choose another data folder")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path} has schema {version}; appliance {__version__} knows up to {SCHEMA_VERSION}",
            hint="run the newer program, or restore a backup made by this one",
        )
    return version


def read_ledger(db: apsw.Connection) -> Mark:
    batch, appended, total = one(db, SQL["ledger"])
    return Mark(batch, appended, int(total, 16))


def recover(db: apsw.Connection, mark: MarkFile | None, *, accept_loss: bool) -> Recovery:
    """Compare the log with the high-water mark and verify what was written since the last checkpoint."""
    ledger = read_ledger(db)
    notes: list[str] = []
    lost = 0
    if mark is not None:
        lost = _compare(ledger, mark, notes, accept_loss=accept_loss)
        if mark.found is not None and mark.found.batch > ledger.batch:
            _skip_lost(db, lost, mark.found.batch)
        mark.begin(read_ledger(db))
    verified = sum(verify(db, key, since_checkpoint=True) for (key,) in db.execute("SELECT key FROM namespaces"))
    events = db.execute("SELECT coalesce(sum(messages), 0) FROM namespaces").get
    return Recovery(events, verified, lost, tuple(notes))


def _compare(ledger: Mark, mark: MarkFile, notes: list[str], *, accept_loss: bool) -> int:
    """How many acknowledged events are missing."""
    found = mark.found
    if found is None:
        if ledger.batch:
            what = "is missing" if mark.fresh else "cannot be read"
            notes.append(f"the high-water mark {what}: loss at the end of the log would not be noticed this time")
        return 0
    if found.batch == ledger.batch and found != ledger:
        raise Corrupt("the log and its high-water mark disagree", hint="restore the last proven backup")
    if found.batch <= ledger.batch:
        return 0
    lost = found.appended - ledger.appended
    if lost:
        told = f"{lost} acknowledged events are missing: the log ends at {ledger.appended} of {found.appended} written"
    else:
        told = "acknowledged changes are missing: of namespaces, tokens, state or what retention removed"
    if not accept_loss:
        raise EventsLost(
            told,
            hint="restore the last proven backup, or start with --accept-loss to go on without them",
            lost=lost,
        )
    notes.append(told)
    return lost


def _skip_lost(db: apsw.Connection, lost: int, batch: int) -> None:
    """Global positions and versions of state that may have been seen by somebody are not given again."""
    with db:
        db.execute("UPDATE namespaces SET newest = newest + ?", (lost,))
        db.execute("UPDATE ledger SET batch = ?", (batch,))


def verify(
    db: apsw.Connection,
    namespace: int,
    *,
    since_checkpoint: bool = False,
    breathe: Callable[[], None] = lambda: None,
) -> int:
    """Check every digest, and that their sum is what was written. Returns how many events were looked at.

    Args:
        breathe: called every few hundred events, so that a check beside a busy loop may give way.

    Raises:
        Corrupt: an event differs from what was written, or is missing.
    """
    _, _, written, removed, checkpoint, checkpoint_sum = one(db, SQL["load_namespace"], (namespace,))
    start, total = (checkpoint, int(checkpoint_sum, 16)) if since_checkpoint else (0, 0)
    count = 0
    rows = db.execute(
        f"SELECT {SQL['event_columns']}, e.digest FROM events e JOIN streams s ON s.key = e.stream "
        "WHERE e.key > ? AND e.key <= ? ORDER BY e.key",
        (namespace << KEY_BITS | start, (namespace + 1 << KEY_BITS) - 1),
    )
    for *fields, digest in rows:
        event = Event(*fields)
        computed = digest_of(
            event.global_position,
            event.position,
            event.time,
            event.id,
            event.stream,
            event.type,
            event.data,
            event.metadata,
        )
        if computed != digest:
            raise Corrupt(
                f"event {event.global_position} of namespace {namespace} is not what was written",
                hint="restore the last proven backup",
                global_position=event.global_position,
            )
        total += number_of(digest)
        count += 1
        if count % BREATH == 0:
            breathe()
    if (total + int(removed, 16) - int(written, 16)) % MODULUS:
        raise Corrupt(f"events of namespace {namespace} are missing", hint="restore the last proven backup")
    return count
