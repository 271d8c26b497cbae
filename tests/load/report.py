"""Prints what a contest found: absolute numbers, then each goal with its ratios and PASS or MISS."""

from __future__ import annotations

from tests.load.contest import Outcome, Verdict

__all__ = ["goal_lines", "table_lines"]

COLUMNS = (  # key, heading, format
    ("rate", "per second", "{:,.0f}"),
    ("p50_ms", "p50 ms", "{:.2f}"),
    ("p95_ms", "p95 ms", "{:.2f}"),
    ("p99_ms", "p99 ms", "{:.2f}"),
    ("cpu_us", "server µs", "{:.1f}"),
    ("busy", "driver busy", "{:.0%}"),
    ("seconds", "seconds", "{:.3f}"),
    ("resident_mib", "MiB", "{:.1f}"),
)


def table_lines(outcome: Outcome) -> list[str]:
    """Medians per contender; an empty cell was not measured. A driver at 100 % was the limit itself."""
    names = list(outcome.contest.contenders)
    columns = [c for c in COLUMNS if any(outcome.median(name, c[0]) is not None for name in names)]
    lines = [f"\n{outcome.contest.name}: {outcome.contest.text} ({len(outcome.rounds)} rounds, medians)"]
    lines.append("  " + " " * 22 + "".join(f"{heading:>13}" for _, heading, _ in columns))
    for name in names:
        cells = [(outcome.median(name, key), form) for key, _, form in columns]
        lines.append(f"  {name:<22}" + "".join(f"{'' if v is None else form.format(v):>13}" for v, form in cells))
    return lines


def goal_lines(verdicts: list[Verdict]) -> list[str]:
    return [
        f"  {'PASS' if v.met else 'MISS'}  {v.goal.id:<16} {v.figure:8.3g}  ({v.goal.bound})  {v.goal.text}"
        f"   [{' '.join(f'{figure:.3g}' for figure in sorted(v.figures))}]"
        for v in verdicts
    ]
