"""An engine as the tests talk to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from appliance.ids import uuid7
from appliance.model.event import Draft, Event, Imported, Namespace, Page, Query, Unit
from appliance.model.state import StateChange, StateCheck
from appliance.storage.ports import Engine, Reader, TokenRow

__all__ = ["HOUR", "NOON", "STRANGE_NAMES", "Store", "fresh_ids", "imported", "token_row"]

NOON = 1_700_000_000_123_456  # microseconds since 1970
HOUR = 3600 * 1_000_000
STRANGE_NAMES = (
    "ünï-çødé",
    "Ω",
    "名前-一",
    "emoji-🧪+🧫",
    "zero\u200dwidth-\u202eright",
    'quote"back\\slash-1',
    "tab\tand\x7f-1",
    "a b-c d",
    "per%cent-1",
    "under_score-1",
    "[brack*et]-?",
    "'; drop table events; --",
    "x" * 1000 + "-1",
)


def fresh_ids(seed: int = 0) -> Iterator[str]:
    """Valid ids, the same for the same seed."""
    rng = Random(seed)
    while True:
        yield uuid7(NOON, rng.randbytes(8))


def token_row(
    id: str = "first", *, namespace: int = 0, scopes: tuple[str, ...] = ("admin",), **fields: Any
) -> TokenRow:
    """A token whose hash follows from its id."""
    return TokenRow(id, id.encode().ljust(32, b"#"), namespace, scopes, **fields)


def imported(
    place: int,
    stream: str,
    position: int,
    *,
    id: str = "",
    time: int = NOON,
    type: str = "Moved",
    data: str = "{}",
    metadata: str | None = None,
) -> Imported:
    """A record as it comes from another log; without `id` one that follows from its global position."""
    id = id or uuid7(NOON, place.to_bytes(8, "big"))
    return Imported(stream, type, position, place, id, data, metadata, time)


class Store:
    """An engine as the tests talk to it: one namespace, a clock that stands still, ids from a seed."""

    def __init__(self, engine: Engine, namespace: str = "default", *, seed: int = 0) -> None:
        self.engine = engine
        self.now = NOON
        self.ids = fresh_ids(seed)
        found = [one for one in engine.reader().namespaces() if one.id == namespace]
        self.namespace: Namespace = found[0] if found else self.create(namespace)
        self.key = self.namespace.key

    def create(self, id: str) -> Namespace:
        return self.engine.create_namespace(id, f"about {id}", token_row(f"token of {id}"), self.now)

    @property
    def reader(self) -> Reader:
        return self.engine.reader()

    def commit(self, *units: Unit) -> Sequence[Any]:
        """The outcomes of one batch, sealed."""
        committed = self.engine.commit(units, now_us=self.now, new_ids=self.ids)
        self.engine.seal(committed.mark)
        assert list(committed.fresh) == sorted(
            committed.fresh, key=lambda event: (event.namespace, event.global_position)
        )
        return committed.outcomes

    def unit(self, *drafts: Draft, key: str = "", fingerprint: bytes = b"", **state: Any) -> Unit:
        return Unit(self.key, drafts, key, fingerprint, **state)

    def write(self, *drafts: Draft, key: str = "", fingerprint: bytes = b"", **state: Any) -> tuple[Event, ...]:
        """One unit in a batch of its own; raises its refusal."""
        (outcome,) = self.commit(self.unit(*drafts, key=key, fingerprint=fingerprint, **state))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def put(self, stream: str, type: str = "Happened", data: str = "{}", **fields: Any) -> Event:
        return self.write(Draft(stream, type, data, **fields))[0]

    def query(self, stream: str | None = None, **fields: Any) -> Query:
        return Query(self.key, stream, **fields)

    def events(self, stream: str | None = None, **fields: Any) -> list[Event]:
        return self.reader.events(self.query(stream, **fields))

    def places(self, stream: str | None = None, **fields: Any) -> list[int]:
        return [event.global_position for event in self.events(stream, **fields)]

    def positions(self, stream: str, **fields: Any) -> list[int]:
        return [event.position for event in self.events(stream, **fields)]

    def page(self, stream: str | None = None, **fields: Any) -> Page:
        return self.reader.page(self.query(stream, **fields))

    def take(self, *records: Imported) -> tuple[Event, ...]:
        """Import one batch, sealed."""
        committed = self.engine.import_batch(self.key, records)
        self.engine.seal(committed.mark)
        assert committed.outcomes == (committed.fresh,)
        return committed.fresh

    def value(self, key: str, value: str | None, *index: tuple[str, str], expected: int | None = None) -> StateChange:
        """A change of owner `notes`."""
        return StateChange(self.key, "notes", key, value, expected, index)

    def check(self, key: str, version: int) -> StateCheck:
        return StateCheck(self.key, "notes", key, version)

    def found(self, *where: tuple[str, str], **asked: Any) -> list[str]:
        """Keys of owner `notes` that have all these in their index."""
        return [row.key for row in self.reader.states(self.key, "notes", where=where, **asked)]

    def count(self, *where: tuple[str, str], prefix: str = "") -> int:
        return self.reader.count_states(self.key, "notes", prefix=prefix, where=where)

    def change(self, *changes: tuple[str, str | None, int | None]) -> int:
        """(key, value, expected version) of owner `notes`, together."""
        return self.engine.change_state([StateChange(self.key, "notes", *change) for change in changes])

    def remember(self, key: str, value: str | None, *, expected: int | None = None) -> int:
        return self.change((key, value, expected))

    def remembered(self) -> dict[str, tuple[str, int]]:
        return {row.key: (row.value, row.version) for row in self.reader.states(self.key, "notes")}
