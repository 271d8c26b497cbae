"""What the canary's times mean, against what is promised."""

from __future__ import annotations

import pytest

from appliance.telemetry.canary.ledger import KEPT, LEGS, Ledger

GOOD = dict.fromkeys(LEGS, 0.005)


def rows(ledger: Ledger) -> dict[str, tuple[str, float | None, int]]:
    return {row.name: (row.state, row.last_ms, row.misses) for row in ledger.rows()}


def test_before_the_first_run_nothing_is_claimed():
    assert Ledger().state == "waiting"
    assert set(rows(Ledger()).values()) == {("waiting", None, 0)}


def test_a_run_that_keeps_every_promise_is_ok():
    ledger = Ledger()

    ledger.enter(GOOD)

    assert ledger.state == "ok"
    assert rows(ledger)["websocket"] == ("ok", 5.0, 0)
    assert ledger.last == GOOD


def test_a_leg_it_did_not_arrive_on_has_failed_until_it_does():
    ledger = Ledger()
    ledger.enter(GOOD)

    ledger.enter({name: taken for name, taken in GOOD.items() if name != "sse"})
    failed = ledger.state, rows(ledger)["sse"], "sse" in ledger.last
    for _ in range(100):
        ledger.enter(GOOD)

    assert failed == ("failed", ("failed", None, 1), False)
    assert (ledger.state, rows(ledger)["sse"], ledger.misses["sse"]) == ("ok", ("ok", 5.0, 1), 1)


def test_a_promise_is_for_a_share_of_the_runs():
    ledger = Ledger()
    for number in range(100):
        ledger.enter(GOOD | {"websocket": 0.6 if number < 5 else 0.1, "append": 0.02 if number < 2 else 0.005})

    states = {row.name: row.state for row in ledger.rows()}
    websocket = next(row for row in ledger.rows() if row.name == "websocket")

    assert (states["websocket"], states["append"], ledger.state) == ("ok", "late", "late")
    assert (websocket.p50_ms, websocket.p95_ms, websocket.p99_ms) == (100, 100, 600)


@pytest.mark.parametrize("misses", [6, 50])
def test_too_many_misses_are_late_even_when_the_last_run_arrived(misses):
    ledger = Ledger()
    for number in range(100):
        ledger.enter({} if number < misses else GOOD)

    assert ledger.state == "late"
    assert all(row.p99_ms is None for row in ledger.rows())


def test_a_day_is_kept():
    ledger = Ledger()
    for _ in range(KEPT + 5):
        ledger.enter(GOOD)

    assert (ledger.runs, {row.runs for row in ledger.rows()}) == (KEPT + 5, {KEPT})
