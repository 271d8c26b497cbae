"""`python -m tests.soak [proof ...]`: the long proofs in full, each with its seed and its figures."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.load.data import fill
from tests.soak import chaos, damage, deadday, hookkills, hostile, jobs, kills, storm, syncproof
from tests.soak.victim import ROOT, Victim

MILLION = 1_000_000


def prove_kills(folder: Path, seed: int) -> list[str]:
    """200 SIGKILLs during concurrent writes, on a log with a million events."""
    fill(folder / "kills", MILLION)
    findings = kills.run(folder / "kills", kills=200, seed=seed)
    print(findings)
    slow = [f"a restart took {seconds:.2f} s" for seconds in findings.restarts if seconds > 2]
    return findings.complaints + slow


def prove_syncs(folder: Path, seed: int) -> list[str]:
    """A trace of system calls: nothing leaves before its sync, and the judge finds fault with a build without syncs."""
    verdict = syncproof.trace(folder / "synced", writes=400)
    print(f"{verdict.judged} positions told, {len(verdict.faults)} before their sync")
    relaxed = Victim(folder / "relaxed", program=(sys.executable, "-m", "tests.soak.relaxed"))
    control = syncproof.trace(folder / "relaxed", writes=100, victim=relaxed)
    print(f"without syncs: {len(control.faults)} faults in {control.judged}")
    caught = control.judged and len(control.faults) == control.judged
    return (
        verdict.faults
        + ([] if verdict.judged else ["nothing was judged"])
        + ([] if caught else ["the build without syncs was not caught"])
    )


def prove_hostile(folder: Path, seed: int) -> list[str]:
    """1,000 mutated connections, 100 slow ones, 400 idle sockets, an unread stdout; a good client all the while."""
    findings = hostile.run(folder / "hostile", mutations=1000, idle=400, slow=100, seed=seed)
    print(findings)
    return findings.complaints


def prove_damage(folder: Path, seed: int) -> list[str]:
    """1,000 copies of a log, each truncated, zeroed or with flipped bits somewhere."""
    findings = damage.run(folder / "damage", count=1000, seed=seed)
    print(findings)
    return findings.complaints


def prove_simulation(folder: Path, seed: int) -> list[str]:
    """1,000 universes of log, bus and resume, with crashes and a faulty disk; they bring their own seeds, 0 to 999."""
    command = [sys.executable, "-m", "tests.rooms.simulation", "--seeds", "1000"]
    return ["a universe failed"] if subprocess.run(command, cwd=ROOT, check=False).returncode else []


def prove_drops(folder: Path, seed: int) -> list[str]:
    """1,000 readers, a fifth of them cut off every second for a minute, 1,000 events per second; each endpoint."""
    complaints = []
    for who in chaos.RESUMABLE:
        home = folder / who.replace(" ", "-")
        home.mkdir()
        findings = chaos.dropping(home, who=who, clients=1000, rate=1000, share=0.2, seconds=60, seed=seed)
        print(findings)
        complaints += findings.complaints
    return complaints


def prove_stall(folder: Path, seed: int) -> list[str]:
    """One reader of 1,000 stops reading: p99 of the others within a tenth, in fifteen pairs of runs."""
    findings = chaos.one_stalled(folder, clients=1000, rate=200, seconds=2, rounds=15, seed=seed)
    print(findings)
    slower = [f"the others' p99 is {findings.ratio:.2f} times as long"] if findings.ratio > 1.1 else []
    return findings.complaints + slower


def prove_deaf(folder: Path, seed: int) -> list[str]:
    """5,000 sockets that never read: memory in its budget, each cut off for it."""
    findings = chaos.never_reading(
        folder, stalled=5000, readers=20, rate=200, seconds=30, grace=5, budget_mib=64, seed=seed
    )
    print(findings)
    return findings.complaints


def prove_storm(folder: Path, seed: int) -> list[str]:
    """5,000 readers come back within 5 s of a restart: all in after 30 s, without a gap."""
    findings = storm.restarting(folder, clients=5000, events=3000, spread=5, most=30, seed=seed)
    print(findings)
    return findings.complaints


def prove_jobs(folder: Path, seed: int) -> list[str]:
    """100 SIGKILLs while 50 jobs run: none is lost, none runs twice at once, all end, and are told of in order."""
    findings = jobs.run(folder / "jobs", kills=100, seed=seed)
    print(findings)
    return findings.complaints


def prove_webhooks(folder: Path, seed: int) -> list[str]:
    """200 SIGKILLs between sending and recording; a simulated day of 10,000 events with a dead receiver and others."""
    killed = hookkills.run(folder / "kills", kills=200, seed=seed)
    print(killed)
    day = deadday.simulate(10_000)
    print(day)
    return killed.complaints + day.complaints


PROOFS: dict[str, Callable[[Path, int], list[str]]] = {
    "kills": prove_kills,
    "jobs": prove_jobs,
    "syncs": prove_syncs,
    "hostile": prove_hostile,
    "damage": prove_damage,
    "drops": prove_drops,
    "stall": prove_stall,
    "deaf": prove_deaf,
    "storm": prove_storm,
    "webhooks": prove_webhooks,
    "simulation": prove_simulation,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("proofs", nargs="*", metavar="proof", help=f"of: {' '.join(PROOFS)} (default: all)")
    parser.add_argument("--seed", type=int, help="replay a run")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1 << 32)
    complaints = []
    with tempfile.TemporaryDirectory(prefix="appliance-soak-") as folder:
        for name in chosen.proofs or PROOFS:
            print(f"\n{name} (seed {seed}): {PROOFS[name].__doc__}", flush=True)
            home = Path(folder) / name
            home.mkdir()
            found = PROOFS[name](home, seed)
            complaints += [f"{name}: {complaint}" for complaint in found]
    print("\n" + ("\n".join(complaints[:50]) or "all proofs hold"))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
