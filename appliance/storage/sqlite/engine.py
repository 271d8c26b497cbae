"""The writing half of the SQLite engine. See `storage.ports.Engine` for what it promises."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import apsw

from appliance.errors import ApplianceError, Broken, Duplicate, NotFound
from appliance.model.event import Event, Imported, Namespace, Query, Unit
from appliance.model.state import StateChange
from appliance.storage.digest import MODULUS, sum_text
from appliance.storage.ports import KEY_LIFETIME_US, Committed, Recovery, TokenRow
from appliance.storage.sqlite.batch import WIDTH, Batch
from appliance.storage.sqlite.copying import copy
from appliance.storage.sqlite.mark import Mark, MarkFile
from appliance.storage.sqlite.reader import SqliteReader, read_events
from appliance.storage.sqlite.recover import connect, migrate, read_ledger, recover
from appliance.storage.sqlite.retain import Retention
from appliance.storage.sqlite.sql import KEY_BITS, MASK, SQL, bulk, put
from appliance.storage.sqlite.state import State
from appliance.storage.sqlite.tail import Tail
from appliance.storage.sqlite.trouble import explained
from appliance.storage.sqlite.values import write_values

__all__ = ["SqliteEngine"]

PLACE_EVERY = 20_000  # events that are given their places together; what a start has to verify, and to remember
CHECKPOINT_PAGES = 16384  # of the write-ahead log, 64 MB

_PUT_EVENTS = bulk("put_events", WIDTH)
_PUT_STREAMS = bulk("put_streams", 4)
_PUT_PLACES = bulk("put_places_of", 3)


class SqliteEngine:
    """One file, one writer; open it with `SqliteEngine.open`."""

    kind = "sqlite"

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        mark: MarkFile | None,
        recovery: Recovery,
        *,
        vfs: str,
        place_every: int,
    ) -> None:
        self._db = db
        self._path = path
        self._mark = mark
        self._vfs = vfs
        self._place_every = place_every
        self._tail = Tail()
        self._state = State(db, self._tail)
        self._ledger = read_ledger(db)
        self._unplaced: set[int] = set()  # namespaces with events in the tail
        self._since = 0  # events in the tail, or more
        self._placed = False  # by the transaction that is open: the tail, if it commits, is empty
        self.recovery = recovery

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        durable: bool = True,
        vfs: str = "",
        accept_loss: bool = False,
        place_every: int = PLACE_EVERY,
        waiting: Callable[[], object] = lambda: None,
    ) -> SqliteEngine:
        """Open or create the log in `directory` (`log.db`, `log.mark`), migrate and verify it.

        Args:
            durable: False gives up every sync, for tests.
            vfs: name of a registered SQLite VFS.
            accept_loss: go on although acknowledged events are missing.
            place_every: how many events are given their places together (`tail.py` tells why).
            waiting: called every few seconds while an older log is brought to today's schema.

        Raises:
            EventsLost: acknowledged events are missing.
            Corrupt: stored bytes are not what was written.
            ConfigError: the file belongs to a newer program, or to another one.
            Unavailable: it cannot be opened now.
        """
        path = directory / "log.db"
        with explained(path):
            with contextlib.ExitStack() as opened:
                db = connect(path, vfs=vfs, durable=durable)
                opened.callback(db.close)
                migrate(db, path, waiting)
                mark = MarkFile(directory / "log.mark", vfs) if durable else None
                if mark is not None:
                    opened.callback(mark.close)
                recovery = recover(db, mark, accept_loss=accept_loss)
                db.wal_autocheckpoint(CHECKPOINT_PAGES)
                opened.pop_all()
            engine = cls(db, path, mark, recovery, vfs=vfs, place_every=place_every)
            engine._recall()
            return engine

    def commit(self, units: Sequence[Unit], *, now_us: int, new_ids: Iterator[str]) -> Committed:
        with explained(self._path, self._state.forget):
            self._state.trim()
            batch = self._batch(now_us, new_ids)
            outcomes = tuple([batch.add(unit) for unit in units])
            mark = self._write(batch) if batch else None
            return Committed(outcomes, tuple(batch.events), mark)

    def seal(self, mark: object) -> None:
        if self._mark is not None and isinstance(mark, Mark):
            try:
                self._mark.write(mark)
            except OSError as error:
                raise Broken(f"the high-water mark could not be synced: {error}") from error

    def import_batch(self, namespace: int, records: Sequence[Imported]) -> Committed:
        with explained(self._path, self._state.forget):
            self._state.trim()
            batch = self._batch(0, iter(()))
            try:
                for record in records:
                    batch.add_imported(namespace, record)
                mark = self._write(batch, imported=True) if batch else None
            except apsw.ConstraintError:
                self._state.forget()
                raise self._clash(namespace, records) from None
        events = tuple(batch.events)
        return Committed((events,), events, mark)

    def create_namespace(self, id: str, description: str, token: TokenRow, now_us: int) -> Namespace:
        with self._change():
            try:
                key = self._db.execute(SQL["create_namespace"], (id, description, now_us)).get
            except apsw.ConstraintError:
                raise Duplicate(f"namespace {id!r} exists already", namespace=id) from None
            self._put_token(replace(token, namespace=key))
        return Namespace(key, id, description, now_us)

    def delete_namespace(self, key: int) -> int:
        with self._change():
            count = self._drop_events(key)
            for table in ("tokens", "state", "state_index"):
                self._db.execute(f"DELETE FROM {table} WHERE namespace = ?", (key,))
            self._db.execute("DELETE FROM namespaces WHERE key = ?", (key,))
        return count

    def clear_namespace(self, key: int) -> int:
        with self._change():
            count = self._drop_events(key)
            self._db.execute(SQL["empty_namespace"], (key,))
        return count

    def put_token(self, row: TokenRow) -> None:
        with self._change():
            self._put_token(row)

    def change_state(self, changes: Sequence[StateChange]) -> int:
        if changes:
            unit = Unit(changes[0].namespace, (), changes=tuple(changes))
            committed = self.commit([unit], now_us=0, new_ids=iter(()))
            refusal = committed.outcomes[0]
            if isinstance(refusal, ApplianceError):
                raise refusal
            self.seal(committed.mark)
        return self._ledger.batch

    def retain(self, namespace: int, category: str, before_us: int, limit: int) -> int:
        with self._change():
            self._place()
            return Retention(self._db).remove(namespace, category, before_us, limit)

    def forget_receipts(self, now_us: int) -> int:
        with self._transaction(keep=True):
            self._db.execute(SQL["drop_receipts"], (now_us - KEY_LIFETIME_US,))
        return self._db.changes()

    def reader(self) -> SqliteReader:
        with explained(self._path):
            db = connect(self._path, vfs=self._vfs, durable=True, reading=True)
            return SqliteReader(db, self._path, self._tail)

    def backup(self, target: Path, *, stop: Callable[[], bool] = lambda: False) -> None:
        with explained(self._path):
            source = connect(self._path, vfs=self._vfs, durable=True, reading=True)
            with contextlib.closing(source):
                copy(source, target / self._path.name, stop=stop)

    def close(self) -> None:
        with contextlib.suppress(apsw.Error, ApplianceError):  # all of it is only to make the next start quicker
            if self._unplaced:
                with self._transaction():
                    self._place()
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        with contextlib.suppress(apsw.Error):  # its last checkpoint; closed it is
            self._db.close()
        if self._mark is not None:
            self._mark.close()

    def _recall(self) -> None:
        """Fill the tail with what an earlier process has left without places."""
        fits = True
        for namespace, stream, position, key, last in self._db.execute(SQL["unplaced"]):
            fits = self._tail.recall(namespace, stream, position, key) and position > last and fits
            self._unplaced.add(namespace)
            self._since += 1
        if not fits:  # imported before there were places, in another order than that of their streams
            with self._transaction():
                self._place()

    def _batch(self, now_us: int, new_ids: Iterator[str]) -> Batch:
        number = self._ledger.batch + 1
        return Batch(self._db, self._state, number=number, now_us=now_us, new_ids=new_ids, read=self._range)

    def _write(self, batch: Batch, *, imported: bool = False) -> Mark:
        ledger = self._ledger
        after = Mark(ledger.batch + 1, ledger.appended + len(batch.events), (ledger.sum + batch.sum) % MODULUS)
        self._since += len(batch.events)
        self._unplaced.update(batch.spaces)
        with self._tail.adding(() if imported else batch.events), self._transaction(keep=True):
            if imported:
                self._place()  # before, since what is imported may belong anywhere in its stream
            self._put_heads(batch)
            put(self._db, _PUT_EVENTS, batch.values)
            if imported:
                put(self._db, _PUT_PLACES, batch.places())
            elif self._since >= self._place_every:
                self._place()
            if batch.changed:
                write_values(self._db, batch.changed)
            for receipt in batch.receipts:
                self._db.execute(SQL["put_receipt"], receipt)
            self._advance(after)
        self._ledger = after
        self._settle(batch)
        return after

    def _put_heads(self, batch: Batch) -> None:
        for namespace, category in batch.categories.values():
            if category.fresh:
                self._db.execute(SQL["insert_category"], (category.key, namespace, category.name))
            self._db.execute(SQL["grow_category"], (category.streams, category.grown, category.key))
        streams: list[object] = []
        for namespace, head in batch.heads.values():
            streams += (head.key, namespace, head.name, head.category.key)
        put(self._db, _PUT_STREAMS, streams)
        latest = max([event.time for event in batch.events], default=0)
        for space in batch.spaces.values():
            row = (space.newest, space.grown, space.streams, latest, latest, space.widest)
            self._db.execute(SQL["grow_namespace"], (*row, sum_text(space.written), space.key))

    def _settle(self, batch: Batch) -> None:
        for _, head in batch.heads.values():
            head.fresh = False
        for _, category in batch.categories.values():
            category.fresh, category.grown, category.streams = False, 0, 0
        for space in batch.spaces.values():
            space.grown = space.streams = 0

    def _place(self) -> None:
        """Give every event its place. What we wrote and synced ourselves need not be verified by the next start."""
        for key in self._unplaced:
            space = self._state.space(key)
            self._db.execute(SQL["put_places"], (key << KEY_BITS | space.verified, key << KEY_BITS | space.newest))
            space.verified, space.verified_sum = space.newest, (space.written - space.removed) % MODULUS
            self._db.execute(SQL["verify_namespace"], (space.verified, sum_text(space.verified_sum), key))
        self._placed = True

    def _put_token(self, row: TokenRow) -> None:
        lists = (" ".join(row.scopes), " ".join(row.memories))
        values = (row.id, row.hash, row.namespace, *lists, row.name, row.created, row.expires, row.revoked)
        self._db.execute(SQL["put_token"], values)

    def _drop_events(self, key: int) -> int:
        count: int | None = self._db.execute("SELECT messages FROM namespaces WHERE key = ?", (key,)).get
        if count is None:
            raise NotFound("the namespace does not exist any more", namespace=key)
        self._place()
        self._db.execute(SQL["drop_places"], (key,))
        span = (key << KEY_BITS, key << KEY_BITS | MASK)
        self._db.execute("DELETE FROM events WHERE key BETWEEN ? AND ?", span)
        self._db.execute("DELETE FROM gaps WHERE first BETWEEN ? AND ?", span)
        for table in ("streams", "categories", "receipts"):
            self._db.execute(f"DELETE FROM {table} WHERE namespace = ?", (key,))
        return count

    def _range(self, namespace: int, first: int, count: int) -> list[Event]:
        return read_events(
            self._db, Query(namespace, global_position=first, through=first + count - 1), self._tail, whole=True
        )

    def _clash(self, namespace: int, records: Sequence[Imported]) -> Duplicate:
        """Which record of a refused import met something that exists."""
        seen: set[object] = set()
        for record in records:
            names = (record.global_position, record.id, (record.stream, record.position))
            stored = self._db.execute(
                SQL["taken"],
                {
                    "key": namespace << KEY_BITS | record.global_position,
                    "namespace": namespace,
                    "id": record.id,
                    "stream": record.stream,
                    "position": record.position,
                },
            ).get
            recent = self._tail.since(namespace, record.stream, record.position, 1)
            met = stored or (recent is not None and recent.first == record.position)
            if met or not seen.isdisjoint(names):
                break
            seen.update(names)
        return Duplicate(
            f"global position already exists: {record.global_position}", global_position=record.global_position
        )

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """A transaction that counts as a batch of its own: if it is lost, the next start says so."""
        after = replace(self._ledger, batch=self._ledger.batch + 1)
        with self._transaction():
            yield
            self._advance(after)
        self._ledger = after
        self.seal(after)

    def _advance(self, after: Mark) -> None:
        self._db.execute(SQL["advance_ledger"], (after.batch, after.appended, sum_text(after.sum)))

    @contextlib.contextmanager
    def _transaction(self, *, keep: bool = False) -> Iterator[None]:
        """All or nothing, synced on leaving. Unless `keep`, what the writer remembers is read again."""
        with explained(self._path, self._state.forget):
            self._placed = False
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            if self._placed:
                self._tail.clear()
                self._unplaced.clear()
                self._since = 0
            if not keep:
                self._state.forget()
