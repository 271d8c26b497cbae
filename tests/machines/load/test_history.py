"""The benchmark's memory: what counts as worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.load import history
from tests.load.contest import Contest, Goal, Outcome, Verdict

FASTER = Goal("append/postgres", "times PostgreSQL", ("ours",), "rate", "postgres", at_least=1.5)
SOONER = Goal("append/p95", "p95 ms", ("ours",), "p95_ms", at_most=10)


def a_run(**figures: float) -> dict[str, Any]:
    return {"machine": "m", "mode": "short", "figures": {name.replace("_", "/"): f for name, f in figures.items()}}


def test_a_figure_more_than_a_fifth_worse_than_its_baseline_is_a_regression():
    """MDB003_4A_T6"""
    before = [a_run(append_postgres=2.0, append_p95=4.0)] * 3

    fine = history.regressions([Verdict(FASTER, (1.61,)), Verdict(SOONER, (4.79,))], before)
    worse = history.regressions([Verdict(FASTER, (1.59,)), Verdict(SOONER, (4.81,))], before)

    assert fine == []
    assert [(r.goal, r.figure, r.baseline) for r in worse] == [
        ("append/postgres", 1.59, 2.0),
        ("append/p95", 4.81, 4.0),
    ]


def test_a_goal_still_met_may_have_regressed():
    """MDB003_4A_T6"""
    verdict = Verdict(FASTER, (1.6,))

    (found,) = history.regressions([verdict], [a_run(append_postgres=3.0)])

    assert verdict.met
    assert str(found) == "REGRESSION append/postgres: 1.6 is 47 % worse than the baseline 3"


def test_the_baseline_is_the_median_of_the_last_five_runs():
    """MDB003_4A_T6"""
    runs = [a_run(append_postgres=figure) for figure in (9.0, 9.0, 9.0, 1.0, 2.0, 30.0, 2.2, 1.9)]

    assert history.baseline(runs, "append/postgres") == 2.0
    assert history.baseline(runs, "poke/p95") is None


def test_only_runs_of_the_same_machine_and_mode_are_compared(tmp_path: Path):
    """MDB003_4A_T6"""
    file = tmp_path / "artifacts" / "history.jsonl"
    for machine, mode, figure in (
        ("m", "short", 1.0),
        ("other", "short", 2.0),
        ("m", "full", 3.0),
        ("m", "short", 4.0),
    ):
        history.append(file, {"machine": machine, "mode": mode, "figures": {"a/b": figure}})

    found = history.load(file, machine="m", mode="short")

    assert [run["figures"]["a/b"] for run in found] == [1.0, 4.0]
    assert history.load(tmp_path / "nothing", machine="m", mode="short") == []


def test_a_goal_with_an_anchor_is_judged_by_the_median_of_the_rounds_ratios():
    outcome = Outcome(Contest("append", "", {}, (FASTER, SOONER)))
    for ours, postgres in ((30, 10), (16, 10), (100, 50), (14, 10), (5, 10)):
        outcome.rounds.append({"ours": {"rate": ours, "p95_ms": ours / 10}, "postgres": {"rate": postgres}})

    faster, sooner = outcome.verdicts()

    assert (faster.figure, faster.met) == (1.6, True)
    assert (sooner.figure, sooner.met) == (1.6, True)


def test_the_better_of_several_contenders_counts_in_each_round():
    goal = Goal("batched", "", ("pipelined", "batched"), "rate", "postgres", at_least=3.5)
    outcome = Outcome(Contest("batched", "", {}, (goal,)))
    for pipelined, batched in ((40, 10), (20, 36)):
        outcome.rounds.append(
            {"pipelined": {"rate": pipelined}, "batched": {"rate": batched}, "postgres": {"rate": 10}}
        )

    (verdict,) = outcome.verdicts()

    assert verdict.figures == (4.0, 3.6)
