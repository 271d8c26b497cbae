"""Prints what a contest found: absolute numbers, then each goal with its ratios and PASS or MISS."""

from __future__ import annotations

from tests.load.contest import Outcome, Verdict

__all__ = ["goal_lines", "table_lines", "unmeasured_lines"]

COLUMNS = (  # key, heading, format
    ("rate", "per second", "{:,.0f}"),
    ("p50_ms", "p50 ms", "{:.2f}"),
    ("p95_ms", "p95 ms", "{:.2f}"),
    ("p99_ms", "p99 ms", "{:.2f}"),
    ("cpu_us", "server µs", "{:.2f}"),
    ("busy", "driver busy", "{:.0%}"),
    ("lost", "lost", "{:,.0f}"),
    ("doubles", "doubles", "{:,.0f}"),
    ("open_s", "open s", "{:.2f}"),
    ("kib", "KiB each", "{:.1f}"),
    ("seconds", "seconds", "{:.3f}"),
    ("resident_mib", "MiB", "{:.1f}"),
)


def table_lines(outcome: Outcome) -> list[str]:
    """Medians per contender; an empty cell was not measured. A driver at 100 % was the limit itself."""
    names = [name for name in outcome.contest.contenders if name not in outcome.failed]
    columns = [c for c in COLUMNS if any(outcome.median(name, c[0]) is not None for name in names)]
    lines = [f"\n{outcome.contest.name}: {outcome.contest.text} ({len(outcome.rounds)} rounds, medians)"]
    lines.append("  " + " " * 22 + "".join(f"{heading:>13}" for _, heading, _ in columns))
    for name in names:
        cells = [(outcome.median(name, key), form) for key, _, form in columns]
        lines.append(f"  {name:<22}" + "".join(f"{'' if v is None else form.format(v):>13}" for v, form in cells))
    return lines


def unmeasured_lines(outcome: Outcome) -> list[str]:
    """Who has no figures, and which goals could not be judged for it."""
    lines = [f"  {name:<22} not measured: {reason}" for name, reason in outcome.failed.items()]
    return lines + [
        f"  -     {goal.id:<16} not measured  ({goal.bound})  {goal.text}" for goal, _ in outcome.unmeasured()
    ]


def goal_lines(verdicts: list[Verdict]) -> list[str]:
    return [
        f"  {'PASS' if v.met else 'MISS'}  {v.goal.id:<16} {v.figure:8.3g}  ({v.goal.bound})  {v.goal.text}"
        f"   [{' '.join(f'{figure:.3g}' for figure in sorted(v.figures))}]"
        for v in verdicts
    ]
