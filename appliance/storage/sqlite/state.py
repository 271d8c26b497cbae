"""What the writer remembers of the database, so that deciding a write rarely reads.

Everything here equals the database plus the batch being planned. When a transaction fails, all of it is
forgotten and read again: there is no undo to get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from appliance.errors import NotFound
from appliance.model.names import cardinal_hash, category_of
from appliance.storage.sqlite.sql import SQL
from appliance.storage.sqlite.tail import Tail

__all__ = ["Category", "Head", "Space", "State"]

MOST_HEADS = 200_000  # remembered streams; about 60 MB when all names are long


@dataclass(slots=True)
class Category:
    key: int
    name: str
    fresh: bool  # has no row yet
    grown: int = 0  # events in this batch
    streams: int = 0  # new streams in this batch


@dataclass(slots=True)
class Head:
    key: int
    name: str
    category: Category
    cardinal: int | None
    version: int
    fresh: bool  # has no row yet


@dataclass(slots=True)
class Space:
    """A namespace as the writer sees it."""

    key: int
    newest: int
    widest: int
    written: int  # digest sums
    removed: int
    verified: int
    verified_sum: int
    grown: int = 0  # events in this batch
    streams: int = 0  # new streams in this batch


class State:
    """Heads, categories and namespaces, read when first needed."""

    def __init__(self, db: apsw.Connection, tail: Tail) -> None:
        self._db = db
        self._tail = tail
        self.forget()

    def forget(self) -> None:
        self.heads: dict[tuple[int, str], Head] = {}
        self.categories: dict[tuple[int, str], Category] = {}
        self.spaces: dict[int, Space] = {}
        self._next_stream = 0
        self._next_category = 0

    def trim(self) -> None:
        """Between batches only: forget the older half of the heads when there are too many."""
        if len(self.heads) > MOST_HEADS:
            for name in list(self.heads)[: MOST_HEADS // 2]:
                del self.heads[name]

    def space(self, key: int) -> Space:
        """Raises NotFound: the namespace was deleted."""
        space = self.spaces.get(key)
        if space is None:
            row = self._db.execute(SQL["load_namespace"], (key,)).fetchone()
            if row is None:
                raise NotFound("the namespace does not exist any more", hint="use another token")
            newest, widest, written, removed, verified, verified_sum = row
            space = Space(key, newest, widest, int(written, 16), int(removed, 16), verified, int(verified_sum, 16))
            self.spaces[key] = space
        return space

    def head(self, namespace: int, name: str) -> Head:
        """The head of a stream; of one that does not exist yet version -1, and a key reserved for it."""
        head = self.heads.get((namespace, name))
        if head is None:
            head = self._read_head(namespace, name)
            self.heads[namespace, name] = head
        return head

    def _read_head(self, namespace: int, name: str) -> Head:
        category = self.category(namespace, category_of(name))
        row = self._db.execute(SQL["find_stream"], (namespace, name)).fetchone()
        if row is not None:
            version = max(row[1], self._tail.version(namespace, name))
            return Head(row[0], name, category, cardinal_hash(name), version, False)
        if not self._next_stream:
            self._next_stream = self._db.execute(SQL["next_stream"]).get
        key, self._next_stream = self._next_stream, self._next_stream + 1
        return Head(key, name, category, cardinal_hash(name), -1, True)

    def category(self, namespace: int, name: str) -> Category:
        category = self.categories.get((namespace, name))
        if category is None:
            key = self._db.execute(SQL["find_category"], (namespace, name)).get
            fresh = key is None
            if fresh:
                if not self._next_category:
                    self._next_category = self._db.execute(SQL["next_category"]).get
                key, self._next_category = self._next_category, self._next_category + 1
            category = Category(key, name, fresh)
            self.categories[namespace, name] = category
        return category
