"""What earlier runs found, one JSON line each, and whether today is worse.

The baseline of a figure is the median of the last runs on the same kind of machine in the same mode. Ratios age
well, so a figure that is more than a fifth worse than its baseline is a regression, not weather.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.load.contest import Verdict

__all__ = ["Regression", "append", "baseline", "load", "regressions"]

TOLERANCE = 0.20  # share of the baseline
REMEMBERED = 5  # runs


@dataclass(frozen=True)
class Regression:
    goal: str
    figure: float
    baseline: float

    def __str__(self) -> str:
        worse = abs(self.figure / self.baseline - 1) * 100
        return f"REGRESSION {self.goal}: {self.figure:.3g} is {worse:.0f} % worse than the baseline {self.baseline:.3g}"


def load(path: Path, *, machine: str, mode: str) -> list[dict[str, Any]]:
    """Comparable runs, oldest first."""
    if not path.exists():
        return []
    runs = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [run for run in runs if (run["machine"], run["mode"]) == (machine, mode)]


def append(path: Path, run: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(run) + "\n")


def baseline(runs: Sequence[Mapping[str, Any]], goal: str) -> float | None:
    figures = [run["figures"][goal] for run in runs if goal in run["figures"]][-REMEMBERED:]
    return statistics.median(figures) if figures else None


def regressions(verdicts: Sequence[Verdict], runs: Sequence[Mapping[str, Any]]) -> list[Regression]:
    found = []
    for verdict in verdicts:
        before = baseline(runs, verdict.goal.id)
        if before is None:
            continue
        worse = before * (1 - TOLERANCE) if verdict.goal.at_least is not None else before * (1 + TOLERANCE)
        is_worse = verdict.figure < worse if verdict.goal.at_least is not None else verdict.figure > worse
        if is_worse:
            found.append(Regression(verdict.goal.id, verdict.figure, before))
    return found
