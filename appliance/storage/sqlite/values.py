"""Decides what one transaction does to small values, before any of it is written.

As with events: there is one writer, so what it reads is the truth, and a unit that is refused leaves no trace.
Nothing is remembered from one transaction to the next; a value is looked up when somebody checks or changes it.
"""

from __future__ import annotations

from typing import NamedTuple

import apsw
import msgspec

from appliance.model.event import Unit
from appliance.model.state import Index, StateChange, StateCheck, check_version
from appliance.storage.sqlite.sql import SQL, bulk, put
from appliance.storage.sqlite.state import State

__all__ = ["Changed", "decided", "write_values"]

Pairs = frozenset[tuple[str, str]]
Place = tuple[int, str, str]  # namespace, owner, key
Entry = tuple[int, str, str, str, str]  # of the index: namespace, owner, name, value, key

_PUT_STATE = bulk("put_state", 6)

_NO_PAIRS: Pairs = frozenset()
_PAIRS = msgspec.json.Decoder(Index)


class _Value(NamedTuple):
    """What a place holds after the units so far, and what the database has of it."""

    version: int  # 0: nothing
    value: str | None = None  # of a change
    pairs: Pairs = _NO_PAIRS
    stored: bool = False
    found_by: Pairs = _NO_PAIRS  # in the database

    def become(self, change: StateChange, version: int) -> _Value:
        if change.value is None:
            return _Value(0, None, _NO_PAIRS, self.stored, self.found_by)
        return _Value(version, change.value, frozenset(change.index), self.stored, self.found_by)


Changed = dict[Place, _Value]


def decided(db: apsw.Connection, state: State, unit: Unit, before: Changed, version: int) -> Changed:
    """What the unit would change, at `version`, after the units that changed `before`.

    Raises:
        Conflict: something has not the version that was expected.
        NotFound: no such namespace.
    """
    mine: Changed = {}

    def found(wanted: StateChange | StateCheck) -> _Value:
        place = (wanted.namespace, wanted.owner, wanted.key)
        return mine.get(place) or before.get(place) or _stored(db, place)

    for check in unit.checks:
        check_version(check, found(check).version)
    for change in unit.changes:
        state.space(change.namespace)
        value = found(change)
        check_version(change, value.version)
        mine[change.namespace, change.owner, change.key] = value.become(change, version)
    return mine


def write_values(db: apsw.Connection, changed: Changed) -> None:
    """Inside the transaction. What a value is found by is only touched where it has changed."""
    kept: list[object] = []
    gone: list[Place] = []
    unfiled: list[Entry] = []
    filed: list[Entry] = []
    for place, now in changed.items():
        if now.value is not None:
            kept += (*place, now.value, now.version, _text(now.pairs))
        elif now.stored:
            gone.append(place)
        namespace, owner, key = place
        unfiled += [(namespace, owner, name, value, key) for name, value in now.found_by - now.pairs]
        filed += [(namespace, owner, name, value, key) for name, value in now.pairs - now.found_by]
    put(db, _PUT_STATE, kept)
    # Small rows go as one text: a statement for each number of rows would crowd the cache of statements.
    for name, rows in (("drop_state", gone), ("drop_state_index", unfiled), ("put_state_index", filed)):
        if rows:
            db.execute(SQL[name], (msgspec.json.encode(rows).decode(),))


def _stored(db: apsw.Connection, place: Place) -> _Value:
    row = db.execute(SQL["find_state"], place).fetchone()
    if row is None:
        return _Value(0)
    version, text = row
    return _Value(version, stored=True, found_by=_NO_PAIRS if text is None else frozenset(_PAIRS.decode(text)))


def _text(pairs: Pairs) -> str | None:
    """The pairs as they stand in the row of their value."""
    return msgspec.json.encode(sorted(pairs)).decode() if pairs else None
