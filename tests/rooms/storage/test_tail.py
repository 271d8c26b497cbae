"""The newest events of a stream are found before they have a place, while they get it, and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import apsw
import pytest

from appliance.errors import Unavailable
from appliance.ids import uuid7
from appliance.model.event import Draft, Event, Head
from appliance.storage.sqlite import SqliteEngine, prove
from appliance.storage.sqlite.reader import SqliteReader
from appliance.storage.sqlite.recover import connect
from appliance.storage.sqlite.tail import Run, Tail
from appliance.testing.faults import FaultyDisk
from tests.rooms.storage.store import NOON, Store, imported


def event(position: int, place: int, stream: str = "a-1") -> Event:
    return Event(1, stream, "Happened", position, place, uuid7(NOON, place.to_bytes(8, "big")), "{}", None, NOON)


def key(place: int) -> int:
    return 1 << 43 | place


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    """Only what is asked to gets its place."""
    with closing(SqliteEngine.open(tmp_path)) as engine:
        yield Store(engine)


def place_all(store: Store) -> None:
    """As retention does, which removes nothing here."""
    store.engine.retain(store.key, "none", 0, 1)


def reader_of(store: Store, tail: Tail, path) -> SqliteReader:
    """A reader that asked `tail` and looks at the database only now."""
    return SqliteReader(connect(path / "log.db", durable=True, reading=True), path / "log.db", tail)


# The tail by itself


def test_tail_gives_a_run_from_any_position_cut_to_a_limit():
    tail = Tail()
    with tail.adding([event(7, 20), event(8, 22), event(9, 23)]):
        pass

    given = [tail.since(1, "a-1", *asked) for asked in ((0, None), (8, None), (8, 1), (10, None))]

    assert given == [Run(7, [key(20), key(22), key(23)]), Run(8, [key(22), key(23)]), Run(8, [key(22)]), None]
    assert tail.since(2, "a-1", 0, None) is None
    assert (tail.version(1, "a-1"), tail.version(1, "a-2")) == (9, -1)


def test_tail_takes_back_what_was_not_committed():
    tail = Tail()
    with tail.adding([event(0, 1)]):
        pass

    with pytest.raises(Unavailable), tail.adding([event(1, 2), event(0, 3, "a-2"), event(2, 4)]):
        raise Unavailable("no")

    assert (tail.version(1, "a-1"), tail.version(1, "a-2")) == (0, -1)


def test_tail_is_gone_through_from_the_end_in_growing_bunches():
    tail = Tail()
    with tail.adding([event(position, position + 1) for position in range(100)]):
        pass

    bunches = list(tail.backwards(1, "a-1"))

    assert [len(bunch) for bunch in bunches] == [8, 64, 28]
    assert [one for bunch in bunches for one in bunch] == [key(place) for place in range(100, 0, -1)]


def test_view_keeps_what_gets_its_place_afterwards():
    tail = Tail()
    with tail.adding([event(0, 1)]):
        pass
    view = tail.view()

    tail.clear()

    assert (view.version(1, "a-1"), tail.version(1, "a-1")) == (0, -1)


# Readers and the writer beside them


def test_reader_that_asked_before_the_events_got_their_places_sees_each_once(store, tmp_path):
    written = [store.put(f"a-{n % 2}", type="BA"[n > 2]) for n in range(7)]
    place_all(store)
    written += [store.put(f"a-{n % 2}") for n in range(7, 13)]
    early = store.engine._tail.view()
    place_all(store)
    late = store.put("a-0")
    even = [one for one in written if one.stream == "a-0"]

    with closing(reader_of(store, early, tmp_path)) as reader:
        whole = reader.events(store.query("a-0"))
        parts = [reader.events(store.query("a-0", position=first, limit=3)) for first in range(8)]
        heads = reader.heads(store.key)

    assert whole == even
    assert parts == [even[first : first + 3] for first in range(8)]
    assert heads == [Head("a-0", 6, NOON), Head("a-1", 5, NOON)]
    assert store.events("a-0") == [*even, late]


def test_limit_is_met_out_of_the_tail_when_too_few_are_left_before_it(store):
    for _ in range(10):
        store.put("a-1")
    store.engine.retain(store.key, "a", NOON + 1, 8)
    for _ in range(10):
        store.put("a-1")

    assert store.positions("a-1", limit=5) == [8, 9, 10, 11, 12]
    assert (store.page("a-1", limit=5).count, store.page("a-1", limit=5).position) == (5, 12)
    assert store.positions("a-1", limit=2) == [8, 9]


def test_reader_sees_nothing_of_a_commit_under_way(store, tmp_path):
    written = [store.put("a-1") for _ in range(3)]
    under_way = [event(3, 4), event(4, 5), event(0, 6, "a-2")]

    with store.engine._tail.adding(under_way):
        seen = store.events("a-1"), store.page("a-1").count, store.reader.last(store.key, "a-1")
        heads = store.reader.heads(store.key), store.reader.head(store.key, "a-1"), store.reader.head(store.key, "a-2")

    assert seen == (written, 3, written[-1])
    assert heads == ([Head("a-1", 2, NOON)], Head("a-1", 2, NOON), None)


def test_stream_just_begun_is_not_listed_to_who_asked_before_and_does_not_end_the_list(store, tmp_path):
    for name in ("a-1", "a-3", "a-4"):
        store.put(name)
    place_all(store)
    early = store.engine._tail.view()
    store.engine._tail.clear()  # so that the early view is another one from here on
    store.put("a-2")

    with closing(reader_of(store, early, tmp_path)) as reader:
        listed = reader.heads(store.key, limit=2)
        head = reader.head(store.key, "a-2")

    assert [one.stream for one in listed] == ["a-1", "a-3"]
    assert head is None


def test_type_that_is_far_back_is_found(store):
    old = store.put("a-1", type="Rare")
    place_all(store)
    for _ in range(20):
        store.put("a-1")
    rare = store.put("a-1", type="Found")
    for _ in range(100):
        store.put("a-1")

    found = [store.reader.last(store.key, "a-1", type) for type in ("Rare", "Found", "Nowhere")]

    assert found == [old, rare, None]


def test_commit_that_fails_leaves_no_trace_in_the_tail(tmp_path):
    with FaultyDisk() as disk, closing(SqliteEngine.open(tmp_path, vfs=disk.name)) as engine:
        store = Store(engine)
        before = store.put("a-1")
        disk.fail("write", times=None)
        with pytest.raises(Unavailable):
            store.put("a-1", data=f'"{"x" * 5000}"')
        disk.heal()
        after = store.put("a-1")

        assert store.events("a-1") == [before, after]
        assert store.reader.head(store.key, "a-1") == Head("a-1", 1, NOON)


def test_commit_writes_few_pages_however_many_streams_there_are(tmp_path):
    with closing(SqliteEngine.open(tmp_path, durable=False)) as engine:
        store = Store(engine)
        store.ids = (uuid7(NOON + micros, bytes(8)) for micros in count())
        for _ in range(4):
            store.write(*[Draft(f"a-{n}", "Happened", "{}") for n in range(3000)])
        before = engine._db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0]

        store.write(*[Draft(f"a-{n}", "Happened", "{}") for n in range(0, 3000, 30)])

        pages = engine._db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0] - before
    assert pages < 30  # for a hundred events of as many streams


# Restarts and older files


def test_start_after_a_kill_finds_streams_and_goes_on_with_them(tmp_path, store):
    written = [store.put(f"a-{n % 3}") for n in range(10)]
    place_all(store)
    written += [store.put(f"a-{n % 4}") for n in range(10, 20)]

    with closing(SqliteEngine.open(tmp_path)) as engine:  # the other was not closed
        again = Store(engine, seed=1)
        found = [one for n in range(4) for one in again.events(f"a-{n}")]
        assert sorted(found, key=lambda one: one.global_position) == written
        assert again.put("a-3").position == 3
        assert engine.recovery.verified == 10


def _as_schema_2(path) -> None:
    """What the program before this one would have left, nothing verified."""
    with closing(apsw.Connection(str(path))) as db:
        db.execute("CREATE UNIQUE INDEX events_stream ON events (stream, position); DROP TABLE places").fetchall()
        db.execute("UPDATE namespaces SET verified = 0, verified_sum = '0'").fetchall()
        db.execute("DROP TABLE state_index; ALTER TABLE state DROP COLUMN pairs").fetchall()
        db.pragma("user_version", 2)


@pytest.mark.parametrize("verified", [True, False])
def test_log_of_the_program_before_gets_its_places(tmp_path, verified):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        records = [imported(place, "a-1", 9 - place) for place in range(1, 9)]  # the last positions first
        written = [*store.take(*records), store.put("a-1"), store.put("a-2")]
    with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
        state = db.execute("SELECT verified, verified_sum FROM namespaces").fetchone()
    _as_schema_2(tmp_path / "log.db")
    if verified:
        with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
            db.execute("UPDATE namespaces SET verified = ?, verified_sum = ?", state).fetchall()

    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine, seed=1)

        assert store.events() == written
        assert store.events("a-1") == sorted(written[:9], key=lambda one: one.position)
        assert [store.put("a-1").position, store.put("a-2").position] == [10, 1]
        assert store.positions("a-1") == [*range(1, 11)]


def test_values_of_the_program_before_stay_and_are_filed_when_they_change(tmp_path):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        store.change(("a", "1", None), ("b", "1", None))
        kept = store.remembered()
    _as_schema_2(tmp_path / "log.db")

    with closing(SqliteEngine.open(tmp_path)) as engine:
        again = Store(engine, seed=1)
        found = again.remembered(), again.count(("tag", "x"))
        again.write(changes=(again.value("a", "2", ("tag", "x"), expected=kept["a"][1]), again.value("b", None)))

        assert found == (kept, 0)
        assert (again.found(), again.found(("tag", "x"))) == (["a"], ["a"])
    prove(tmp_path)


def test_ids_made_one_after_another_sort_in_that_order():
    ids = [uuid7(NOON + micros, bytes([255 - micros // 4]) * 8) for micros in range(1000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert {(one[14], one[19] in "89ab", len(one)) for one in ids} == {("7", True, 36)}
