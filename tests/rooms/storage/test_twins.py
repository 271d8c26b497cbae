"""SQLite does what the in-memory twin does, whatever is asked of it and in whatever order."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from appliance.errors import ApplianceError, Conflict
from appliance.model.event import Draft, Event, Group, Imported, Page, Query, Unit
from appliance.model.state import Index, StateChange, StateCheck
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Engine, Reader
from appliance.storage.sqlite import SqliteEngine
from tests.rooms.storage.store import NOON, fresh_ids, imported, token_row

STREAMS = ("a-1", "a-2", "a-2+x", "a", "b-1", "b-é", "c")
CATEGORIES = ("a", "b", "c", "none")
GIVEN_IDS = tuple(islice(fresh_ids(99), 4))
METADATA = (None, "{}", '{"correlationStreamName":"a-7"}', '{"correlationStreamName":"b"}')

drafts = some.builds(
    Draft,
    stream=some.sampled_from(STREAMS),
    type=some.sampled_from(("A", "B")),
    data=some.sampled_from(("{}", '{"n":1.0}', '{"text":"é\\n"}')),
    metadata=some.sampled_from(METADATA),
    id=some.sampled_from(("", "", "", *GIVEN_IDS)),
    expected_version=some.sampled_from((None, None, None, -1, 0, 1)),
)
units = some.tuples(
    some.integers(0, 2),  # which namespace
    some.lists(drafts, max_size=3),
    some.sampled_from(("", "", "", "k1", "k2")),
    some.sampled_from((b"1", b"2")),
)
pairs = some.lists(some.tuples(some.sampled_from(("tag", "status")), some.sampled_from(("x", "y"))), max_size=3).map(
    tuple
)
keys = some.sampled_from(("x", "x/1", "x/2", "y"))
expectations = some.sampled_from((None, None, "right", "right", "absent", "wrong"))
changes = some.lists(some.tuples(keys, some.none() | some.sampled_from(("1", "2")), expectations, pairs), max_size=3)
checks = some.lists(some.tuples(keys, expectations), max_size=2)
works = some.tuples(units, changes, checks)
places = some.integers(0, 30)
queries = some.builds(
    Query,
    namespace=some.just(0),
    stream=some.none() | some.sampled_from(STREAMS),
    categories=some.lists(some.sampled_from(CATEGORIES), max_size=2, unique=True).map(tuple),
    position=some.integers(-1, 5),
    global_position=places,
    through=some.none() | places,
    limit=some.none() | some.integers(0, 5),
    correlation=some.none() | some.sampled_from(CATEGORIES),
    group=some.none() | some.sampled_from([Group(m, n) for n in (1, 2, 3) for m in range(n)]),
)


Change = tuple[str, str | None, str | None, Index]  # key, value, what it expects, what it is found by
Work = tuple[tuple[int, list[Draft], str, bytes], list[Change], list[tuple[str, str | None]]]


class Twins(RuleBasedStateMachine):
    """Two engines that are told the same."""

    @initialize(place_every=some.sampled_from((1, 2, 5, 10_000)))
    def begin(self, place_every: int) -> None:
        self.place_every = place_every
        self.folder = tempfile.TemporaryDirectory()
        self.now = NOON
        self.memory: Engine = MemoryEngine()
        self.start()
        self.ids = [fresh_ids(1), fresh_ids(1)]
        self.keys: list[int] = []
        self.names = 0
        self.create()

    def teardown(self) -> None:
        try:
            self.they_agree()
        finally:
            self.sqlite.close()
            self.folder.cleanup()

    @property
    def engines(self) -> tuple[Engine, Engine]:
        return self.memory, self.sqlite

    def key(self, number: int) -> int:
        """A namespace that exists, or one that does not."""
        return self.keys[number] if number < len(self.keys) else 999

    @precondition(lambda self: len(self.keys) < 3)
    @rule()
    def create(self) -> None:
        self.names += 1
        name = f"space {self.names}"
        mine, theirs = (engine.create_namespace(name, "", token_row(name), self.now) for engine in self.engines)
        assert mine == theirs
        self.keys.append(mine.key)

    @rule(batch=some.lists(works, max_size=4), later=some.integers(0, 20 * 3600))
    def commit(self, batch: list[Work], later: int) -> None:
        self.now += later * 1_000_000

        mine, theirs = (
            engine.commit([self.unit(reader, work) for work in batch], now_us=self.now, new_ids=ids)
            for engine, reader, ids in zip(self.engines, self.readers, self.ids, strict=True)
        )
        self.sqlite.seal(theirs.mark)

        assert [outcome_of(o) for o in mine.outcomes] == [outcome_of(o) for o in theirs.outcomes]
        assert mine.fresh == theirs.fresh

    def unit(self, reader: Reader, work: Work) -> Unit:
        (space, drafts, key, mark), changes, checks = work
        namespace = self.key(space)
        return Unit(
            namespace,
            tuple(drafts),
            key,
            mark,
            tuple(self.change(reader, namespace, change) for change in changes),
            tuple(
                StateCheck(namespace, "notes", place, self.version(reader, namespace, place, expected) or 0)
                for place, expected in checks
            ),
        )

    def change(self, reader: Reader, namespace: int, change: Change) -> StateChange:
        place, value, expected, index = change
        version = self.version(reader, namespace, place, expected)
        return StateChange(namespace, "notes", place, value, version, index)

    def version(self, reader: Reader, namespace: int, place: str, expected: str | None) -> int | None:
        """Each engine counts versions in its own way."""
        row = reader.state(namespace, "notes", place)
        actual = 0 if row is None else row.version
        return {None: None, "right": actual, "absent": 0, "wrong": actual + 1_000_000}[expected]

    @rule(
        space=some.integers(0, 2),
        where=some.lists(some.tuples(some.sampled_from(STREAMS), places, places), min_size=1, max_size=4),
    )
    def take(self, space: int, where: list[tuple[str, int, int]]) -> None:
        records = [imported(place + 1, stream, position, time=self.now) for stream, position, place in where]

        assert len({str(self.outcome_of_import(engine, space, records)) for engine in self.engines}) == 1

    def outcome_of_import(self, engine: Engine, space: int, records: list[Imported]) -> object:
        try:
            committed = engine.import_batch(self.key(space), records)
        except ApplianceError as refused:
            return type(refused)
        engine.seal(committed.mark)
        return committed.fresh

    @rule(space=some.integers(0, 2), category=some.sampled_from(CATEGORIES), limit=some.integers(1, 5))
    def retain(self, space: int, category: str, limit: int) -> None:
        mine, theirs = (
            engine.retain(self.keys[space % len(self.keys)], category, self.now, limit) for engine in self.engines
        )
        assert mine == theirs

    @rule(space=some.integers(0, 2))
    def clear(self, space: int) -> None:
        mine, theirs = (engine.clear_namespace(self.keys[space % len(self.keys)]) for engine in self.engines)
        assert mine == theirs

    @precondition(lambda self: len(self.keys) > 1)
    @rule(space=some.integers(0, 2))
    def delete(self, space: int) -> None:
        key = self.keys.pop(space % len(self.keys))
        mine, theirs = (engine.delete_namespace(key) for engine in self.engines)
        assert mine == theirs

    @rule()
    def forget(self) -> None:
        mine, theirs = (engine.forget_receipts(self.now) for engine in self.engines)
        assert mine == theirs

    @rule(space=some.integers(0, 2), changes=changes)
    def remember(self, space: int, changes: list[Change]) -> None:
        namespace = self.key(space)
        outcomes = {
            self.outcome_of_change(engine, [self.change(reader, namespace, change) for change in changes])
            for engine, reader in zip(self.engines, self.readers, strict=True)
        }
        assert len(outcomes) == 1

    def outcome_of_change(self, engine: Engine, wanted: list[StateChange]) -> object:
        try:
            engine.change_state(wanted)
        except ApplianceError as refused:
            return type(refused)
        return None

    def start(self) -> None:
        self.sqlite: Engine = SqliteEngine.open(Path(self.folder.name), durable=False, place_every=self.place_every)
        self.readers = [engine.reader() for engine in self.engines]

    @rule()
    def restart(self) -> None:
        self.they_agree()
        self.sqlite.close()
        self.start()
        self.they_agree()

    @rule(space=some.integers(0, 2), query=queries)
    def ask(self, space: int, query: Query) -> None:
        query = Query(**{name: getattr(query, name) for name in query.__slots__} | {"namespace": self.key(space)})
        (mine, page), (theirs, their_page) = ((reader.events(query), reader.page(query)) for reader in self.readers)

        assert mine == theirs
        assert reach_of(page, query) == reach_of(their_page, query)

    @rule(
        space=some.integers(0, 2),
        prefix=some.sampled_from(("", "x", "x/", "y")),
        after=some.sampled_from(("", "x", "x/1", "z")),
        limit=some.integers(0, 4),
        where=pairs,
        newest_first=some.booleans(),
    )
    def look_for(self, space: int, *, where: Index, prefix: str, **asked: Any) -> None:
        mine, theirs = (
            (
                reader.states(self.key(space), "notes", prefix=prefix, where=where, **asked),
                reader.count_states(self.key(space), "notes", prefix=prefix, where=where),
            )
            for reader in self.readers
        )
        assert [(row.key, row.value) for row in mine[0]] == [(row.key, row.value) for row in theirs[0]]
        assert mine[1] == theirs[1]

    def they_agree(self) -> None:
        mine, theirs = (everything(reader, self.keys) for reader in self.readers)
        assert mine == theirs


def reach_of(page: Page, query: Query) -> object:
    """A stream goes on by position, everything else by global position."""
    return page.text, page.count, page.global_position if query.stream is None else page.position


def outcome_of(outcome: tuple[Event, ...] | ApplianceError) -> object:
    """Which of several faults of one unit is named first is left to the engine."""
    if isinstance(outcome, Conflict):
        return Conflict
    return type(outcome) if isinstance(outcome, ApplianceError) else outcome


def everything(reader: Reader, keys: list[int]) -> object:
    spaces = [
        (
            reader.events(Query(key)),
            reader.heads(key),
            reader.heads(key, prefix="a-", after="a-1", limit=2),
            reader.categories(key),
            reader.stats(key),
            reader.newest(key),
            [reader.oldest(key, category) for category in (None, *CATEGORIES)],
            [reader.last(key, stream, type) for stream in STREAMS for type in ("", "A")],
            [reader.find(key, id) for id in GIVEN_IDS],
            [(row.key, row.value) for row in reader.states(key, "notes")],
            [reader.count_states(key, "notes", where=((name, value),)) for name in ("tag", "status") for value in "xy"],
        )
        for key in keys
    ]
    return spaces, reader.namespaces(), sorted(row.id for row in reader.tokens())


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
