"""Decides what one transaction does to small values, before any of it is written.

As with events: there is one writer, so what it reads is the truth, and a unit that is refused leaves no trace.
Nothing is remembered from one transaction to the next; a value is looked up when somebody checks or changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw
import msgspec

from appliance.model.event import Unit
from appliance.model.state import Index, StateChange, StateCheck, check_version
from appliance.storage.sqlite.sql import SQL, bulk, put
from appliance.storage.sqlite.state import State

__all__ = ["Decided", "Values"]

Pairs = frozenset[tuple[str, str]]
Place = tuple[int, str, str]  # namespace, owner, key

_PUT_STATE = bulk("put_state", 6)
_DROP_STATE = bulk("drop_state", 3)
_PUT_INDEX = bulk("put_state_index", 5)
_DROP_INDEX = bulk("drop_state_index", 5)

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


Decided = dict[Place, _Value]


class Values:
    """What the units of one transaction make of the values they name."""

    def __init__(self, db: apsw.Connection, state: State, version: int) -> None:
        """`version` is that of everything written here."""
        self._db = db
        self._state = state
        self._version = version
        self._changed: Decided = {}

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._changed)

    def decided(self, unit: Unit) -> Decided:
        """What the unit would change; `take` it if the rest of the unit is not refused.

        Raises:
            Conflict: something has not the version that was expected.
            NotFound: no such namespace.
        """
        mine: Decided = {}
        for check in unit.checks:
            check_version(check, self._found(check, mine).version)
        for change in unit.changes:
            self._state.space(change.namespace)
            found = self._found(change, mine)
            check_version(change, found.version)
            mine[change.namespace, change.owner, change.key] = found.become(change, self._version)
        return mine

    def take(self, decided: Decided) -> None:
        self._changed |= decided

    def write(self) -> None:
        """Inside the transaction: rows that stay as they are are not touched, those of the index least of all."""
        gone: list[object] = []
        kept: list[object] = []
        unfiled: list[object] = []
        filed: list[object] = []
        for place, now in self._changed.items():
            if now.value is not None:
                kept += (*place, now.value, now.version, _text(now.pairs))
            elif now.stored:
                gone += place
            namespace, owner, key = place
            for pair in now.found_by - now.pairs:
                unfiled += (namespace, owner, *pair, key)
            for pair in now.pairs - now.found_by:
                filed += (namespace, owner, *pair, key)
        put(self._db, _DROP_STATE, gone)
        put(self._db, _PUT_STATE, kept)
        put(self._db, _DROP_INDEX, unfiled)
        put(self._db, _PUT_INDEX, filed)

    def _found(self, wanted: StateChange | StateCheck, mine: Decided) -> _Value:
        place = (wanted.namespace, wanted.owner, wanted.key)
        return mine.get(place) or self._changed.get(place) or self._stored(place)

    def _stored(self, place: Place) -> _Value:
        row = self._db.execute(SQL["find_state"], place).fetchone()
        if row is None:
            return _Value(0)
        version, text = row
        return _Value(version, stored=True, found_by=_NO_PAIRS if text is None else frozenset(_PAIRS.decode(text)))


def _text(pairs: Sequence[tuple[str, str]] | Pairs) -> str | None:
    """The pairs as they stand in the row of their value."""
    return msgspec.json.encode(sorted(pairs)).decode() if pairs else None
