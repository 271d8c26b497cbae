"""A disk that fails at the n-th call, and one that forgets: what was acknowledged is there, or we say so."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import apsw
import pytest

from appliance.errors import Broken, EventsLost, Unavailable
from appliance.model.event import Draft
from appliance.model.state import StateChange
from appliance.storage.sqlite import SqliteEngine
from appliance.testing.faults import FaultyDisk
from tests.rooms.storage.store import Store


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with FaultyDisk() as disk:
        yield disk


def test_database_on_the_faulty_disk_still_runs_in_wal_mode(disk, tmp_path):
    engine = SqliteEngine.open(tmp_path, vfs=disk.name)
    Store(engine).put("a-1")

    watcher = apsw.Connection(str(tmp_path / "log.db"), vfs=disk.name)

    assert watcher.pragma("journal_mode") == "wal"
    assert (tmp_path / "log.db-shm").exists()
    assert (tmp_path / "log.db-wal").stat().st_size > 0
    engine.close()


def test_commit_is_synced_before_it_returns_and_its_mark_before_it_is_acknowledged(disk, tmp_path):
    store = Store(SqliteEngine.open(tmp_path, vfs=disk.name))

    before = disk.calls["sync"]
    committed = store.engine.commit([store.unit()], now_us=store.now, new_ids=store.ids)
    nothing = disk.calls["sync"] - before
    store.put("a-1")
    both = disk.calls["sync"] - before

    assert (committed.fresh, nothing, both) == ((), 0, 2)


@pytest.mark.parametrize("seed", range(60))
def test_crash_loses_nothing_that_was_acknowledged(tmp_path, seed):
    rng = Random(seed)
    with FaultyDisk() as disk:
        some = rng.choice((1, 5, 10_000))
        store = Store(SqliteEngine.open(tmp_path, vfs=disk.name, place_every=some))
        acked = []
        for generation in range(3):
            for _ in range(8):
                drafts = (Draft(f"a-{rng.randrange(4)}", "A", f'"{"x" * rng.randrange(9000)}"'),)
                acked += store.write(*drafts, changes=_changes(store, rng))
            before = store.remembered()
            unit = store.unit(*_drafts(rng), changes=_changes(store, rng))
            begun = store.engine.commit([unit], now_us=store.now, new_ids=store.ids)
            after = store.remembered()
            disk.crash(rng)
            store = Store(SqliteEngine.open(tmp_path, vfs=disk.name, place_every=some), seed=generation + 1)
            stored = store.events()

            by_stream = [one for head in store.reader.heads(store.key) for one in store.events(head.stream)]

            assert stored[: len(acked)] == acked
            assert tuple(stored[len(acked) :]) in ((), begun.fresh)  # committed, but not yet acknowledged
            assert sorted(by_stream, key=lambda event: event.global_position) == stored
            assert store.remembered() == (after if len(stored) > len(acked) else before)
            assert sorted(key for number in "012" for key in store.found(("is", number))) == store.found()
            acked = stored


def _changes(store: Store, rng: Random) -> tuple[StateChange, ...]:
    """Of some values, each of which is found by one thing at most."""
    kept = '"' + "y" * rng.randrange(3000) + '"'
    keys = rng.sample("klmnop", rng.randrange(4))
    return tuple(store.value(key, rng.choice((kept, kept, None)), ("is", str(rng.randrange(3)))) for key in keys)


def _drafts(rng: Random) -> list[Draft]:
    return [Draft(f"b-{rng.randrange(3)}", "A", "{}") for _ in range(rng.randint(1, 5))]


def test_start_reports_how_many_acknowledged_events_a_lying_disk_has_lost(tmp_path):
    told = []
    for seed in range(40):
        directory = tmp_path / str(seed)
        directory.mkdir()
        with FaultyDisk() as disk:
            store = Store(SqliteEngine.open(directory, vfs=disk.name))
            disk.lying = ("-wal",)
            acked = [store.put("a-1", data=f'"{"x" * 3000}"') for _ in range(10)]
            disk.crash(Random(seed))
            try:
                again = Store(SqliteEngine.open(directory, vfs=disk.name))
            except EventsLost as lost:
                told.append(lost.facts["lost"])
                continue
            assert again.events() == acked
    assert told
    assert set(told) <= set(range(1, 11))


def test_start_goes_on_without_lost_events_when_told_to_and_uses_no_position_twice(tmp_path):
    with FaultyDisk() as disk:
        store = Store(SqliteEngine.open(tmp_path, vfs=disk.name))
        disk.lying = ("-wal",)
        for _ in range(10):
            store.put("a-1")
        disk.crash(_losing_everything())
        disk.lying = ()

        again = Store(SqliteEngine.open(tmp_path, vfs=disk.name, accept_loss=True))

        assert (again.places(), again.engine.recovery.lost) == ([], 10)
        assert again.put("a-1").global_position == 11
        disk.crash(Random(1))
        assert SqliteEngine.open(tmp_path, vfs=disk.name).recovery.lost == 0


@pytest.mark.parametrize("full", [False, True])
def test_sync_that_fails_is_told_as_one_also_when_the_disk_is_full(disk, tmp_path, full):
    store = Store(SqliteEngine.open(tmp_path, vfs=disk.name))
    disk.fail("sync", full=full)

    with pytest.raises(Broken) as told:
        store.put("a-1")

    assert "synced" in told.value.message


def test_write_that_meets_a_full_disk_is_refused_and_the_next_one_is_not(disk, tmp_path):
    store = Store(SqliteEngine.open(tmp_path, vfs=disk.name))
    disk.fail("write", full=True)

    with pytest.raises(Unavailable) as told:
        store.put("a-1")

    assert "full" in told.value.message
    assert store.put("a-1").position == 0


def _losing_everything() -> Random:
    class Worst(Random):
        def choice(self, options):
            return max(options) if isinstance(options[0], float) else min(options)

        def random(self) -> float:
            return 0.0

    return Worst()


@pytest.mark.parametrize("call", ["read", "write", "sync"])
@pytest.mark.parametrize("full", [False, True])
def test_any_single_fault_leaves_a_log_that_opens_with_everything_acknowledged(tmp_path, call, full):
    for at in range(1, 60):
        directory = tmp_path / str(at)
        directory.mkdir()
        with FaultyDisk() as disk:
            store = Store(SqliteEngine.open(directory, vfs=disk.name))
            acked = [store.put("a-1")]
            fault = disk.fail(call, at=at, full=full)
            for number in range(12):
                try:
                    acked.append(store.put(f"a-{number % 3}", data=f'"{"x" * 5000}"'))
                    store.events()
                except Unavailable:
                    pass
                except Broken:
                    break
            disk.crash(Random(at))
            again = Store(SqliteEngine.open(directory, vfs=disk.name))
            stored = [event.id for event in again.events()]

            assert {event.id for event in acked} <= set(stored)
            assert again.places() == list(range(1, len(stored) + 1))
            again.engine.close()
        if not fault.hits:
            break
    assert at > 5
