"""The proofs of `make soak` about crowds, shortened: the same code, fewer readers, exact counts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak import chaos, storm

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def seed() -> int:
    return random.SystemRandom().randrange(1 << 32)


@pytest.mark.parametrize("who", chaos.RESUMABLE)
def test_readers_that_are_cut_off_and_resume_miss_nothing_and_see_nothing_twice(tmp_path: Path, who: str, seed: int):
    findings = chaos.dropping(tmp_path, who=who, clients=100, rate=200, share=0.2, seconds=3, seed=seed)

    print(f"seed {seed}: {findings}")
    assert findings.complaints == []


def test_one_reader_that_stops_reading_takes_nothing_from_the_others(tmp_path: Path, seed: int):
    findings = chaos.one_stalled(tmp_path, clients=50, rate=100, seconds=1, rounds=1, seed=seed)

    print(f"seed {seed}: {findings}")
    assert findings.complaints == []


def test_readers_that_never_read_are_cut_off_and_the_others_miss_nothing(tmp_path: Path, seed: int):
    findings = chaos.never_reading(
        tmp_path, stalled=50, readers=10, rate=500, seconds=2, grace=1, budget_mib=8, seed=seed
    )

    print(f"seed {seed}: {findings}")
    assert findings.complaints == []


def test_after_a_restart_every_reader_is_back_and_has_seen_each_event_once(tmp_path: Path, seed: int):
    findings = storm.restarting(tmp_path, clients=100, events=90, spread=1, most=60, seed=seed)

    print(f"seed {seed}: {findings}")
    assert findings.complaints == []
