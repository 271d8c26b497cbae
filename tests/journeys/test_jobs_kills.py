"""The proof of `make soak` about jobs and kills, shortened. It prints its seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak import jobs


@pytest.mark.timeout(300)
def test_ten_kills_while_fifty_jobs_run_lose_none_and_run_none_twice(tmp_path: Path):
    findings = jobs.run(tmp_path / "jobs", kills=10, seed=random.SystemRandom().randrange(1 << 32))

    print(findings)
    assert findings.complaints == []
    assert findings.kills == 10
    assert findings.begun_again > 10
    assert findings.ended >= findings.acknowledged >= jobs.AT_ONCE
