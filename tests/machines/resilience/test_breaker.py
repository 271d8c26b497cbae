"""The circuit breaker as a table of moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.resilience.breaker import Breaker, State


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(failures=3, pause=30.0, longest=100.0)
    assert [breaker.failed(now) for _ in range(3)] == [False, False, True]
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_does_not():
    breaker = Breaker(failures=3)
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert breaker.succeeded() is False
    assert (breaker.failed(0.0), breaker.failed(0.0), breaker.state) == (False, False, State.CLOSED)
    assert breaker.failed(0.0) is True


def test_open_it_lets_nobody_through_until_the_pause_is_over_then_one():
    breaker = opened()
    assert (breaker.wait(0.0), breaker.wait(10.0), breaker.begin(29.9)) == (30.0, 20.0, False)
    assert breaker.begin(30.0)
    assert breaker.state is State.HALF_OPEN
    assert not breaker.begin(30.0)
    assert breaker.succeeded() is True
    assert (breaker.state, breaker.wait(31.0), breaker.begin(31.0)) == (State.CLOSED, 0.0, True)


def test_each_failed_probe_doubles_the_pause_up_to_a_bound_and_a_success_forgets_it():
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(4):
        pauses.append(breaker.wait(now))
        now += pauses[-1]
        assert breaker.begin(now)
        breaker.failed(now)
    assert pauses == [30.0, 60.0, 100.0, 100.0]
    now += 100.0
    breaker.begin(now)
    breaker.succeeded()
    for _ in range(3):
        breaker.failed(now)
    assert breaker.wait(now) == 30.0


def test_a_probe_that_never_comes_back_gives_its_place_to_another():
    breaker = opened()
    assert breaker.begin(30.0)
    assert not breaker.begin(59.0)
    assert breaker.begin(60.0)


def test_who_began_before_it_opened_and_fails_after_changes_nothing():
    breaker = opened()
    assert breaker.failed(5.0) is False
    assert breaker.wait(5.0) == 25.0


@given(st.lists(st.tuples(st.sampled_from(["begin", "ok", "bad"]), st.floats(0, 50)), max_size=80))
def test_while_open_no_leave_is_given_before_its_time(moves: list[tuple[str, float]]):
    breaker, now = Breaker(failures=2, pause=20.0, longest=60.0), 0.0
    for move, step in moves:
        now += step
        if move == "begin":
            before = breaker.wait(now)
            assert breaker.begin(now) is (before == 0.0)
        elif move == "ok":
            breaker.succeeded()
            assert breaker.state is State.CLOSED
        else:
            breaker.failed(now)
        assert 0.0 <= breaker.wait(now) <= 60.0
