"""`python -m tests.load [contest ...]`: how fast it is, beside others, on this machine, today."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.load import history
from tests.load.arena import Arena
from tests.load.contest import Outcome, Verdict, run
from tests.load.goals import CONTESTS
from tests.load.machine import GENERATOR_CORE, ROOT, SERVER_CORE, describe, others, sync_cost_us
from tests.load.report import goal_lines, table_lines, unmeasured_lines

HISTORY = ROOT / "artifacts/load-history.jsonl"
EVENTS, SHORT_EVENTS = 10_000_000, 200_000
ROUNDS, SHORT_ROUNDS = 7, 5
BUSY = 0.5  # load average


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("contests", nargs="*", metavar="contest", help=f"of: {' '.join(CONTESTS)} (default: all)")
    parser.add_argument("--short", action="store_true", help="1 s per contender and 200,000 events, as in CI")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds (default {ROUNDS}, short {SHORT_ROUNDS})")
    parser.add_argument("--seconds", type=float, help="per contender and round (default 2, short 1)")
    parser.add_argument("--events", type=int, help="in the log that is read")
    parser.add_argument("--data", type=Path, help="keep the filled log here, and use it again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument(
        "--no-history", action="store_true", help="neither compare with earlier runs nor remember this one"
    )
    chosen = parser.parse_args()
    unknown = set(chosen.contests) - set(CONTESTS)
    if unknown:
        parser.error(f"no contest called {', '.join(sorted(unknown))}; there are {', '.join(CONTESTS)}")
    return chosen


def main() -> int:
    chosen = arguments()
    rounds = chosen.rounds or (SHORT_ROUNDS if chosen.short else ROUNDS)
    seconds = chosen.seconds or (1.0 if chosen.short else 2.0)
    events = chosen.events or (SHORT_EVENTS if chosen.short else EVENTS)
    begun = time.time()
    print(f"{describe()}; server on core {SERVER_CORE}, driver on core {GENERATOR_CORE}")
    if others() > BUSY:
        print(f"load average {others():.1f}, so other work is running: ratios bear that, latencies and rates do not")
    outcomes = []
    with Arena(events=events, data=chosen.data) as arena:
        print(f"one 4 KiB write and sync: {sync_cost_us(arena.folder):.0f} µs in {arena.folder}")
        for name in chosen.contests or CONTESTS:
            outcome = run(CONTESTS[name](arena), rounds=rounds, seconds=seconds, note=_note)
            lines = table_lines(outcome) + unmeasured_lines(outcome) + goal_lines(outcome.verdicts())
            print("\n".join(lines), flush=True)
            outcomes.append(outcome)
    verdicts = [verdict for outcome in outcomes for verdict in outcome.verdicts()]
    record = _record(outcomes, verdicts, mode=f"{events} events, {seconds:g} s", begun=begun)
    if chosen.json:
        chosen.json.write_text(json.dumps(record, indent=1))
    unmeasured = sum(len(outcome.unmeasured()) for outcome in outcomes)
    return _judge(verdicts, unmeasured, record, remember=not chosen.no_history)


def _note(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _record(outcomes: list[Outcome], verdicts: list[Verdict], *, mode: str, begun: float) -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun)),
        "commit": commit.stdout.strip(),
        "machine": describe(),
        "mode": mode,
        "figures": {verdict.goal.id: verdict.figure for verdict in verdicts},
        "met": {verdict.goal.id: verdict.met for verdict in verdicts},
        "rounds": {outcome.contest.name: outcome.rounds for outcome in outcomes},
    }


def _judge(verdicts: list[Verdict], unmeasured: int, record: dict[str, Any], *, remember: bool) -> int:
    """Print the summary; 0 if every goal that was measured is met and nothing got worse."""
    worse = []
    if remember:
        worse = history.regressions(verdicts, history.load(HISTORY, machine=record["machine"], mode=record["mode"]))
        history.append(HISTORY, {key: value for key, value in record.items() if key != "rounds"})
    missed = [verdict for verdict in verdicts if not verdict.met]
    print(
        f"\n{len(verdicts) - len(missed)} of {len(verdicts)} goals met"
        + (f", {unmeasured} not measured" if unmeasured else "")
    )
    for line in goal_lines(missed) + [f"  {regression}" for regression in worse]:
        print(line)
    return 1 if missed or worse else 0


if __name__ == "__main__":
    sys.exit(main())
