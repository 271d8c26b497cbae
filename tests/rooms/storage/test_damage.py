"""What a damaged write-ahead log, mark or disk full of other things does to an open log: loud, never silent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import pytest
import structlog.testing

from appliance.errors import ApplianceError, ConfigError, EventsLost, Unavailable
from appliance.model.event import Event
from appliance.storage.sqlite import SqliteEngine, recover
from appliance.testing.faults import FaultyDisk
from tests.rooms.storage.store import Store, token_row

WAL_HEADER, FRAME = 32, 24 + 4096  # bytes


@pytest.fixture
def crashed(tmp_path: Path) -> tuple[Path, list[Event]]:
    """A log as a killed process leaves it, its newest events in the write-ahead log only."""
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    with closing(SqliteEngine.open(live)) as engine:
        store = Store(engine)
        written = [store.put(f"a-{n % 5}", data=f'{{"n":{n}}}') for n in range(40)]
        shutil.copytree(live, left)
    return left, written


def copies(left: Path, count: int) -> Iterator[tuple[Random, Path]]:
    for seed in range(count):
        folder = left.with_name(f"patient {seed}")
        shutil.copytree(left, folder)
        yield Random(seed), folder
        shutil.rmtree(folder)


def found_in(folder: Path) -> list[Event]:
    with closing(SqliteEngine.open(folder)) as engine:
        return Store(engine).events()


def flip(rng: Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def test_flipped_bit_in_the_write_ahead_log_loses_nothing_or_says_how_much(crashed):
    left, written = crashed
    told = []

    for rng, folder in copies(left, 60):
        flip(rng, folder / "log.db-wal")
        try:
            assert found_in(folder) == written
        except EventsLost as lost:
            told.append(lost.facts["lost"])

    assert len(told) > 30
    assert set(told) <= set(range(1, 41))


def test_truncated_write_ahead_log_is_reported_unless_only_its_spare_end_went(crashed):
    left, written = crashed
    told = 0

    for rng, folder in copies(left, 40):
        wal = folder / "log.db-wal"
        wal.write_bytes(wal.read_bytes()[: rng.randrange(wal.stat().st_size)])
        try:
            assert found_in(folder) == written
        except EventsLost:
            told += 1

    assert told > 30


def test_lost_change_of_a_token_is_reported_like_a_lost_event(tmp_path):
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    with closing(SqliteEngine.open(live)) as engine:
        store = Store(engine)
        store.put("a-1")
        before = (live / "log.db-wal").stat().st_size
        engine.put_token(token_row("token of default", namespace=store.key, revoked=store.now))
        shutil.copytree(live, left)
    wal = left / "log.db-wal"
    wal.write_bytes(wal.read_bytes()[:before])

    with pytest.raises(EventsLost) as told:
        SqliteEngine.open(left)

    assert "tokens" in told.value.message
    with closing(SqliteEngine.open(left, accept_loss=True)) as engine:
        assert [row.revoked for row in engine.reader().tokens()] == [None]
        assert "tokens" in engine.recovery.notes[0]
    with closing(SqliteEngine.open(left)) as engine:
        assert engine.recovery.notes == ()


def test_lost_change_of_state_is_reported_and_its_version_is_not_given_again(tmp_path):
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    with closing(SqliteEngine.open(live)) as engine:
        store = Store(engine)
        store.write(changes=(store.value("a", "1", ("tag", "x")),))
        before = (live / "log.db-wal").stat().st_size
        store.write(changes=(store.value("a", "2", ("tag", "y")),))
        lost = store.remembered()["a"][1]
        shutil.copytree(live, left)
    wal = left / "log.db-wal"
    wal.write_bytes(wal.read_bytes()[:before])

    with pytest.raises(EventsLost) as told:
        SqliteEngine.open(left)
    with closing(SqliteEngine.open(left, accept_loss=True)) as engine:
        store = Store(engine)
        found = store.found(("tag", "x")), store.found(("tag", "y"))
        again = store.remember("a", "3")

    assert ("state" in told.value.message, told.value.facts["lost"]) == (True, 0)
    assert found == (["a"], [])
    assert again > lost
    with closing(SqliteEngine.open(left)) as engine:
        assert engine.recovery.notes == ()


def test_torn_tail_that_nobody_was_told_of_is_recovered_quietly(crashed):
    left, written = crashed
    with (left / "log.db-wal").open("ab") as wal:
        wal.write(b"\x55" * (FRAME // 2))

    with closing(SqliteEngine.open(left)) as engine:
        assert Store(engine).events() == written
        assert engine.recovery.notes == ()


def test_damaged_mark_keeps_its_other_slot_and_two_damaged_ones_are_noted(crashed):
    left, written = crashed
    content = bytearray((left / "log.mark").read_bytes())
    content[10] ^= 1
    (left / "log.mark").write_bytes(content)

    with closing(SqliteEngine.open(left)) as engine:
        once = (Store(engine).events(), engine.recovery.notes)
    (left / "log.mark").write_bytes(bytes(8192))
    with closing(SqliteEngine.open(left)) as engine:
        twice = (Store(engine).events(), engine.recovery.notes)

    assert once == (written, ())
    assert twice[0] == written
    assert "cannot be read" in twice[1][0]


@pytest.mark.parametrize("name", ["log.db", "log.mark"])
def test_directory_in_the_place_of_a_file_is_refused_clearly(tmp_path, name):
    (tmp_path / name).mkdir()

    with pytest.raises(Unavailable) as refused:
        SqliteEngine.open(tmp_path)

    assert refused.value.hint


def test_another_programs_database_is_refused_by_name(tmp_path):
    with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
        db.execute("CREATE TABLE songs (title)")
        db.pragma("user_version", 1)

    with pytest.raises(ConfigError) as refused:
        SqliteEngine.open(tmp_path)

    assert "not a log of this program" in refused.value.message


def test_file_that_is_no_database_is_refused_clearly(tmp_path):
    (tmp_path / "log.db").write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(ApplianceError) as refused:
        SqliteEngine.open(tmp_path)

    assert "damaged" in refused.value.message


# -- a full disk


def test_full_disk_refuses_writes_while_reads_go_on_and_writing_resumes_by_itself(tmp_path):
    with FaultyDisk() as disk, closing(SqliteEngine.open(tmp_path, vfs=disk.name)) as engine:
        store = Store(engine)
        before = store.put("a-1")
        reader = store.reader

        disk.fail("write", times=None, full=True)
        refusals = [_refusal(store) for _ in range(3)]
        read = reader.events(store.query("a-1"))
        disk.heal()
        after = store.put("a-1", expected_version=0)

        assert {(refused.code, refused.status, refused.retry_after) for refused in refusals} == {
            ("unavailable", 503, 5)
        }
        assert "disk is full" in refusals[0].message
        assert read == [before]
        assert store.events() == [before, after]


def _refusal(store: Store) -> Unavailable:
    with pytest.raises(Unavailable) as refused:
        store.put("a-1")
    return refused.value


def test_database_that_may_not_grow_refuses_and_resumes_too(tmp_path):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        store = Store(engine)
        store.put("a-1")
        pages = engine._db.pragma("page_count")
        engine._db.pragma("max_page_count", pages)

        with pytest.raises(Unavailable):
            store.put("a-1", data=f'"{"x" * 100_000}"')
        small = store.put("a-1")
        engine._db.pragma("max_page_count", pages * 100)
        large = store.put("a-1", data=f'"{"x" * 100_000}"')

        assert (small.position, large.position) == (1, 2)
        assert [len(event.data) for event in store.events()] == [2, 2, 100_002]


# -- other versions of the schema


@pytest.fixture
def next_version(monkeypatch):
    """The program after this one, with one more migration."""

    def program(statements: str) -> None:
        version = recover.SCHEMA_VERSION + 1
        monkeypatch.setattr(recover, "_MIGRATIONS", [*recover._MIGRATIONS, (version, statements)])
        monkeypatch.setattr(recover, "SCHEMA_VERSION", version)

    return program


def test_newer_file_is_refused_by_name_and_left_alone(tmp_path):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        Store(engine).put("a-1")
    with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
        db.pragma("user_version", recover.SCHEMA_VERSION + 1)
    before = (tmp_path / "log.db").read_bytes()

    with pytest.raises(ConfigError) as refused:
        SqliteEngine.open(tmp_path)

    assert f"schema {recover.SCHEMA_VERSION + 1}" in refused.value.message
    assert "log.db" in refused.value.message
    assert "newer program" in refused.value.hint
    assert (tmp_path / "log.db").read_bytes() == before


def test_migration_goes_forward_after_a_copy_was_put_aside(tmp_path, next_version):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        written = [Store(engine).put("a-1")]
    old = recover.SCHEMA_VERSION

    next_version("CREATE TABLE extra (key INTEGER PRIMARY KEY); INSERT INTO extra VALUES (7);")
    with closing(SqliteEngine.open(tmp_path)) as engine:
        found = Store(engine).events()

    copy = tmp_path / f"log.db.before-schema-{old + 1}"
    with closing(apsw.Connection(str(copy))) as db:
        assert (db.pragma("user_version"), db.execute("SELECT count(*) FROM events").get) == (old, 1)
    with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
        assert (db.pragma("user_version"), db.execute("SELECT key FROM extra").get) == (old + 1, 7)
    assert found == written


def test_migration_that_takes_long_tells_so_and_asks_for_patience(tmp_path, next_version, monkeypatch):
    SqliteEngine.open(tmp_path).close()
    asked: list[str] = []
    monkeypatch.setattr(recover, "PATIENCE", 0.0)

    next_version(
        "CREATE TABLE extra (key); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        "INSERT INTO extra SELECT i FROM n;"
    )
    with structlog.testing.capture_logs() as lines:
        engine = SqliteEngine.open(tmp_path, waiting=lambda: asked.append("wait"))
    with closing(engine):
        counted = engine._db.execute("SELECT count(*) FROM extra").get
    with structlog.testing.capture_logs() as later, closing(SqliteEngine.open(tmp_path)):
        pass

    assert counted == 100_000
    assert len(asked) == len(lines)
    assert {line["now"] for line in lines} >= {f"schema {recover.SCHEMA_VERSION} of {recover.SCHEMA_VERSION}"}
    assert any(line["now"].startswith("copying") for line in lines)
    assert later == []


def test_migration_that_fails_leaves_the_old_version_and_the_first_copy(tmp_path, next_version):
    with closing(SqliteEngine.open(tmp_path)) as engine:
        Store(engine).put("a-1")
    old = recover.SCHEMA_VERSION

    next_version("CREATE TABLE extra (key); INSERT INTO nowhere VALUES (1);")
    for _ in range(2):
        with pytest.raises(ApplianceError):
            SqliteEngine.open(tmp_path)

    with closing(apsw.Connection(str(tmp_path / "log.db"))) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema")}
        assert (db.pragma("user_version"), "extra" in tables) == (old, False)
    assert sorted(path.name for path in tmp_path.glob("*before*")) == [f"log.db.before-schema-{old + 1}"]
