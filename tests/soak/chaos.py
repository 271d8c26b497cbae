"""A crowd in trouble: readers that are cut off and come back, readers that stop reading, readers that never begin.

Every event has a number and every delivery is counted by the generator of `tests.load`, so a gap or a double is a
fact. Afterwards the server must be what it was before: no task, no descriptor, no connection more.
"""

from __future__ import annotations

import os
import statistics
import time
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.load import fanservers
from tests.load.crowd import Crowd, Tally, gather
from tests.load.endpoints import ENDPOINTS
from tests.load.machine import Started

__all__ = ["RESUMABLE", "Findings", "Vitals", "dropping", "never_reading", "one_stalled"]

# Endpoints where a reader resumes by position, by their names in `endpoints.ENDPOINTS`.
RESUMABLE = ("appliance", "appliance sse", "appliance broadcast", "appliance tail")
SETTLE = 20.0  # seconds after which strangers' connections must be gone
SPARE_S = 3.0  # seconds by which the last one may be cut late
SPARE_MIB = 64.0  # what a server may need beside its budget
BUG = 1011
SLOW = 4008


@dataclass
class Findings:
    """What one kind of trouble did; `complaints` must be empty."""

    text: str = ""
    complaints: list[str] = field(default_factory=list)
    ratio: float = 1.0  # of two latencies, where two were compared

    def __str__(self) -> str:
        return f"{self.text}; {len(self.complaints)} complaints"

    def must(self, holds: bool, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)


@dataclass(frozen=True)
class Vitals:
    """What a crowd may not leave behind."""

    descriptors: int
    tasks: int
    sockets: int
    subscribers: int

    @classmethod
    def of(cls, server: Started) -> Vitals:
        found = _metrics(server)
        counted = (int(found[name]) for name in ("appliance_tasks", "ws_connections_active", "appliance_subscribers"))
        return cls(len(os.listdir(f"/proc/{server.pid}/fd")), *counted)


def dropping(folder: Path, *, who: str, clients: int, rate: float, share: float, seconds: float, seed: int) -> Findings:
    """`share` of the crowd is cut off every second while events flow; each comes back and resumes by position.

    `who` is the endpoint, a name of `endpoints.ENDPOINTS`.
    """
    crowd = Crowd(clients, rate=rate, drop=share, from_origin=True, patience=60)
    with fanservers.appliance(folder) as server:
        before = _settled(server)
        tally = gather(server, ENDPOINTS[who](server), crowd, seconds=seconds, seed=seed)
        findings = Findings(
            f"{who}: {clients} readers, {tally.events} events, {tally.drops} cut off by us and {tally.cut_by_server} "
            f"by the server, {tally.comebacks} came back: {_exactly(tally)}; "
            f"p50 {tally.p50_ms:.1f} ms, p99 {tally.p99_ms:.1f} ms"
        )
        _check_whole(tally, findings)
        findings.must(tally.drops > 0 and tally.comebacks > 0, "nobody was cut off, so nothing is shown")
        _check_vitals(server, before, findings)
    return findings


def one_stalled(folder: Path, *, clients: int, rate: float, seconds: float, rounds: int, seed: int) -> Findings:
    """One reader among many stops reading. Are the others served as before? Paired, in turn first and second."""
    calm = Crowd(clients, rate=rate, patience=30)
    stalled = replace(calm, clients=clients + 1, stalled=1)
    findings, ratios = Findings(), []
    with fanservers.appliance(folder) as server:
        before = _settled(server)
        for number in range(rounds):
            seen: dict[Crowd, Tally] = {}
            for crowd in (calm, stalled) if number % 2 else (stalled, calm):
                seen[crowd] = gather(server, ENDPOINTS["appliance"](server), crowd, seconds=seconds, seed=seed + number)
                _check_whole(seen[crowd], findings)
            ratios.append(seen[stalled].p99_ms / seen[calm].p99_ms)
        _check_vitals(server, before, findings)
    findings.ratio = statistics.median(ratios)
    shown = " ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
    findings.text = f"p99 of the others beside one that stalls: {findings.ratio:.2f} times [{shown}]"
    return findings


def never_reading(
    folder: Path, *, stalled: int, readers: int, rate: float, seconds: float, grace: float, budget_mib: int, seed: int
) -> Findings:
    """Sockets that join and never read. The others miss nothing, memory stays in its budget, each is cut for it."""
    settings = {"APPLIANCE_CLIENTS__GRACE": f"{grace:g}s", "APPLIANCE_CLIENTS__BUDGET": f"{budget_mib}MiB"}
    crowd = Crowd(stalled + readers, stalled=stalled, rate=rate, hold=2 * grace + SPARE_S, patience=60)
    with fanservers.appliance(folder, **settings) as server:
        before = _settled(server)
        tally = gather(server, ENDPOINTS["appliance"](server), crowd, seconds=seconds, seed=seed)
        closes = _metrics(server).get('websocket_connections_closed_total{reason="slow"}', 0.0)
        grown = tally.most_mib - tally.kib * crowd.clients / 1024 - tally.before_mib
        findings = Findings(
            f"{stalled} never read: {tally.cut_stalled} cut, {closes:.0f} of them with {SLOW} "
            f"({tally.codes.get(SLOW, 0)} could be told); {grown:.0f} MiB beyond their connections; "
            f"{readers} others: {_exactly(tally)}"
        )
        _check_whole(tally, findings)
        findings.must(tally.cut_stalled == stalled, f"{stalled - tally.cut_stalled} are still connected")
        findings.must(closes == stalled, f"{closes:.0f} of {stalled} were cut with {SLOW}")
        findings.must(grown <= budget_mib + SPARE_MIB, f"{grown:.0f} MiB for a budget of {budget_mib} MiB")
        _check_vitals(server, before, findings)
    return findings


def _exactly(tally: Tally) -> str:
    return f"{tally.gaps} gaps, {tally.doubles} doubles, {tally.missing} missing in {tally.delivered}"


def _check_whole(tally: Tally, findings: Findings) -> None:
    findings.must(tally.delivered > 0, "nothing was delivered")
    findings.must(tally.gaps == tally.doubles == tally.missing == 0, _exactly(tally))
    findings.must(BUG not in tally.codes, f"{tally.codes.get(BUG)} times {BUG}")


def _check_vitals(server: Started, before: Vitals, findings: Findings) -> None:
    """Wait until the crowd's traces are gone; whatever stays is a leak."""
    until = time.monotonic() + SETTLE
    while (now := Vitals.of(server)) != before and not _no_more(now, before) and time.monotonic() < until:
        time.sleep(0.1)
    findings.must(_no_more(now, before), f"before: {before}, afterwards: {now}")
    bugs = _metrics(server)["appliance_web_bugs_total"]
    findings.must(bugs == 0, f"{bugs:.0f} errors that nobody expected")


def _no_more(now: Vitals, before: Vitals) -> bool:
    return all(value <= vars(before)[name] for name, value in vars(now).items())


def _settled(server: Started, patience: float = 5.0) -> Vitals:
    """The vitals once nothing changes any more."""
    until, seen = time.monotonic() + patience, Vitals.of(server)
    while time.monotonic() < until:
        time.sleep(0.2)
        now = Vitals.of(server)
        if now == seen:
            break
        seen = now
    return seen


def _metrics(server: Started) -> dict[str, float]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/metrics", headers={"Authorization": f"Bearer {server.token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
