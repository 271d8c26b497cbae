"""The in-memory twin of a storage engine: for unit tests, and the plain statement of what an engine means.

Everything is a sorted list and a few dictionaries, so that each rule of the port can be read off one
function. It keeps nothing over a restart, has nothing to sync and cannot lose anything.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from appliance.clock import stamp
from appliance.errors import ApplianceError, Duplicate, KeyReused, NotFound, Rejected, VersionConflict
from appliance.model.event import Draft, Event, Head, Imported, Namespace, Page, Query, Unit
from appliance.model.names import category_of, correlation_of
from appliance.model.state import Index, StateChange, StateRow
from appliance.storage.memory_state import Values
from appliance.storage.ports import KEY_LIFETIME_US, Committed, NamespaceStats, Reader, Recovery, TokenRow

__all__ = ["MemoryEngine"]

P = ParamSpec("P")
T = TypeVar("T")

_in_log_order = attrgetter("global_position")
_in_stream_order = attrgetter("position")


@dataclass(frozen=True, slots=True)
class _Receipt:
    """The answer an idempotency key got."""

    fingerprint: bytes
    events: tuple[Event, ...]
    until: int  # microseconds since 1970


@dataclass(slots=True)
class _Space:
    """One namespace."""

    info: Namespace
    events: list[Event] = field(default_factory=list)  # in log order
    ids: dict[str, Event] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)  # emptied streams too: a version never falls
    receipts: dict[str, _Receipt] = field(default_factory=dict)
    newest: int = 0
    latest: int | None = None  # time
    removed: dict[str, int] = field(default_factory=dict)  # category -> last global position retention took

    def append(self, draft: Draft, id: str, now_us: int) -> Event:
        position, place = self.version(draft.stream) + 1, self.newest + 1
        event = Event(self.info.key, draft.stream, draft.type, position, place, id, draft.data, draft.metadata, now_us)
        self.add(event)
        return event

    def add(self, event: Event) -> None:
        insort(self.events, event, key=_in_log_order)
        self.ids[event.id] = event
        self.newest = max(self.newest, event.global_position)
        self.latest = event.time if self.latest is None else max(self.latest, event.time)
        if event.position > self.version(event.stream):
            self.heads[event.stream] = Head(event.stream, event.position, event.time)

    def remove(self, event: Event) -> None:
        self.events.remove(event)
        del self.ids[event.id]
        category = category_of(event.stream)
        self.removed[category] = max(self.removed.get(category, 0), event.global_position)

    def version(self, stream: str) -> int:
        head = self.heads.get(stream)
        return -1 if head is None else head.version


def _locked(method: Callable[Concatenate[MemoryEngine, P], T]) -> Callable[Concatenate[MemoryEngine, P], T]:
    """Readers run in other threads than the writer; each call sees one state."""

    def call(self: MemoryEngine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            return method(self, *args, **kwargs)

    return call


class MemoryEngine:
    """A log in dictionaries. Writing half and every reader in one: a reader is the engine itself."""

    kind = "memory"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._spaces: dict[int, _Space] = {}
        self._tokens: dict[str, TokenRow] = {}
        self._values = Values()
        self._keys_used = 0
        self.recovery = Recovery(events=0, verified=0)

    # -- the writing half

    @_locked
    def commit(self, units: Sequence[Unit], *, now_us: int, new_ids: Iterator[str]) -> Committed:
        outcomes: list[tuple[Event, ...] | ApplianceError] = []
        fresh: list[Event] = []
        version = self._values.version + 1
        for unit in units:
            try:
                events, known = self._write(unit, version, now_us, new_ids)
            except ApplianceError as refused:
                outcomes.append(refused)
                continue
            outcomes.append(events)
            fresh += () if known else events
        return Committed(tuple(outcomes), tuple(fresh))

    def _write(self, unit: Unit, version: int, now_us: int, new_ids: Iterator[str]) -> tuple[tuple[Event, ...], bool]:
        """The unit's events, and whether they were there already."""
        space = self._space(unit.namespace)
        receipt = space.receipts.get(unit.key) if unit.key else None
        if receipt is not None and now_us < receipt.until:
            if receipt.fingerprint != unit.fingerprint:
                raise KeyReused("this idempotency key was used with another body", hint="use a new key for a new body")
            if any(event.id not in space.ids for event in receipt.events):
                raise Duplicate("retention has removed what this idempotency key wrote", key=unit.key)
            return receipt.events, True
        changed = self._values.decided(unit, version, self._space)
        _check(space, unit.drafts)
        if changed:
            self._values.take(changed)
            self._values.version = version
        events = tuple(space.append(draft, draft.id or next(new_ids), now_us) for draft in unit.drafts)
        if unit.key:
            space.receipts[unit.key] = _Receipt(unit.fingerprint, events, now_us + KEY_LIFETIME_US)
        return events, False

    def seal(self, mark: object) -> None:
        """Nothing to sync."""

    @_locked
    def import_batch(self, namespace: int, records: Sequence[Imported]) -> Committed:
        space = self._space(namespace)
        places = {event.global_position for event in space.events}
        slots = {(event.stream, event.position) for event in space.events}
        ids = set(space.ids)
        for record in records:
            slot = (record.stream, record.position)
            if record.global_position in places or slot in slots or record.id in ids:
                raise Duplicate(
                    f"global position already exists: {record.global_position}", global_position=record.global_position
                )
            places.add(record.global_position)
            slots.add(slot)
            ids.add(record.id)
        events = tuple(_as_event(namespace, record) for record in records)
        for event in events:
            space.add(event)
        return Committed((events,), events)

    @_locked
    def create_namespace(self, id: str, description: str, token: TokenRow, now_us: int) -> Namespace:
        if any(space.info.id == id for space in self._spaces.values()):
            raise Duplicate(f"namespace {id!r} already exists", namespace=id)
        self._keys_used += 1
        info = Namespace(self._keys_used, id, description, now_us)
        self._spaces[info.key] = _Space(info)
        self._tokens[token.id] = replace(token, namespace=info.key)
        return info

    @_locked
    def delete_namespace(self, key: int) -> int:
        events = self.clear_namespace(key)
        del self._spaces[key]
        self._tokens = {id: row for id, row in self._tokens.items() if row.namespace != key}
        self._values.forget_namespace(key)
        return events

    @_locked
    def clear_namespace(self, key: int) -> int:
        space = self._space(key)
        self._spaces[key] = _Space(space.info)
        return len(space.events)

    @_locked
    def put_token(self, row: TokenRow) -> None:
        self._tokens[row.id] = row

    @_locked
    def change_state(self, changes: Sequence[StateChange]) -> int:
        if changes:
            (outcome,) = self.commit(
                [Unit(changes[0].namespace, (), changes=tuple(changes))], now_us=0, new_ids=iter(())
            ).outcomes
            if isinstance(outcome, ApplianceError):
                raise outcome
        return self._values.version

    @_locked
    def retain(self, namespace: int, category: str, before_us: int, limit: int) -> int:
        space = self._space(namespace)
        old = [e for e in space.events if category_of(e.stream) == category and e.time < before_us][:limit]
        for event in old:
            space.remove(event)
        return len(old)

    @_locked
    def forget_receipts(self, now_us: int) -> int:
        forgotten = 0
        for space in self._spaces.values():
            kept = {key: receipt for key, receipt in space.receipts.items() if now_us < receipt.until}
            forgotten += len(space.receipts) - len(kept)
            space.receipts = kept
        return forgotten

    def reader(self) -> Reader:
        return self

    def backup(self, target: Path, *, stop: Callable[[], bool] = lambda: False) -> None:
        raise Rejected("a log in memory has nothing to back up", hint="start with a data folder")

    def close(self) -> None:
        """Nothing to release."""

    # -- the reading half

    @_locked
    def events(self, query: Query) -> list[Event]:
        space = self._spaces.get(query.namespace)
        if space is None:
            return []
        found = [event for event in space.events if _wanted(event, query)]
        if query.stream is not None:
            found.sort(key=_in_stream_order)  # an import may place a stream's events out of log order
        return found[: query.limit]

    def page(self, query: Query) -> Page:
        found = self.events(query)
        text = ",".join(_element(event, named=query.stream is None) for event in found)
        return Page(text, len(found), found[-1].position, found[-1].global_position) if found else Page("", 0)

    def last(self, namespace: int, stream: str, type: str = "") -> Event | None:
        found = [e for e in self.events(Query(namespace, stream)) if not type or e.type == type]
        return found[-1] if found else None

    @_locked
    def find(self, namespace: int, id: str) -> Event | None:
        space = self._spaces.get(namespace)
        return None if space is None else space.ids.get(id)

    @_locked
    def head(self, namespace: int, stream: str) -> Head | None:
        space = self._spaces.get(namespace)
        return None if space is None else space.heads.get(stream)

    @_locked
    def heads(self, namespace: int, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Head]:
        heads = self._heads_of(namespace)
        names = [head.stream for head in heads]
        begin = bisect_left(names, after) + 1 if after in names else bisect_left(names, after)
        return [head for head in heads[begin:] if head.stream.startswith(prefix)][:limit]

    @_locked
    def categories(self, namespace: int) -> list[tuple[str, int, int]]:
        streams: Counter[str] = Counter()
        for head in self._heads_of(namespace):
            streams[category_of(head.stream)] += 1
        space = self._spaces.get(namespace)
        messages = Counter(category_of(event.stream) for event in (space.events if space is not None else ()))
        return [(category, streams[category], count) for category, count in sorted(messages.items()) if count]

    @_locked
    def namespaces(self) -> list[Namespace]:
        return [space.info for space in self._spaces.values()]

    @_locked
    def stats(self, namespace: int) -> NamespaceStats:
        space = self._spaces.get(namespace)
        if space is None:
            return NamespaceStats(0, 0, None)
        return NamespaceStats(len(space.events), len(space.heads), space.latest)

    @_locked
    def tokens(self) -> list[TokenRow]:
        return list(self._tokens.values())

    @_locked
    def state(self, namespace: int, owner: str, key: str) -> StateRow | None:
        return self._values.get(namespace, owner, key)

    @_locked
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
        found = self._values.find(namespace, owner, prefix=prefix, where=where)
        if newest_first:
            return [row for row in reversed(found) if not after or row.key < after][:limit]
        return [row for row in found if not after or row.key > after][:limit]

    @_locked
    def count_states(self, namespace: int, owner: str, *, prefix: str = "", where: Index = ()) -> int:
        return len(self._values.find(namespace, owner, prefix=prefix, where=where))

    @_locked
    def newest(self, namespace: int, categories: tuple[str, ...] = ()) -> int:
        space = self._spaces.get(namespace)
        if space is None or not categories:
            return 0 if space is None else space.newest
        places = [event.global_position for event in space.events if category_of(event.stream) in categories]
        return max(places, default=0)

    @_locked
    def position_at(self, namespace: int, time_us: int) -> int:
        space = self._spaces.get(namespace)
        if space is None:
            return 1
        events = sorted(space.events, key=lambda event: event.global_position)
        index = bisect_left(events, time_us, key=lambda event: event.time)
        return events[index].global_position if index < len(events) else space.newest + 1

    @_locked
    def oldest(self, namespace: int, category: str | None = None) -> int:
        space = self._spaces.get(namespace)
        removed = {} if space is None else space.removed
        return 1 + (max(removed.values(), default=0) if category is None else removed.get(category, 0))

    # -- inside

    def _space(self, key: int) -> _Space:
        space = self._spaces.get(key)
        if space is None:
            raise NotFound(f"namespace {key} does not exist", namespace=key)
        return space

    def _heads_of(self, namespace: int) -> list[Head]:
        """By name; Python orders text by code point, which is the byte order of its UTF-8."""
        space = self._spaces.get(namespace)
        return [] if space is None else sorted(space.heads.values(), key=attrgetter("stream"))


