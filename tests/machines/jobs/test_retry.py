"""Classes, codes and waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import (
    Conflict,
    Forbidden,
    LimitReached,
    NotFound,
    PeerFailed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from appliance.jobs.retry import CODES, Backoff, Failure, code_of, failure_of, last_code
from appliance.model.occasions import CORE

WAITS = (5.0, 10.0, 20.0)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Forbidden("no"), "policy_denied", "permission_denied"),
        (Unauthenticated("no"), "policy_denied", "permission_denied"),
        (NotFound("no note 7"), "permanent", "not_found"),
        (Rejected("too odd"), "permanent", "operation_failed"),
        (TooLarge("too large"), "permanent", "operation_failed"),
        (Unavailable("later"), "transient", "operation_failed"),
        (Conflict("read it again"), "transient", "operation_failed"),
        (PeerFailed("no answer in time: timed out"), "timeout", "timed_out"),
        (PeerFailed("the model backend said 500"), "transient", "model_backend_error"),
        (LimitReached("slower", retry_after=9), "rate_limited", "operation_failed"),
        (RuntimeError("429 Too Many Requests"), "rate_limited", "operation_failed"),
        (PermissionError(13, "Permission denied", "/etc/shadow"), "policy_denied", "permission_denied"),
        (ConnectionRefusedError(111, "Connection refused"), "transient", "connection_failed"),
        (TimeoutError(), "timeout", "timed_out"),
        (OSError(28, "No space left on device"), "transient", "operation_failed"),
        (RuntimeError("deadlock in postgres"), "transient", "database_error"),
        (KeyError("title"), "poison", "handler_panicked"),
        (ZeroDivisionError(), "poison", "handler_panicked"),
    ],
)
def test_an_error_has_a_class_and_a_code(error: Exception, kind: str, code: str):
    failure = failure_of(error)

    assert (failure.kind, failure.code) == (kind, code)


def test_the_first_word_of_the_list_decides():
    assert code_of("permission denied: connection timed out") == "permission_denied"
    assert code_of("connection timed out") == "timed_out"
    assert code_of("the database refused the connection") == "connection_failed"
    assert code_of("something") == "operation_failed"


@given(st.text())
def test_whatever_an_error_says_only_a_code_of_the_list_is_told(text: str):
    told = last_code(failure_of(RuntimeError(text)), 3)
    (shape,) = [type.shape for type in CORE if type.name == "JobFailed"]

    assert told in CODES
    assert shape is not None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("transient", [5, 10, 20, None]),
        ("timeout", [15, 30, 60, None]),
        ("rate_limited", [30, 60, 120, None]),
        ("stale_worker", [30, 60, 120, None]),
        ("poison", [5, 10, 20, None]),
        ("permanent", [None] * 4),
        ("policy_denied", [None] * 4),
    ],
)
def test_waits_double_and_end_after_three(kind, expected: list[float | None]):
    waits = [Backoff(jitter=0.0).delay("j", WAITS, retry, Failure(kind, "x")) for retry in range(4)]

    assert waits == expected


def test_jitter_adds_up_to_a_fifth_and_is_the_same_each_time():
    backoff, failure = Backoff(), Failure("transient", "x")
    found = [backoff.delay(f"job-{n}", WAITS, 0, failure) for n in range(200)]

    assert found == [backoff.delay(f"job-{n}", WAITS, 0, failure) for n in range(200)]
    assert all(5.0 <= (one or 0) <= 6.0 for one in found)
    assert len(set(found)) > 150


def test_an_hour_is_the_longest_unless_somebody_asked_for_more():
    backoff = Backoff()

    assert backoff.delay("j", (90_000.0,), 0, Failure("transient", "x")) == 3600.0
    assert backoff.delay("j", (1.0,) * 99, 98, Failure("rate_limited", "x")) == 3600.0
    assert (backoff.delay("j", (1.0,), 0, Failure("rate_limited", "x", after=7200.0)) or 0) >= 7200.0


def test_patience_at_its_end_has_a_code_of_its_own_where_the_cause_has_none():
    assert last_code(Failure("transient", "operation_failed"), 3) == "retry_exhausted"
    assert last_code(Failure("transient", "connection_failed"), 3) == "connection_failed"
    assert last_code(Failure("permanent", "operation_failed"), 0) == "operation_failed"
