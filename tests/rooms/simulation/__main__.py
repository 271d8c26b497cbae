"""Live through many universes: python -m tests.rooms.simulation --seeds 1000 [--first N].

A seed that fails is printed with the command that plays it again, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from tests.rooms.simulation.universe import play


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rooms.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many universes")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    failed: list[int] = []
    began = time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        try:
            counts += play(seed).counts
        except Exception:  # noqa: BLE001 - whatever it was, the other seeds are still wanted
            failed.append(seed)
            traceback.print_exc()
            print(f"seed {seed} failed; again: python -m tests.rooms.simulation --first {seed} --seeds 1", flush=True)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(
        f"{options.seeds} seeds from {options.first} in {time.monotonic() - began:.1f} s: {len(failed)} failed; {told}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
