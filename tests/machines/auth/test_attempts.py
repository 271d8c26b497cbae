"""Guessing is slow, and slow for the one who guesses."""

from __future__ import annotations

import pytest

from appliance.auth.attempts import Attempts
from appliance.errors import LimitReached


def tries(attempts: Attempts, address: str, times: int, now: float) -> int:
    """How many of them were counted and not refused."""
    counted = 0
    for _ in range(times):
        try:
            attempts.failed(address, now)
        except LimitReached:
            continue
        counted += 1
    return counted


def test_an_address_has_thirty_attempts_at_once_and_then_one_a_minute():
    attempts = Attempts()

    assert [tries(attempts, "a", 40, now) for now in (0.0, 59.9, 60.0, 61.0, 180.0, 1e6)] == [30, 0, 1, 0, 2, 30]


def test_who_is_refused_hears_when_to_come_back():
    attempts = Attempts(burst=1, every=60.0)
    attempts.failed("a", 0.0)

    with pytest.raises(LimitReached) as refused:
        attempts.check("a", 20.5)

    assert (refused.value.retry_after, refused.value.status) == (40, 429)
    attempts.check("b", 20.5)
    attempts.check("a", 60.0)


def test_a_refused_attempt_does_not_put_off_the_next_one():
    attempts = Attempts(burst=1, every=60.0)
    tries(attempts, "a", 1, 0.0)

    assert [tries(attempts, "a", 5, now) for now in (30.0, 59.0, 60.0)] == [0, 0, 1]


def test_attempts_far_apart_never_add_up():
    attempts = Attempts(burst=2, every=60.0)

    assert [tries(attempts, "a", 1, minute * 60.0) for minute in range(20)] == [1] * 20


def test_a_crowd_of_guessers_takes_no_more_memory_than_its_share():
    attempts = Attempts(burst=1, addresses=3)
    for address in "abcd":
        attempts.failed(address, 0.0)

    attempts.check("a", 0.0)
    for address in "bcd":
        with pytest.raises(LimitReached):
            attempts.check(address, 0.0)
