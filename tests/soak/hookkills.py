"""Ends the server by SIGKILL between sending a webhook and recording it, and compares what was written with what came.

Promised: each event arrives at least once, always with the same id, in order where the endpoint asked for it. So a
receiver that keeps a ledger of ids sees each effect once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.contracts.receiver import Receiver, Taken, receiving
from tests.served import PATIENCE, serving

__all__ = ["Findings", "run"]

CONFIG = """
[webhooks]
allow = ["127.0.0.1"]
timeout = "500ms"
schedule = ["100ms", "200ms", "400ms", "800ms"]
"""
AT_ONCE = 5  # events before a kill
LONGEST = 0.02  # seconds from an arrival to the kill, at most


@dataclass
class Findings:
    """The proof's figures; `complaints` must be empty."""

    seed: int
    kills: int = 0
    written: int = 0
    arrived: int = 0  # requests, repeated ones too
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.kills} kills, {self.written} events, {self.arrived} requests, "
            f"{self.arrived - self.written} of them again; {len(self.complaints)} complaints"
        )


class Books:
    """What the receiver keeps: the effect of each id, once, and their order."""

    def __init__(self) -> None:
        self.ledger: dict[str, int] = {}
        self.order: list[int] = []
        self.arrived = 0
        self.came = threading.Event()

    def take(self, taken: Taken) -> int:
        self.arrived += 1
        if taken.id not in self.ledger:
            self.ledger[taken.id] = json.loads(taken.body)["n"]
            self.order.append(self.ledger[taken.id])
        self.came.set()
        return 200


def run(folder: Path, *, kills: int, seed: int) -> Findings:
    """Write, wait for the first arrival, kill a moment later, start again; `kills` times."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "appliance.toml").write_text(CONFIG)
    chance, books, findings = random.Random(seed), Books(), Findings(seed, kills)
    with (
        receiving(Receiver(books.take)) as receiver,
        serving(folder, arguments=[f"--config={folder / 'appliance.toml'}"]) as server,
        httpx.Client(headers={"Authorization": f"Bearer {server.token}"}, timeout=PATIENCE) as client,
    ):
        wish = {"url": receiver.url, "events": ["Counted"], "ordered": True}
        hook = client.post(f"{server.url}/api/v1/webhooks", json=wish).raise_for_status().json()
        for _ in range(kills):
            books.came.clear()
            for _ in range(AT_ONCE):
                event = {"type": "Counted", "stream": "counted-1", "data": {"n": findings.written}}
                client.post(f"{server.url}/api/v1/events", json=event).raise_for_status()
                findings.written += 1
            if not books.came.wait(PATIENCE):
                findings.complaints.append(f"nothing arrived of the events up to {findings.written}")
            time.sleep(chance.random() * LONGEST)
            os.kill(server.pid, signal.SIGKILL)
            server.restart()
        deadline = time.monotonic() + PATIENCE
        while len(books.ledger) < findings.written and time.monotonic() < deadline:
            time.sleep(0.05)
        row = client.get(f"{server.url}/api/v1/webhooks/{hook['id']}").json()
    findings.arrived = books.arrived
    _judge(findings, books, row["failure_count"])
    return findings


def _judge(findings: Findings, books: Books, failures: int) -> None:
    effects = sorted(books.ledger.values())
    if effects != list(range(findings.written)):
        findings.complaints.append(
            f"{len(effects)} effects of {findings.written} events, {len(set(effects))} different"
        )
    if books.order != sorted(books.order):
        findings.complaints.append("they did not arrive in order")
    if failures:
        findings.complaints.append(f"{failures} deliveries failed")
