"""Contenders side by side: interleaved rounds, ratios within a round, their median.

A machine that other work runs on moves absolute rates by a factor; what two servers do within the same seconds
stays comparable. So a goal that names an anchor is judged by the median of the rounds' ratios, never by the ratio
of two medians. An anchor that cannot be had, or that fails under the load, is named with the reason, and its goals
are "not measured": neither met nor missed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Contender", "Contest", "Goal", "Outcome", "Verdict", "run"]

Contender = Callable[[float], Mapping[str, Any]]  # seconds -> what was measured, by name


@dataclass(frozen=True)
class Goal:
    """What must hold. With an anchor the figure is ours divided by the anchor's; several `ours` count by their best."""

    id: str
    text: str
    ours: tuple[str, ...]
    measure: str
    anchor: str = ""
    at_least: float | None = None
    at_most: float | None = None

    def met(self, figure: float) -> bool:
        above = self.at_least is None or figure >= self.at_least
        return above and (self.at_most is None or figure <= self.at_most)

    @property
    def bound(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


@dataclass(frozen=True)
class Contest:
    """Contenders under one load and the goals that their figures decide."""

    name: str
    text: str
    contenders: Mapping[str, Contender]
    goals: tuple[Goal, ...] = ()
    rounds: int | None = None  # fixed where a round is long

    @property
    def judged(self) -> frozenset[str]:
        """Contenders that a goal is about: they may not fail."""
        return frozenset(name for goal in self.goals for name in goal.ours)


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    figures: tuple[float, ...]  # one per round

    @property
    def figure(self) -> float:
        return statistics.median(self.figures)

    @property
    def met(self) -> bool:
        return self.goal.met(self.figure)


@dataclass
class Outcome:
    """All rounds of one contest."""

    contest: Contest
    rounds: list[dict[str, Mapping[str, Any]]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # contenders without figures, and why

    def median(self, contender: str, measure: str) -> float | None:
        values = [r[contender][measure] for r in self.rounds if measure in r.get(contender, {})]
        return statistics.median(values) if values else None

    def verdicts(self) -> list[Verdict]:
        goals = [goal for goal in self.contest.goals if goal.anchor not in self.failed]
        return [Verdict(goal, tuple(_figure(goal, each) for each in self.rounds)) for goal in goals]

    def unmeasured(self) -> list[tuple[Goal, str]]:
        """Goals whose anchor has no figures, and why."""
        return [(goal, self.failed[goal.anchor]) for goal in self.contest.goals if goal.anchor in self.failed]


def run(contest: Contest, *, rounds: int, seconds: float, note: Callable[[str], None]) -> Outcome:
    """Every contender once per round; who goes first changes from round to round."""
    outcome = Outcome(contest)
    names = list(contest.contenders)
    for number in range(contest.rounds or rounds):
        note(f"{contest.name}: round {number + 1} of {contest.rounds or rounds}")
        shift = number % len(names)
        outcome.rounds.append({})
        for name in names[shift:] + names[:shift]:
            if name not in outcome.failed:
                _measure(outcome, name, seconds)
    return outcome


def _measure(outcome: Outcome, name: str, seconds: float) -> None:
    try:
        outcome.rounds[-1][name] = outcome.contest.contenders[name](seconds)
    except RuntimeError as error:
        if name in outcome.contest.judged:
            raise
        outcome.failed[name] = str(error).strip().splitlines()[0][:200]


def _figure(goal: Goal, samples: Mapping[str, Mapping[str, Any]]) -> float:
    ours: Sequence[float] = [samples[name][goal.measure] for name in goal.ours]
    best = max(ours) if goal.at_least is not None else min(ours)
    return best / samples[goal.anchor][goal.measure] if goal.anchor else best
