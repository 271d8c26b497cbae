"""Small values in a dictionary: the half of the in-memory twin that is not events, and what state means, plainly."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from appliance.model.event import Unit
from appliance.model.state import Index, StateRow, check_version

__all__ = ["Values"]

Place = tuple[int, str, str]  # namespace, owner, key
Kept = tuple[StateRow, frozenset[tuple[str, str]]]  # a value, and what it is found by


class Values:
    """What is kept beside the log. `version` is that of the last batch that changed anything."""

    def __init__(self) -> None:
        self.version = 0
        self._kept: dict[Place, Kept] = {}

    def decided(self, unit: Unit, version: int, check_namespace: Callable[[int], object]) -> dict[Place, Kept | None]:
        """What the unit would change, at `version`; `take` it if the rest of the unit is not refused.

        Raises:
            Conflict: something has not the version that was expected.
            whatever `check_namespace` raises.
        """
        mine: dict[Place, Kept | None] = {}
        for check in unit.checks:
            check_version(check, self._version_of(self._kept.get((check.namespace, check.owner, check.key))))
        for change in unit.changes:
            check_namespace(change.namespace)
            place = (change.namespace, change.owner, change.key)
            check_version(change, self._version_of(mine.get(place) if place in mine else self._kept.get(place)))
            if change.value is None:
                mine[place] = None
            else:
                mine[place] = StateRow(*place, change.value, version), frozenset(change.index)
        return mine

    def take(self, decided: dict[Place, Kept | None]) -> None:
        for place, kept in decided.items():
            if kept is None:
                self._kept.pop(place, None)
            else:
                self._kept[place] = kept

    def forget_namespace(self, key: int) -> None:
        self._kept = {place: kept for place, kept in self._kept.items() if place[0] != key}

    def get(self, namespace: int, owner: str, key: str) -> StateRow | None:
        kept = self._kept.get((namespace, owner, key))
        return None if kept is None else kept[0]

    def find(self, namespace: int, owner: str, *, prefix: str = "", where: Index = ()) -> list[StateRow]:
        """All of them, by key; Python orders text by code point, which is the byte order of its UTF-8."""
        found = [
            row
            for row, pairs in self._kept.values()
            if (row.namespace, row.owner) == (namespace, owner)
            and row.key.startswith(prefix)
            and pairs.issuperset(where)
        ]
        return sorted(found, key=attrgetter("key"))

    @staticmethod
    def _version_of(kept: Kept | None) -> int:
        return 0 if kept is None else kept[0].version
