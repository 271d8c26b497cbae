"""Contenders that are not there: named with the reason, and never a figure made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.load.contest import Contest, Goal, run
from tests.load.report import goal_lines, table_lines, unmeasured_lines

TWICE = Goal("fan/anchor", "times the anchor", ("ours",), "rate", "anchor", at_least=2)
WHOLE = Goal("fan/lost", "nothing lost", ("ours",), "lost", at_most=0)


def ours(seconds: float) -> Mapping[str, Any]:
    return {"rate": 30.0, "lost": 0}


def slow(seconds: float) -> Mapping[str, Any]:
    return {"rate": 10.0, "lost": 7}


def absent(seconds: float) -> Mapping[str, Any]:
    raise RuntimeError("apt-get cannot get it: no network\nand more of that")


def quiet(_: str) -> None:
    """Tells nobody."""


def contest(**contenders: Any) -> Contest:
    return Contest("fan", "one to many", contenders, (TWICE, WHOLE))


def test_a_goal_with_its_anchor_is_judged():
    outcome = run(contest(ours=ours, anchor=slow), rounds=3, seconds=1, note=quiet)

    assert [(v.goal.id, v.figure, v.met) for v in outcome.verdicts()] == [
        ("fan/anchor", 3.0, True),
        ("fan/lost", 0, True),
    ]
    assert outcome.unmeasured() == []


def test_a_goal_without_its_anchor_is_not_measured_and_the_others_are_judged():
    outcome = run(contest(ours=ours, anchor=absent), rounds=3, seconds=1, note=quiet)

    assert [verdict.goal.id for verdict in outcome.verdicts()] == ["fan/lost"]
    assert outcome.unmeasured() == [(TWICE, "apt-get cannot get it: no network")]
    assert any("anchor" in line and "no network" in line for line in unmeasured_lines(outcome))
    assert any("fan/anchor" in line and "not measured" in line for line in unmeasured_lines(outcome))
    assert not any("anchor" in line for line in table_lines(outcome) + goal_lines(outcome.verdicts()))


def test_an_anchor_that_fails_once_is_out_of_all_rounds():
    calls: list[float] = []

    def failing(seconds: float) -> Mapping[str, Any]:
        calls.append(seconds)
        return slow(seconds) if len(calls) == 1 else absent(seconds)

    outcome = run(contest(ours=ours, anchor=failing), rounds=5, seconds=1, note=quiet)

    assert len(calls) == 2
    assert [goal for goal, _ in outcome.unmeasured()] == [TWICE]


def test_what_a_goal_is_about_may_not_fail():
    with pytest.raises(RuntimeError, match="no network"):
        run(contest(ours=absent, anchor=slow), rounds=1, seconds=1, note=quiet)