def _check(space: _Space, drafts: Sequence[Draft]) -> None:
    """Refuse the unit for the first draft that cannot be written; each sees those before it."""
    versions: dict[str, int] = {}
    ids: set[str] = set()
    for draft in drafts:
        version = versions.get(draft.stream, space.version(draft.stream))
        if draft.expected_version is not None and draft.expected_version != version:
            raise VersionConflict(draft.stream, expected=draft.expected_version, actual=version)
        versions[draft.stream] = version + 1
        if draft.id and (draft.id in space.ids or draft.id in ids):
            raise Duplicate(f"a message with id {draft.id} exists already", id=draft.id)
        ids.add(draft.id)


def _as_event(namespace: int, record: Imported) -> Event:
    return Event(namespace, *msgspec.structs.astuple(record))


def _wanted(event: Event, query: Query) -> bool:
    if query.stream is not None:
        if event.stream != query.stream or event.position < query.position:
            return False
    elif query.categories and category_of(event.stream) not in query.categories:
        return False
    return (
        event.global_position >= query.global_position
        and (query.through is None or event.global_position <= query.through)
        and (query.correlation is None or correlation_of(event.metadata) == query.correlation)
        and (query.group is None or query.group.owns(event.stream))
    )


def _element(event: Event, *, named: bool) -> str:
    """One array of the message-store API; data and metadata go out as they were written."""
    names = [event.id, event.stream, event.type] if named else [event.id, event.type]
    texts = ",".join(msgspec.json.encode(name).decode() for name in names)
    return (
        f"[{texts},{event.position},{event.global_position},{event.data},{event.metadata or 'null'},"
        f'"{stamp(event.time)}"]'
    )
