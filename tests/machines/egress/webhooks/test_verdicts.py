"""What an answer means, and when the next attempt is due."""

from __future__ import annotations

import random

import pytest

from appliance.egress.webhooks.verdicts import SCHEDULE, Outcome, next_wait, of_status, retry_after


@pytest.mark.parametrize(
    ("status", "outcome", "error_class"),
    [
        (200, Outcome.DELIVERED, ""), (204, Outcome.DELIVERED, ""), (299, Outcome.DELIVERED, ""),
        (301, Outcome.FAILED, "redirect"), (302, Outcome.FAILED, "redirect"), (308, Outcome.FAILED, "redirect"),
        (400, Outcome.FAILED, "client"), (401, Outcome.FAILED, "client"), (404, Outcome.FAILED, "client"),
        (408, Outcome.RETRY, "client"), (425, Outcome.RETRY, "client"), (429, Outcome.RETRY, "rate_limited"),
        (410, Outcome.GONE, "gone"), (500, Outcome.RETRY, "server"), (503, Outcome.RETRY, "server"),
        (599, Outcome.RETRY, "server"),
        (100, Outcome.FAILED, "client"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, outcome: Outcome, error_class: str):
    verdict = of_status(status)
    assert (verdict.outcome, verdict.error_class) == (outcome, error_class)


def test_gaps_grow_and_end():
    """test_webhook_retry_on_failure, test_webhook_max_retries (#44)"""
    rng = random.Random(1)
    waits = [next_wait(attempt, SCHEDULE, rng) for attempt in range(1, 6)]
    assert waits[-1] is None
    for wait, due in zip(waits, SCHEDULE, strict=False):
        assert wait is not None
        assert due <= wait <= due * 1.2
    assert next_wait(2, SCHEDULE, rng, most=1) is None
    assert next_wait(5, SCHEDULE, rng, most=9) is None


def test_a_receiver_lengthens_a_wait_and_never_shortens_it():
    rng = random.Random(1)
    assert next_wait(1, SCHEDULE, rng, asked=60.0) == 60.0
    assert (next_wait(4, SCHEDULE, rng, asked=60.0) or 0) >= 125.0
    assert next_wait(1, SCHEDULE, rng, asked=1e9) == 3600.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0), (" 7 ", 7.0), ("0", 0.0),
        ("-1", None), ("soon", None), ("", None), ("1.5", None), ("٣", None), ("9" * 12, None),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("Thu, 99 Foo 1970", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None):
    assert retry_after(header, now=100.0) == seconds
