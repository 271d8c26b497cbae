"""Retention: events of a category that are old enough go, in slices.

Versions and positions never fall. What is removed leaves one record per run of global positions, with the
sum of the digests that went, so that the rest can still be verified.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import apsw

from appliance.storage.digest import MODULUS, number_of, sum_text
from appliance.storage.sqlite.sql import KEY_BITS, MASK, SQL, one

__all__ = ["Retention"]


class Retention:
    """One slice, inside a transaction of the caller, when all events have their places."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def remove(self, namespace: int, category: str, before_us: int, limit: int) -> int:
        key = self._db.execute(SQL["find_category"], (namespace, category)).get
        if key is None:
            return 0
        rows: list[tuple[Any, ...]] = self._db.execute(SQL["expired"], (key, before_us, limit)).fetchall()
        if not rows:
            return 0
        sums = {event: number_of(digest) for event, digest, *_ in rows}
        self._db.executemany("DELETE FROM events WHERE key = ?", [(event,) for event in sums])
        places = [(stream, position) for _, _, stream, position, _ in rows]
        self._db.executemany("DELETE FROM places WHERE stream = ? AND position = ?", places)
        floors = {stream: (position, time) for _, _, stream, position, time in sorted(rows, key=itemgetter(3))}
        for stream, (position, time) in floors.items():
            self._db.execute(SQL["raise_floor"], (position, time, stream, position))
        oldest = (max(sums) & MASK) + 1
        self._db.execute(
            "UPDATE categories SET messages = messages - ?, oldest = max(oldest, ?) WHERE key = ?",
            (len(rows), oldest, key),
        )
        self._account(namespace, sums)
        for event, number in sums.items():
            self._note_gap(event, number)
        return len(rows)

    def _account(self, namespace: int, sums: dict[int, int]) -> None:
        _, _, _, removed, verified, verified_sum = one(self._db, SQL["load_namespace"], (namespace,))
        gone = sum(sums.values())
        below = sum(number for event, number in sums.items() if event & MASK <= verified)
        self._db.execute(
            "UPDATE namespaces SET messages = messages - ?, removed = ?, verified_sum = ? WHERE key = ?",
            (
                len(sums),
                sum_text(int(removed, 16) + gone),
                sum_text((int(verified_sum, 16) - below) % MODULUS),
                namespace,
            ),
        )

    def _note_gap(self, event: int, number: int) -> None:
        """Extend the run that ends where the next stored event before this one would be, or begin one."""
        previous = self._db.execute(
            "SELECT first, last, events, sum FROM gaps WHERE first < ? ORDER BY first DESC LIMIT 1", (event,)
        ).fetchone()
        if previous is not None and previous[0] >> KEY_BITS == event >> KEY_BITS:
            first, last, events, total = previous
            between = self._db.execute(
                "SELECT EXISTS (SELECT 1 FROM events WHERE key > ? AND key < ?)", (last, event)
            ).get
            if not between:
                self._db.execute(
                    "UPDATE gaps SET last = max(last, ?), events = ?, sum = ? WHERE first = ?",
                    (event, events + 1, sum_text(int(total, 16) + number), first),
                )
                return
        self._db.execute(
            "INSERT INTO gaps (first, last, events, sum) VALUES (?, ?, 1, ?)", (event, event, sum_text(number))
        )
