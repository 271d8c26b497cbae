"""Decides what one transaction will write, before any of it is written.

There is one writer, so what it read and remembers is the truth: version conflicts, repeated keys and taken
ids are known without trying. A unit that is refused leaves no trace, its neighbours in the batch go on, and
the SQL that follows cannot conflict. That replaces a savepoint per unit, at a fraction of its cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import cast

import apsw

from appliance.errors import ApplianceError, Duplicate, KeyReused, VersionConflict
from appliance.model.event import Draft, Event, Imported, Unit
from appliance.model.names import correlation_of
from appliance.storage.digest import MODULUS, digest_of, number_of
from appliance.storage.ports import KEY_LIFETIME_US
from appliance.storage.sqlite.sql import KEY_BITS, SQL
from appliance.storage.sqlite.state import Category, Head, Space, State
from appliance.storage.sqlite.values import Changed, decided

__all__ = ["WIDTH", "Batch", "Row"]

WIDTH = 12  # values of the row of an event

Row = tuple[object, ...]
ReadRange = Callable[[int, int, int], list[Event]]  # namespace, first global position, count


class Batch:
    """What one transaction will write, unit by unit, and what each unit is told."""

    def __init__(
        self,
        db: apsw.Connection,
        state: State,
        *,
        number: int,
        now_us: int,
        new_ids: Iterator[str],
        read: ReadRange,
    ) -> None:
        """`number` is the ledger's, and with it the version of every value that is changed here."""
        self._db = db
        self._state = state
        self._now = now_us
        self._ids = new_ids
        self._read = read
        self._taken: set[tuple[int, str]] = set()  # ids given by callers of this batch
        self._keys: dict[tuple[int, str], tuple[bytes, tuple[Event, ...]]] = {}
        self.events: list[Event] = []
        self.values: list[object] = []  # of the rows of events, one after the other
        self.receipts: list[Row] = []
        self.heads: dict[int, tuple[int, Head]] = {}  # the new ones by key, with the namespace
        self.categories: dict[int, tuple[int, Category]] = {}
        self.spaces: dict[int, Space] = {}
        self.sum = 0  # of the digests of this batch
        self.changed: Changed = {}  # small values
        self._number = number

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.events or self.changed or self.receipts)

    def add(self, unit: Unit) -> tuple[Event, ...] | ApplianceError:
        """Its events, old ones if its key was seen before, or why it is refused."""
        try:
            if unit.key:
                repeated = self._repeated(unit)
                if repeated is not None:
                    return repeated
            space = self._state.space(unit.namespace)
            changed = None
            if unit.changes or unit.checks:
                changed = decided(self._db, self._state, unit, self.changed, self._number)
            for draft in unit.drafts:
                if draft.id or draft.expected_version is not None:
                    self._check(unit)
                    break
        except ApplianceError as refusal:
            return refusal
        if changed:
            self.changed |= changed
        events = self._place(space, unit.drafts) if unit.drafts else ()
        if unit.key:
            self._remember(unit, events)
        return events

    def add_imported(self, namespace: int, record: Imported) -> None:
        space = self._state.space(namespace)
        head = self._state.head(namespace, record.stream)
        event = Event(
            namespace,
            record.stream,
            record.type,
            record.position,
            record.global_position,
            record.id,
            record.data,
            record.metadata,
            record.time,
        )
        number = self._write(space, head, event)
        space.newest = max(space.newest, event.global_position)
        self._account(space, number, (event,))

    def places(self) -> list[object]:
        """The rows of places of all events, in their order, one after the other."""
        values = cast("list[int]", self.values)
        rows = sorted(zip(values[1::WIDTH], values[2::WIDTH], values[::WIDTH], strict=True))
        return list(chain.from_iterable(rows))

    def _repeated(self, unit: Unit) -> tuple[Event, ...] | None:
        here = self._keys.get((unit.namespace, unit.key))
        if here is not None:
            fingerprint, events = here
        else:
            row = self._db.execute(SQL["find_receipt"], (unit.namespace, unit.key)).fetchone()
            if row is None or row[3] + KEY_LIFETIME_US <= self._now:
                return None
            fingerprint, first, count, _ = row
            events = self._first_events(unit, first, count) if fingerprint == unit.fingerprint else ()
        if fingerprint != unit.fingerprint:
            raise KeyReused(
                f"idempotency key {unit.key!r} was used with another body",
                hint="use a new key for a new request; a key is kept for 24 hours",
            )
        return events

    def _first_events(self, unit: Unit, first: int, count: int) -> tuple[Event, ...]:
        events = tuple(self._read(unit.namespace, first, count)) if count else ()
        if len(events) < count:
            raise Duplicate(
                f"retention has removed what idempotency key {unit.key!r} wrote",
                hint="use a new key to write it again",
                key=unit.key,
            )
        return events

    def _check(self, unit: Unit) -> None:
        """Expected versions and ids, draft after draft. Nothing has been changed when this raises."""
        versions: dict[str, int] = {}
        ids: set[tuple[int, str]] = set()
        for draft in unit.drafts:
            actual = versions.get(draft.stream)
            if actual is None:
                actual = self._state.head(unit.namespace, draft.stream).version
            if draft.expected_version is not None and draft.expected_version != actual:
                raise VersionConflict(draft.stream, expected=draft.expected_version, actual=actual)
            versions[draft.stream] = actual + 1
            if draft.id:
                self._claim(unit.namespace, draft.id, ids)
        self._taken |= ids

    def _claim(self, namespace: int, id: str, ids: set[tuple[int, str]]) -> None:
        name = (namespace, id)
        if name in ids or name in self._taken or self._db.execute(SQL["taken_id"], (id, namespace)).get:
            raise Duplicate(f"a message with id {id} exists already", hint="leave the id out to get a new one", id=id)
        ids.add(name)

    def _place(self, space: Space, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        """Events for the drafts of a unit that is not refused."""
        placed = []
        total = 0
        for draft in drafts:
            head = self._state.head(space.key, draft.stream)
            space.newest += 1
            event = Event(
                space.key,
                draft.stream,
                draft.type,
                head.version + 1,
                space.newest,
                draft.id or next(self._ids),
                draft.data,
                draft.metadata,
                self._now,
            )
            total += self._write(space, head, event)
            placed.append(event)
        self._account(space, total, placed)
        return tuple(placed)

    def _write(self, space: Space, head: Head, event: Event) -> int:
        """Note an event and what it does to its stream. Returns the number of its digest.

        Once per event, so it is the dearest line of the writer: what can be counted for a unit is in `_account`.
        """
        category = head.category
        if head.fresh and head.key not in self.heads:
            space.streams += 1
            category.streams += 1
            self.heads[head.key] = (space.key, head)
        if not category.grown:
            self.categories[category.key] = (space.key, category)
        category.grown += 1
        if event.position > head.version:
            head.version = event.position
        digest = digest_of(
            event.global_position,
            event.position,
            event.time,
            event.id,
            event.stream,
            event.type,
            event.data,
            event.metadata,
        )
        self.events.append(event)
        self.values += (
            space.key << KEY_BITS | event.global_position,
            head.key,
            event.position,
            category.key,
            head.cardinal,
            None if event.metadata is None else correlation_of(event.metadata),
            event.type,
            event.id,
            event.data,
            event.metadata,
            event.time,
            digest,
        )
        return number_of(digest)

    def _account(self, space: Space, total: int, events: Sequence[Event]) -> None:
        """What `events`, whose digests add up to `total`, do to their namespace."""
        space.grown += len(events)
        space.written = (space.written + total) % MODULUS
        self.sum = (self.sum + total) % MODULUS
        for event in events:
            width = len(event.data) if event.metadata is None else len(event.data) + len(event.metadata)
            if width > space.widest:
                space.widest = width
        self.spaces[space.key] = space

    def _remember(self, unit: Unit, events: tuple[Event, ...]) -> None:
        self._keys[unit.namespace, unit.key] = (unit.fingerprint, events)
        first = events[0].global_position if events else 0
        self.receipts.append((unit.namespace, unit.key, unit.fingerprint, first, len(events), self._now))
