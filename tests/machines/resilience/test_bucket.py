"""A bucket gives a burst, then a steady rate, and is never filled above the burst."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.resilience.bucket import Bucket


def test_a_burst_passes_and_then_the_rate():
    bucket = Bucket(60, burst=3)

    waits = [bucket.take(now) for now in (0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0)]

    assert waits == [0.0, 0.0, 0.0, 1.0, 0.5, 0.0, 1.0]


def test_a_long_pause_fills_it_once_and_not_twice():
    bucket = Bucket(60, burst=2)
    bucket.take(0.0)

    waits = [bucket.take(1000.0) for _ in range(3)]

    assert waits == [0.0, 0.0, 1.0]


@given(st.integers(1, 600), st.integers(1, 20), st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_more_pass_than_the_burst_and_the_rate_allow(rate: int, burst: int, gaps: list[float]):
    bucket, now, passed = Bucket(rate, burst), 0.0, 0
    for gap in gaps:
        now += gap
        passed += bucket.take(now) == 0.0

    assert 1 <= passed <= burst + now * rate / 60 + 1e-6
