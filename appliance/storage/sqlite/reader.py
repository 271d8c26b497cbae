"""The reading half: a `query_only` connection for one caller at a time.

An answer for the network is put together by SQLite itself and comes back as one text: one step, with the
interpreter lock given up, instead of a hundred rows made into objects and back into text.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from appliance.model.event import Event, Head, Namespace, Page, Query
from appliance.model.state import Index, StateRow
from appliance.storage.ports import NamespaceStats, TokenRow
from appliance.storage.sqlite.finding import count_states, select_states
from appliance.storage.sqlite.sql import KEY_BITS, MASK, SQL, one
from appliance.storage.sqlite.tail import Tail
from appliance.storage.sqlite.trouble import explaining

__all__ = ["SqliteReader", "read_events"]

PAGE_CHARACTERS = 32 * 1024 * 1024  # a page that might be larger is built row by row and cut there
ALL = 1 << 60

_STREAM = "s.namespace = :namespace AND s.name = :stream"
# CROSS JOIN fixes the order: the stream first, then its events by position.
_PLACES = "streams s CROSS JOIN places p ON p.stream = s.key CROSS JOIN events e ON e.key = p.event"
_TAIL = "json_each(:keys) k CROSS JOIN events e ON e.key = k.value JOIN streams s ON s.key = e.stream"

_NO_TAIL = Tail()

_ROW = {kind: SQL[f"row_{kind}"].replace("{time}", SQL["time"]) for kind in ("stream", "category")}


class SqliteReader:
    """See `storage.ports.Reader`."""

    def __init__(self, db: apsw.Connection, path: Path, tail: Tail) -> None:
        self._db = db
        self._tail = tail
        self.path = path

    @explaining
    def events(self, query: Query) -> list[Event]:
        if self._begins_before_the_tail(query):
            events = read_events(self._db, query, _NO_TAIL)
            if len(events) == query.limit:
                return events
        return read_events(self._db, query, self._tail)

    @explaining
    def page(self, query: Query) -> Page:
        if query.limit == 0:
            return Page("", 0)
        build = self._wide_page if self._may_be_wide(query) else self._narrow_page
        if self._begins_before_the_tail(query):
            page = build(query, _NO_TAIL)
            if page.count == query.limit:
                return page
        return build(query, self._tail)

    def _begins_before_the_tail(self, query: Query) -> bool:
        """Whether everything wanted of a stream probably has its place: then the tail costs a third for nothing."""
        if query.stream is None or query.limit is None:
            return False
        first = self._tail.first(query.namespace, query.stream)
        return first is not None and max(query.position, 0) + query.limit <= first

    def _narrow_page(self, query: Query, tail: Tail) -> Page:
        kind = "category" if query.stream is None else "stream"
        rows, bindings = _select(f"{_ROW[kind]} AS row, e.position AS position, e.key AS key", query, tail)
        text, count, position, key = one(
            self._db, f"SELECT group_concat(row, ','), count(*), max(position), max(key) FROM ({rows})", bindings
        )
        if not count:
            return Page("", 0)
        return Page(text, count, position, key & MASK)

    def _may_be_wide(self, query: Query) -> bool:
        widest = self._db.execute("SELECT widest FROM namespaces WHERE key = ?", (query.namespace,)).get or 0
        return widest * (query.limit or 1000) > PAGE_CHARACTERS

    def _wide_page(self, query: Query, tail: Tail) -> Page:
        kind = "category" if query.stream is None else "stream"
        texts: list[str] = []
        size = position = key = 0
        cut = False
        rows = _select(f"{_ROW[kind]}, e.position, e.key", query, tail)
        for text, position, key in self._db.execute(*rows):  # noqa: B007 - the last ones are used below
            texts.append(text)
            size += len(text)
            if size > PAGE_CHARACTERS:
                cut = True
                break
        return Page(",".join(texts), len(texts), position, key & MASK, cut) if texts else Page("", 0)

    @explaining
    def last(self, namespace: int, stream: str, type: str = "") -> Event | None:
        condition = f"{_STREAM} AND e.type = :type" if type else _STREAM
        bindings = {"namespace": namespace, "stream": stream, "type": type}
        select = f"SELECT {SQL['event_columns']} FROM"
        row = None
        for keys in self._tail.backwards(namespace, stream):
            last = f"{select} {_TAIL} WHERE {condition} ORDER BY e.key DESC LIMIT 1"
            row = self._db.execute(last, {**bindings, "keys": _list(keys)}).fetchone()
            if row is not None:
                break
        else:
            last = f"{select} {_PLACES} WHERE {condition} ORDER BY p.position DESC LIMIT 1"
            row = self._db.execute(last, bindings).fetchone()
        return None if row is None else Event(*row)

    @explaining
    def find(self, namespace: int, id: str) -> Event | None:
        row = self._db.execute(
            f"SELECT {SQL['event_columns']} FROM events e JOIN streams s ON s.key = e.stream "
            f"WHERE e.id = ? AND e.key >> {KEY_BITS} = ?",
            (id, namespace),
        ).fetchone()
        return None if row is None else Event(*row)

    @explaining
    def head(self, namespace: int, stream: str) -> Head | None:
        recent = self._recent_head(namespace, stream, self._tail)
        if recent is not None:
            return recent
        row = self._db.execute(SQL["head"], (namespace, stream)).fetchone()
        return None if row is None or row[1] < 0 else Head(*row)

    def _recent_head(self, namespace: int, stream: str, tail: Tail) -> Head | None:
        """The head of a stream whose last event has no place yet."""
        for keys in tail.backwards(namespace, stream):
            for name, version, time in self._db.execute(SQL["recent_heads"], (_list(keys),)):
                if name == stream:
                    return Head(name, version, time)
        return None

    @explaining
    def heads(self, namespace: int, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Head]:
        heads: list[Head] = []
        tail = self._tail.view()
        while len(heads) < limit:
            bindings = {"namespace": namespace, "prefix": prefix, "after": after, "limit": limit - len(heads)}
            found = [Head(*row) for row in self._db.execute(SQL["heads"], bindings)]
            if not found:
                break
            heads += self._renewed(namespace, found, tail)
            after = found[-1].stream
        return heads

    def _renewed(self, namespace: int, heads: list[Head], tail: Tail) -> list[Head]:
        """The same with what the tail knows; without streams that had no event when it was asked."""
        keys = {head.stream: tail.newest(namespace, head.stream) for head in heads}
        known = _list([key for key in keys.values() if key is not None])
        recent = {
            name: Head(name, version, time) for name, version, time in self._db.execute(SQL["recent_heads"], (known,))
        }
        for stream, key in keys.items():
            if key is not None and stream not in recent:  # it is just being committed: the one before, then
                before = self._recent_head(namespace, stream, tail)
                if before is not None:
                    recent[stream] = before
        renewed = [recent.get(head.stream, head) for head in heads]
        return [head for head in renewed if head.version >= 0]

    @explaining
    def categories(self, namespace: int) -> list[tuple[str, int, int]]:
        return list(self._db.execute(SQL["categories"], (namespace,)))

    @explaining
    def namespaces(self) -> list[Namespace]:
        return [Namespace(*row) for row in self._db.execute(SQL["namespaces"])]

    @explaining
    def stats(self, namespace: int) -> NamespaceStats:
        row = self._db.execute(SQL["stats"], (namespace,)).fetchone()
        return NamespaceStats(0, 0, None) if row is None else NamespaceStats(*row)

    @explaining
    def tokens(self) -> list[TokenRow]:
        return [
            TokenRow(
                id, hash, namespace, tuple(scopes.split()), name, tuple(memories.split()), created, expires, revoked
            )
            for id, hash, namespace, scopes, name, memories, created, expires, revoked in self._db.execute(
                SQL["tokens"]
            )
        ]

    @explaining
    def state(self, namespace: int, owner: str, key: str) -> StateRow | None:
        row = self._db.execute(SQL["state"], (namespace, owner, key)).fetchone()
        return None if row is None else StateRow(*row)

    @explaining
    def states(
        self,
        namespace: int,
        owner: str,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        where: Index = (),
        newest_first: bool = False,
    ) -> list[StateRow]:
        rows = select_states(
            self._db,
            namespace,
            owner,
            prefix=prefix,
            after=after,
            limit=limit,
            where=where,
            newest_first=newest_first,
        )
        return [StateRow(*row) for row in rows]

    @explaining
    def count_states(self, namespace: int, owner: str, *, prefix: str = "", where: Index = ()) -> int:
        return count_states(self._db, namespace, owner, prefix=prefix, where=where)

    @explaining
    def newest(self, namespace: int, categories: tuple[str, ...] = ()) -> int:
        if not categories:
            return self._db.execute(SQL["newest"], (namespace,)).get or 0
        keys = [self._db.execute(SQL["newest_in"], (namespace, name)).get or 0 for name in categories]
        return max(keys) & MASK

    @explaining
    def position_at(self, namespace: int, time_us: int) -> int:
        end = self.newest(namespace) + 1
        low, high = 1, end  # every event before `low` is older, none from `high` on is
        while low < high:
            middle = (low + high) // 2
            position, time = self._next_time(namespace, middle) or (end, time_us)
            if time >= time_us:
                high = middle
            else:
                low = position + 1
        found = self._next_time(namespace, low)
        return found[0] if found is not None else end

    def _next_time(self, namespace: int, position: int) -> tuple[int, int] | None:
        """Global position and time of the first event stored at or behind `position`."""
        span = (namespace << KEY_BITS | position, namespace << KEY_BITS | MASK)
        row = self._db.execute(SQL["next_time"], span).fetchone()
        return None if row is None else (row[0] & MASK, row[1])

    @explaining
    def oldest(self, namespace: int, category: str | None = None) -> int:
        if category is None:
            return self._db.execute(SQL["oldest"], (namespace,)).get or 1
        return self._db.execute(SQL["oldest_of_category"], (namespace, category)).get or 1

    def close(self) -> None:
        self._db.close()


def read_events(db: apsw.Connection, query: Query, tail: Tail, *, whole: bool = False) -> list[Event]:
    """The events of a query; unless `whole`, large ones cut the list short."""
    if query.limit == 0:
        return []
    events: list[Event] = []
    room = PAGE_CHARACTERS
    for row in db.execute(*_select(SQL["event_columns"], query, tail)):
        event = Event(*row)
        events.append(event)
        room -= len(event.data) + len(event.metadata or "")
        if room < 0 and not whole:
            break
    return events


def _select(columns: str, query: Query, tail: Tail) -> tuple[str, dict[str, object]]:
    """The statement for a query, and what to bind. Among `columns` of a stream is e.position, or it as `position`."""
    first = query.namespace << KEY_BITS
    bindings: dict[str, object] = {
        "namespace": query.namespace,
        "first": first | min(max(query.global_position, 0), MASK),
        "through": first | (MASK if query.through is None else min(query.through, MASK)),
        "limit": ALL if query.limit is None else query.limit,
    }
    conditions = ["e.key BETWEEN :first AND :through"]
    if query.stream is None and query.categories:
        conditions.insert(0, _categories(query.categories, bindings))
    if query.correlation is not None:
        conditions.append("e.correlation = :correlation")
        bindings["correlation"] = query.correlation
    if query.group is not None:
        conditions.append("e.cardinal % :size = :member")
        bindings |= {"size": query.group.size, "member": query.group.member}
    if query.stream is None:
        where = " AND ".join(conditions)
        return (
            f"SELECT {columns} FROM events e JOIN streams s ON s.key = e.stream "
            f"WHERE {where} ORDER BY e.key LIMIT :limit",
            bindings,
        )
    where = " AND ".join([_STREAM, *conditions])
    arms = _of_stream(query, tail, bindings, filtered=len(conditions) > 1)
    selects = [
        # By its own name for the position each source is known to be in order, and read no further than the limit.
        f"SELECT {columns.replace('e.position', position)} FROM {source} AND {where}"
        for source, position in arms
    ]
    return f"{' UNION ALL '.join(selects)} ORDER BY {arms[-1][1]} LIMIT :limit", bindings


def _of_stream(query: Query, tail: Tail, bindings: dict[str, object], *, filtered: bool) -> list[tuple[str, str]]:
    """Where the wanted part of a stream is, and what is the position there: among the places, in the tail, or both.

    The tail is asked here, before the database. What it has may have got its place in between.
    """
    position = max(query.position, 0)
    bindings |= {"stream": query.stream, "position": position}
    places = f"{_PLACES} WHERE p.position >= :position", "p.position"
    unfiltered = not filtered and query.global_position <= 0
    run = tail.since(query.namespace, str(query.stream), position, query.limit if unfiltered else None)
    if run is None:
        return [places]
    bindings["keys"] = _list(run.keys)
    if run.first <= position:
        return [(f"{_TAIL} WHERE TRUE", "e.position")]
    unplaced = "e.position > (SELECT coalesce(max(position), -1) FROM places WHERE stream = s.key)"
    return [places, (f"{_TAIL} WHERE {unplaced}", "e.position")]


def _categories(names: tuple[str, ...], bindings: dict[str, object]) -> str:
    marks = []
    for number, name in enumerate(names):
        bindings[f"category{number}"] = name
        marks.append(f":category{number}")
    key = "SELECT key FROM categories WHERE namespace = :namespace AND name"
    if len(marks) == 1:
        return f"e.category = ({key} = {marks[0]})"
    return f"e.category IN ({key} IN ({', '.join(marks)}))"


def _list(keys: list[int]) -> str:
    """For json_each."""
    return f"[{','.join(map(str, keys))}]"
