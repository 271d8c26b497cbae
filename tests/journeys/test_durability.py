"""The long proofs of `make soak`, shortened: the same code, fewer rounds. Each prints its seed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.soak import damage, hostile, kills, syncproof
from tests.soak.victim import Victim

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def seed() -> int:
    return random.SystemRandom().randrange(1 << 32)


def test_twenty_kills_during_concurrent_writes_lose_double_and_skip_nothing(tmp_path: Path, seed: int):
    findings = kills.run(tmp_path / "data", kills=20, seed=seed)

    print(findings)
    assert findings.complaints == []
    assert findings.kills == 20
    assert findings.acknowledged > 200


def test_nothing_is_acknowledged_or_poked_before_its_data_and_mark_are_synced(tmp_path: Path):
    verdict = syncproof.trace(tmp_path / "data", writes=120)

    print(f"{verdict.judged} positions told")
    assert verdict.faults == []
    assert verdict.judged >= 120


def test_the_same_trace_finds_fault_with_a_build_that_does_not_sync(tmp_path: Path):
    relaxed = Victim(tmp_path / "data", program=(sys.executable, "-m", "tests.soak.relaxed"))

    verdict = syncproof.trace(tmp_path / "data", writes=40, victim=relaxed)

    assert verdict.judged >= 40
    assert len(verdict.faults) == verdict.judged


def test_after_a_failed_sync_nothing_is_acknowledged_and_the_process_ends(tmp_path: Path):
    told, exit_code = syncproof.fail_a_sync(tmp_path / "data", after=30)

    assert exit_code != 0
    assert told == []


def test_a_good_client_is_served_while_strangers_misbehave(tmp_path: Path, seed: int):
    findings = hostile.run(tmp_path / "data", mutations=100, idle=400, slow=20, seed=seed)

    print(findings)
    assert findings.complaints == []
    assert findings.good_calls > 100


def test_a_hundred_damaged_logs_open_whole_or_say_what_is_wrong(tmp_path: Path, seed: int):
    findings = damage.run(tmp_path / "logs", count=100, seed=seed)

    print(findings)
    assert findings.complaints == []
    assert findings.outcomes["intact"] < 100
