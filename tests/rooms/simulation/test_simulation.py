"""Log, bus and resume through many universes. A seed that fails is a test for ever: add it to KEPT."""

from __future__ import annotations

import inspect
import itertools
import os

import apsw
import pytest
import trio
import trio._core._run

from appliance.bus.audience import Audience
from appliance.errors import ApplianceError, EventsLost
from appliance.model.event import Event
from appliance.storage.sqlite import engine, values
from appliance.testing.simulation import Simulation
from tests.rooms.simulation.history import Violation
from tests.rooms.simulation.universe import play

SEEDS = int(os.environ.get("SEEDS", "200"))
PART = 20
KEPT = (
    16,  # members were served in the order of their memory addresses
    145,  # closing on a full disk raised
    500,  # a read that failed for one slow member ended the bus
)


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_what_was_shown_is_stored_and_nobody_misses_anything_or_gets_it_twice(first):
    for seed in range(first, min(first + PART, SEEDS)):
        print(f"seed {seed}; again: python -m tests.rooms.simulation --first {seed} --seeds 1")

        outcome = play(seed)

        assert outcome.counts["power cut"] + outcome.counts["broke"] <= 4


@pytest.mark.parametrize("seed", KEPT)
def test_seed_that_once_failed_goes_well(seed):
    assert play(seed).counts["acknowledged"] > 0


def test_universes_are_eventful():
    total = play(0).counts
    for seed in range(1, 20):
        total += play(seed).counts

    for happening in (
        "acknowledged",
        "delivered",
        "announced",
        "gave up",
        "with changes",
        "VersionConflict",
        "Conflict",
        "Unavailable",
        "power cut",
        "broke",
    ):
        assert total[happening], happening


def test_same_seed_gives_the_same_trace_and_another_seed_another():
    first, again, other = play(5), play(5), play(6)

    assert (first.fingerprint, first.counts) == (again.fingerprint, again.counts)
    assert first.fingerprint != other.fingerprint


def test_commit_without_its_sync_is_found_by_those_who_were_acknowledged():
    found = [seed for seed in range(20) if isinstance(_fate(seed, lying=("",)), Exception)]

    assert len(found) >= 15


def test_log_itself_notices_the_missing_sync_when_its_mark_was_synced():
    fates = [_fate(seed, lying=("-wal",)) for seed in range(20)]

    assert sum(isinstance(fate, EventsLost) for fate in fates) >= 10
    assert not any(isinstance(fate, Violation) for fate in fates)


def test_subscriber_that_misses_one_event_in_fifty_is_found(monkeypatch):
    original = Audience.add

    def forgetful(self: Audience, event: Event, now: float) -> bool:
        return event.global_position % 50 != 7 and original(self, event, now)

    monkeypatch.setattr(Audience, "add", forgetful)

    assert any(isinstance(_fate(seed), Violation) for seed in range(10))


def test_state_that_is_not_written_beside_its_event_is_found(monkeypatch):
    commits = itertools.count()

    def forgetful(db: apsw.Connection, changed: values.Changed) -> None:
        if next(commits) % 50 != 7:
            values.write_values(db, changed)

    monkeypatch.setattr(engine, "write_values", forgetful)

    assert any(isinstance(_fate(seed), Violation) for seed in range(10))


def test_writer_that_does_not_look_at_what_was_read_is_found(monkeypatch):
    monkeypatch.setattr(values, "check_version", lambda wanted, actual: None)

    assert any(isinstance(_fate(seed), Violation) for seed in range(10))


def _fate(seed: int, *, lying: tuple[str, ...] = ()) -> ApplianceError | Violation | None:
    try:
        play(seed, lying=lying)
    except (ApplianceError, Violation) as end:
        return end
    return None


def test_trio_still_has_the_private_knobs_of_the_seeded_scheduler():
    source = inspect.getsource(trio._core._run)

    assert trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING in (True, False)
    assert "if _ALLOW_DETERMINISTIC_SCHEDULING:" in source
    assert "_r.shuffle(batch)" in source
    assert _order_of_tasks(seed=1) == _order_of_tasks(seed=1)
    assert len({tuple(_order_of_tasks(seed)) for seed in range(10)}) > 1


def _order_of_tasks(seed: int) -> list[int]:
    order: list[int] = []

    async def step(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(step, number)

    Simulation(seed).run(main)
    return order
