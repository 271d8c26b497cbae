"""Backups: whole or not there, proven, and put back without losing what was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

from appliance.errors import ConfigError, Conflict, Corrupt, NotFound, Unavailable
from appliance.model.event import Draft
from appliance.storage import backup
from appliance.storage.sqlite import SqliteEngine
from appliance.supervise.place import hold
from tests.rooms.storage.store import NOON, Store

SECOND = 1_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "appliance.toml").write_text('name = "kitchen"\n')
    return folder


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    """A running log with three events in one namespace and one in another."""
    with closing(SqliteEngine.open(data)) as engine:
        store = Store(engine)
        for stream in ("a-1", "a-1", "b-1"):
            store.put(stream)
        Store(engine, "other").put("c-1")
        yield store


def make(store: Store, data: Path, *, at: int = NOON, **options) -> backup.Manifest:
    return backup.make(store.engine, data / "backups", wall_us=at, config=data / "appliance.toml", **options)


@contextmanager
def nobody() -> Iterator[None]:
    yield


def test_backup_holds_log_config_and_a_manifest_of_counts_and_digests(store, data):
    made = make(store, data)

    folder = data / "backups" / made.name
    assert sorted(file.name for file in folder.iterdir()) == ["appliance.toml", "log.db", "manifest.json", "proven"]
    assert (made.name, made.created, made.events) == ("2023-11-14T22-13-20Z", "2023-11-14T22:13:20.123456Z", 4)
    assert [(p.namespace, p.messages, p.streams, p.newest) for p in made.namespaces] == [
        ("default", 3, 2, 3),
        ("other", 1, 1, 1),
    ]
    assert len({proof.digest for proof in made.namespaces}) == 2
    assert set(made.files) == {"appliance.toml", "log.db"}
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir() if file.name in made.files} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_backup_never_holds_the_text_of_a_token(store, data):
    run = data / "run"
    run.mkdir()
    (run / "owner.token").write_text("ns_ZGVmYXVsdA_" + "5" * 64)

    made = make(store, data)

    for file in (data / "backups" / made.name).iterdir():
        assert b"5" * 64 not in file.read_bytes()


def test_backup_made_while_writing_goes_on_is_one_state(store, data):
    def write_on() -> bool:
        store.put("a-2")
        return False

    made = make(store, data, stop=write_on)

    assert made.events == 4
    assert backup.verify(data / "backups" / made.name) == made


def test_backup_that_is_given_up_or_fails_leaves_nothing(store, data):
    with pytest.raises(Unavailable):
        make(store, data, stop=lambda: True)

    assert list((data / "backups").iterdir()) == []


def test_backup_into_a_place_that_cannot_be_written_is_refused_clearly(store, data):
    (data / "backups").write_text("a file")

    with pytest.raises(Unavailable) as refused:
        make(store, data)

    assert "backup cannot be written" in refused.value.message


def test_backups_of_one_second_get_names_of_their_own(store, data):
    names = [make(store, data).name for _ in range(3)]

    assert names == ["2023-11-14T22-13-20Z", "2023-11-14T22-13-20Z-2", "2023-11-14T22-13-20Z-3"]


def test_listing_is_newest_first_and_tells_what_is_none(store, data):
    old, new = (make(store, data, at=NOON + n * SECOND) for n in (0, 5))
    (data / "backups" / "junk").mkdir()
    (data / "backups" / "half.partial").mkdir()

    found = backup.listing(data / "backups")

    assert [one.name for one in found] == ["junk", new.name, old.name]
    assert "is no backup" in found[0].problem
    assert (found[1].events, found[1].proven, found[1].problem) == (4, new.created, "")
    assert found[1].size > 4096
    assert backup.listing(data / "nowhere") == []


def test_backup_is_found_by_name_by_ending_or_as_the_newest(store, data):
    old, new = (make(store, data, at=NOON + n * SECOND) for n in (0, 5))
    folder = data / "backups"

    assert [backup.find(folder, name).name for name in ("", old.name, "25Z")] == [new.name, old.name, new.name]
    for name in ("Z", "1999"):
        with pytest.raises(NotFound):
            backup.find(folder, name)
    with pytest.raises(NotFound):
        backup.find(data / "nowhere")


def test_verify_notes_when_it_was_proven_last(store, data):
    made = make(store, data)

    backup.verify(data / "backups" / made.name, wall_us=NOON + 60 * SECOND)

    assert backup.listing(data / "backups")[0].proven == "2023-11-14T22:14:20.123456Z"


@pytest.mark.parametrize("name", ["log.db", "appliance.toml", "manifest.json"])
def test_verify_notices_a_flipped_bit_in_any_file(store, data, name):
    made = make(store, data)
    path = data / "backups" / made.name / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)

    with pytest.raises(Corrupt):
        backup.verify(path.parent)


def test_verify_notices_a_missing_file_and_a_folder_that_is_no_backup(store, data):
    made = make(store, data)
    (data / "backups" / made.name / "log.db").unlink()

    with pytest.raises(Corrupt):
        backup.verify(data / "backups" / made.name)
    with pytest.raises(NotFound):
        backup.verify(data)


def test_verify_notices_events_that_were_changed_and_hashed_again(store, data):
    made = make(store, data)
    path = data / "backups" / made.name / "log.db"
    with closing(apsw.Connection(str(path))) as db:
        db.execute("UPDATE events SET type = 'Forged' WHERE position = 1")
    _forge(path.parent, made)

    with pytest.raises(Corrupt):
        backup.verify(path.parent)


def _forge(folder: Path, made: backup.Manifest) -> None:
    """Write a manifest that fits the file."""
    import msgspec

    files = made.files | {"log.db": backup.facts(folder / "log.db")}
    (folder / "manifest.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(made, files=files)))


def test_prune_keeps_the_newest_and_clears_what_was_left_unfinished(store, data):
    names = [make(store, data, at=NOON + n * SECOND).name for n in range(5)]
    (data / "backups" / "cut-short.partial").mkdir()

    gone = backup.prune(data / "backups", keep=2)

    assert sorted(gone) == names[:3]
    assert sorted(path.name for path in (data / "backups").iterdir()) == names[3:]
    assert backup.prune(data / "backups", keep=0) == names[3:4]


def test_restore_puts_everything_back_and_keeps_what_was_there(store, data):
    made = make(store, data)
    later = store.put("late-1")
    store.engine.close()

    done = backup.restore(data / "backups" / made.name, data, wall_us=NOON, hold=lambda: hold(data))

    assert [(p.namespace, p.messages) for p in done.before or ()] == [("default", 4), ("other", 1)]
    assert done.after == made.namespaces
    assert Path(done.config).read_text() == 'name = "kitchen"\n'
    with closing(SqliteEngine.open(data)) as restored:
        again = Store(restored, seed=1)
        assert (again.places(), again.engine.recovery.lost) == ([1, 2, 3], 0)
        assert again.put("a-1", expected_version=1).global_position == 4
    with closing(SqliteEngine.open(Path(done.aside))) as old:
        assert Store(old).events()[-1] == later


def test_restored_log_knows_tokens_and_idempotency_keys(store, data):
    first = store.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1")
    tokens = store.reader.tokens()
    made = make(store, data)
    store.engine.close()

    backup.restore(data / "backups" / made.name, data, wall_us=NOON, hold=nobody)

    with closing(SqliteEngine.open(data)) as restored:
        again = Store(restored, seed=1)
        assert again.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1") == first
        assert again.reader.tokens() == tokens


def test_restore_is_refused_while_an_appliance_works_on_the_data(store, data):
    made = make(store, data)
    before = store.events()

    with hold(data), pytest.raises(Conflict):
        backup.restore(data / "backups" / made.name, data, wall_us=NOON, hold=lambda: hold(data))

    assert store.events() == before


def test_restore_of_a_damaged_backup_changes_nothing(store, data):
    made = make(store, data)
    path = data / "backups" / made.name / "log.db"
    path.write_bytes(path.read_bytes()[:-1])
    before = store.events()

    with pytest.raises(Corrupt):
        backup.restore(path.parent, data, wall_us=NOON, hold=nobody)

    assert store.events() == before
    assert not list(data.glob("replaced-*"))


def test_restore_onto_a_broken_or_missing_log_works(store, data, tmp_path):
    made = make(store, data)
    store.engine.close()
    (data / "log.db").write_bytes(b"not a database")
    elsewhere = tmp_path / "new machine"

    broken = backup.restore(data / "backups" / made.name, data, wall_us=NOON, hold=nobody)
    missing = backup.restore(data / "backups" / made.name, elsewhere, wall_us=NOON, hold=nobody)

    assert (broken.before, missing.before) == (None, None)
    assert (Path(broken.aside) / "log.db").read_bytes() == b"not a database"
    assert missing.aside == ""
    for folder in (data, elsewhere):
        with closing(SqliteEngine.open(folder)) as restored:
            assert Store(restored).places() == [1, 2, 3]


def test_restore_that_was_cut_short_makes_a_start_refuse_and_can_be_repeated(store, data, monkeypatch):
    made = make(store, data)
    store.put("late-1")
    store.engine.close()

    def power_fails(self: Path, target: Path) -> Path:
        if self.name == "log.mark":
            raise OSError("no power")
        return original(self, target)

    original = Path.rename
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", power_fails)
        with pytest.raises(Unavailable):
            backup.restore(data / "backups" / made.name, data, wall_us=NOON, hold=nobody)
    with pytest.raises(Unavailable):
        SqliteEngine.open(data)
    backup.restore(data / "backups" / made.name, data, wall_us=NOON, hold=nobody)

    with closing(SqliteEngine.open(data)) as restored:
        assert Store(restored).places() == [1, 2, 3]


def test_backup_of_a_newer_program_is_refused_by_name(store, data):
    made = make(store, data)
    path = data / "backups" / made.name / "log.db"
    with closing(apsw.Connection(str(path))) as db:
        db.pragma("user_version", 99)
    _forge(path.parent, made)

    with pytest.raises(ConfigError) as refused:
        backup.verify(path.parent)

    assert "schema 99" in refused.value.message
