"""The SQLite engine passes the suite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from appliance.errors import Corrupt, NotFound, Unavailable
from appliance.model.event import Draft, Page
from appliance.storage.ports import Engine
from appliance.storage.sqlite import SqliteEngine, proof, prove, reader, recover
from appliance.storage.sqlite.recover import connect
from tests.rooms.storage.conformance import PersistentConformance
from tests.rooms.storage.store import NOON, Store


class TestSqliteEngine(PersistentConformance):
    @pytest.fixture(params=[10_000, 3, 1], ids=lambda events: f"places-every-{events}")
    def place_every(self, request: pytest.FixtureRequest) -> int:
        """Events are found in the tail, in both, or in the table of places."""
        return int(request.param)

    @pytest.fixture
    def opened(self, tmp_path: Path, place_every: int) -> Iterator[list[SqliteEngine]]:
        """The engine in use is the last one."""
        engines = [SqliteEngine.open(tmp_path, place_every=place_every)]
        yield engines
        engines[-1].close()

    @pytest.fixture
    def engine(self, opened: list[SqliteEngine]) -> Engine:
        return opened[-1]

    @pytest.fixture
    def reopen(self, opened: list[SqliteEngine], tmp_path: Path, place_every: int) -> Callable[[Engine], Engine]:
        def again(engine: Engine) -> Engine:
            engine.close()
            opened.append(SqliteEngine.open(tmp_path, place_every=place_every))
            return opened[-1]

        return again


def test_connections_have_all_their_settings(tmp_path):
    SqliteEngine.open(tmp_path).close()

    with closing(connect(tmp_path / "log.db", durable=True)) as writer:
        writing = {
            name: writer.pragma(name) for name in ("journal_mode", "synchronous", "cache_size", "trusted_schema")
        }
        limit = writer.pragma("journal_size_limit")
    with closing(connect(tmp_path / "log.db", durable=True, reading=True)) as reader:
        reading = {name: reader.pragma(name) for name in ("query_only", "cache_size", "trusted_schema")}

    assert writing == {"journal_mode": "wal", "synchronous": 2, "cache_size": -32000, "trusted_schema": 0}
    assert limit == 64 * 1024 * 1024
    assert reading == {"query_only": 1, "cache_size": -8000, "trusted_schema": 0}


def test_backup_is_one_state_of_a_log_that_is_written_meanwhile(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "copy").mkdir()
    with closing(SqliteEngine.open(tmp_path / "log")) as engine:
        store = Store(engine)
        before = [store.put("a-1", data=f'"{"x" * 4000}"') for _ in range(50)]

        def write_on() -> bool:
            store.put("a-2")
            return False

        engine.backup(tmp_path / "copy", stop=write_on)

    with closing(SqliteEngine.open(tmp_path / "copy")) as copied:
        assert Store(copied).events() == before
        assert copied.recovery.lost == 0


def test_backup_has_events_and_state_of_the_same_moment(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "copy").mkdir()
    with closing(SqliteEngine.open(tmp_path / "log")) as engine:
        store = Store(engine)
        counted = itertools.count(1)

        def count() -> bool:
            number = str(next(counted))
            store.write(Draft("a-1", "Counted", number), changes=(store.value("count", number, ("at", number)),))
            return False

        for _ in range(500):
            count()
        engine.backup(tmp_path / "copy", stop=count)

    prove(tmp_path / "copy")
    with closing(SqliteEngine.open(tmp_path / "copy")) as copied:
        again = Store(copied)
        (value, _) = again.remembered()["count"]
        assert value == again.events()[-1].data == str(len(again.events()))
        assert again.found(("at", value)) == ["count"]
        assert next(counted) > int(value) + 1


def test_backup_that_is_given_up_leaves_nothing_behind(tmp_path):
    (tmp_path / "copy").mkdir()
    with closing(SqliteEngine.open(tmp_path)) as engine:
        Store(engine).put("a-1")

        with pytest.raises(Unavailable):
            engine.backup(tmp_path / "copy", stop=lambda: True)

    assert list((tmp_path / "copy").iterdir()) == []


def test_proof_counts_what_is_there_and_changes_nothing(tmp_path):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        for name in ("a-1", "a-2", "old-1"):
            store.put(name)
        engine.retain(store.key, "old", NOON + 1, 10)
        Store(engine, "other")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    default, other = prove(tmp_path)

    assert (default.namespace, default.messages, default.streams, default.newest) == ("default", 2, 3, 3)
    assert (other.namespace, other.messages, other.digest) == ("other", 0, "0" * 32)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET data = '{\"a\":2}' WHERE position = 1",
        "DELETE FROM events WHERE position = 1",
        "UPDATE events SET position = 7 WHERE position = 1",
        "UPDATE events SET time = 'soon' WHERE position = 1",
        "UPDATE namespaces SET messages = messages + 1",
        "UPDATE namespaces SET written = 'nonsense'",
        "UPDATE categories SET messages = messages - 1",
        "DELETE FROM places WHERE position = 1",
        "UPDATE places SET event = event + 1 WHERE position = 1",
        "INSERT INTO places SELECT stream + 1, position, event FROM places",
        "DELETE FROM state_index WHERE value = 'x'",
        "UPDATE state_index SET value = 'z' WHERE value = 'x'",
        "INSERT INTO state_index SELECT namespace, owner, name, value, 'b' FROM state_index",
        "UPDATE state SET pairs = NULL",
    ],
)
def test_proof_notices_what_was_changed_behind_our_back(tmp_path, damage):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        for _ in range(3):
            store.put("a-1", data='{"a":1}')
        store.write(changes=(store.value("a", "1", ("tag", "x"), ("tag", "y")),))
    with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
        db.execute(damage)
        db.pragma("journal_mode", "DELETE")

    with pytest.raises(Corrupt):
        prove(tmp_path)


def test_proof_of_an_empty_folder_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        prove(tmp_path)


def test_large_events_cut_a_page_short_and_paging_on_finds_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "PAGE_CHARACTERS", 10_000)
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        written = [store.put("a-1", data=f'"{"x" * 3000}"') for _ in range(10)]

        pages, lists, position = [], [], 0
        while (page := store.page("a-1", position=position, limit=100)).count:
            pages.append((page.count, page.cut))
            lists += store.events("a-1", position=position, limit=page.count)
            position = page.position + 1

        assert pages == [(4, True), (4, True), (2, False)]
        assert lists == written
        assert len(store.events("a-1")) == 4
        assert store.page("nothing-1") == Page("", 0)


def test_receipt_of_a_large_unit_is_given_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "PAGE_CHARACTERS", 10_000)
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        drafts = [Draft("a-1", "A", f'"{"x" * 3000}"') for _ in range(10)]

        first, again = (store.write(*drafts, key="k", fingerprint=b"1") for _ in range(2))

        assert (len(again), again) == (10, first)


def test_proof_of_an_older_schema_is_made_on_a_copy_with_todays(tmp_path, monkeypatch):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        Store(engine).put("a-1")
    version = recover.SCHEMA_VERSION + 1
    monkeypatch.setattr(recover, "_MIGRATIONS", [*recover._MIGRATIONS, (version, "CREATE TABLE extra (key);")])
    monkeypatch.setattr(recover, "SCHEMA_VERSION", version)
    monkeypatch.setattr(proof, "SCHEMA_VERSION", version)
    before = (tmp_path / "log.db").read_bytes()

    (found,) = prove(tmp_path)

    assert (found.namespace, found.messages) == ("default", 1)
    assert (tmp_path / "log.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.db", "log.mark"]


def test_engine_may_be_closed_twice(tmp_path):
    engine = SqliteEngine.open(tmp_path)
    engine.close()
    engine.close()

    with closing(SqliteEngine.open(tmp_path)) as again:
        assert again.recovery.notes == ()


@pytest.mark.parametrize("asked", [{}, {"newest_first": True}, {"prefix": "v"}, {"after": "v0010"}])
@pytest.mark.parametrize(
    "where", [(), (("kind", "even"),), (("all", ""), ("kind", "even")), (("few", ""), ("all", "")), (("few", "no"),)]
)
def test_looking_for_a_few_values_takes_no_more_steps_among_many(tmp_path, where, asked):
    steps = {}
    for count in (100, 4000):
        folder = tmp_path / str(count)
        folder.mkdir()
        with closing(SqliteEngine.open(folder)) as engine:
            store = Store(engine)
            every = count // 50
            for first in range(0, count, 500):
                store.write(
                    changes=tuple(
                        store.value(
                            f"v{number:04}",
                            "1",
                            ("all", ""),
                            ("kind", ("even", "odd")[number % 2]),
                            *([("few", "")] if number % every == 0 else []),
                        )
                        for number in range(first, min(first + 500, count))
                    )
                )
            store.remember("w", "1")
            with closing(engine.reader()) as looking:
                taken = itertools.count()
                looking._db.set_progress_handler(lambda taken=taken: bool(next(taken) < 0), 1)
                looking.states(store.key, "notes", where=where, limit=10, **asked)
                steps[count] = next(taken)

    assert steps[4000] < 2 * steps[100] + 2000
