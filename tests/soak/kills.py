"""Ends the server by SIGKILL at random moments while several clients write, and compares what was acknowledged
with what is there.

Three kinds of clients: plain ones on shared streams; racers with an expected version on one stream; stubborn ones
that repeat an unanswered write with its idempotency key after the restart. Every write carries a unique mark, so
"stored" and "acknowledged" are compared write by write. A killed process keeps the page cache: that nothing is
acknowledged before its sync is what `syncproof` shows.
"""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.victim import Caller, Refused, Victim

__all__ = ["Findings", "run"]

SHORTEST, LONGEST = 0.01, 0.30  # seconds of writing before a kill
EARLY = 0.15  # share of kills that hit a start instead of a running server
SHARED_STREAMS = 5

Mark = str  # "writer/number", unique in a run


@dataclass
class Acknowledged:
    stream: str
    position: int
    global_position: int


@dataclass
class Ledger:
    """What the clients know. One lock: entries come from many threads."""

    acknowledged: dict[Mark, Acknowledged] = field(default_factory=dict)
    unanswered: set[Mark] = field(default_factory=set)  # sent, no answer: may or may not be stored
    surprises: list[str] = field(default_factory=list)  # answers nobody may get
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, mark: Mark) -> None:
        with self.lock:
            self.unanswered.add(mark)

    def answered(self, mark: Mark, stream: str, answer: dict[str, int]) -> None:
        with self.lock:
            self.unanswered.discard(mark)
            self.acknowledged[mark] = Acknowledged(stream, answer["position"], answer["globalPosition"])

    def refused(self, mark: Mark) -> None:
        with self.lock:
            self.unanswered.discard(mark)


@dataclass
class Findings:
    """The proof's figures; `complaints` must be empty."""

    seed: int
    kills: int = 0
    acknowledged: int = 0
    stored: int = 0
    stored_unanswered: int = 0  # survived although the answer was lost: allowed
    restarts: list[float] = field(default_factory=list)  # seconds
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = max(self.restarts, default=0.0)
        usual = statistics.median(self.restarts) if self.restarts else 0.0
        return (
            f"seed {self.seed}: {self.kills} kills, {self.acknowledged} acknowledged, {self.stored} stored "
            f"({self.stored_unanswered} of them unanswered), restart {usual:.2f} s, at most {slowest:.2f} s; "
            f"{len(self.complaints)} complaints"
        )


def run(folder: Path, *, kills: int, seed: int, writers: int = 6, note: Callable[[str], None] = print) -> Findings:
    """Kill and restart `kills` times on the data in `folder` (empty, or filled before)."""
    rng = random.Random(seed)
    findings = Findings(seed)
    ledger = Ledger()
    stubborn: dict[int, Mark] = {}  # the write each stubborn client still has to get through
    with Victim(folder) as victim:
        victim.start()
        auditor = Auditor(victim.caller())
        numbers = iter(range(1 << 40))
        while findings.kills < kills:
            _write_until_killed(victim, ledger, stubborn, writers, numbers, rng.uniform(SHORTEST, LONGEST))
            findings.kills += 1
            if findings.kills < kills and rng.random() < EARLY:
                victim.launch()
                time.sleep(rng.uniform(0, 1.0))
                victim.kill()
                findings.kills += 1
            findings.restarts.append(victim.start())
            auditor.reopen(victim.caller())
            auditor.audit(ledger, findings)
            note(f"{findings.kills} of {kills} kills, {len(ledger.acknowledged)} acknowledged")
            if findings.complaints:
                break
        _insist(victim.caller(), ledger, stubborn)
        auditor.audit(ledger, findings)
    return findings


def _write_until_killed(
    victim: Victim, ledger: Ledger, stubborn: dict[int, Mark], writers: int, numbers: Any, seconds: float
) -> None:
    kinds = (plain, racing, insisting)
    threads = [
        threading.Thread(target=_guarded, args=(kinds[n % 3], victim.caller(), ledger, stubborn, n, numbers))
        for n in range(writers)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    victim.kill()
    for thread in threads:
        thread.join()


def _guarded(client: Callable[..., None], caller: Caller, ledger: Ledger, *rest: Any) -> None:
    try:
        client(caller, ledger, *rest)
    except Refused as refused:
        ledger.surprises.append(f"{client.__name__}: {refused}")
    except (OSError, http.client.HTTPException, ValueError):
        return  # killed while we waited, or in the middle of an answer


def plain(caller: Caller, ledger: Ledger, stubborn: dict[int, Mark], me: int, numbers: Any) -> None:
    """Writes to streams it shares with others, without asking for a version."""
    while True:
        number = next(numbers)
        _write(caller, ledger, f"{me}/{number}", f"shared-{number % SHARED_STREAMS}")


def racing(caller: Caller, ledger: Ledger, stubborn: dict[int, Mark], me: int, numbers: Any) -> None:
    """Races the other racers for each version of one stream."""
    version = -1
    while True:
        mark = f"{me}/{next(numbers)}"
        try:
            version = _write(caller, ledger, mark, "raced-1", expectedVersion=version)["position"]
        except Refused as refused:
            ledger.refused(mark)
            version = refused.answer["error"]["details"]["actual"]


def insisting(caller: Caller, ledger: Ledger, stubborn: dict[int, Mark], me: int, numbers: Any) -> None:
    """Repeats what was not answered, with the same idempotency key, before it goes on."""
    while True:
        mark = stubborn.get(me) or f"{me}/{next(numbers)}"
        stubborn[me] = mark
        _write(caller, ledger, mark, f"stubborn-{me}", headers={"Idempotency-Key": mark})
        del stubborn[me]


def _insist(caller: Caller, ledger: Ledger, stubborn: dict[int, Mark]) -> None:
    for me, mark in list(stubborn.items()):
        _write(caller, ledger, mark, f"stubborn-{me}", headers={"Idempotency-Key": mark})
        del stubborn[me]


def _write(
    caller: Caller, ledger: Ledger, mark: Mark, stream: str, headers: dict[str, str] | None = None, **options: int
) -> dict[str, int]:
    ledger.sent(mark)
    message = {"type": "Marked", "data": {"mark": mark}}
    answer: dict[str, int] = caller.call("stream.write", stream, message, options, headers=headers)
    ledger.answered(mark, stream, answer)
    return answer


class Auditor:
    """Reads what is new in the log after each restart and holds it against the ledger."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._next_position: dict[str, int] = {}
        self._where: dict[Mark, Acknowledged] = {}
        self._ids: set[str] = set()
        newest = caller.call("category.get", "shared", {"batchSize": 1})
        assert newest == [], "the marks of an earlier run would confuse this one"
        self._from = self._first_unused()

    def reopen(self, caller: Caller) -> None:
        self._caller = caller

    def audit(self, ledger: Ledger, findings: Findings) -> None:
        for message in self._new():
            self._take(message, findings)
        for mark, ack in ledger.acknowledged.items():
            if self._where.get(mark) != ack:
                findings.complaints.append(f"acknowledged {mark} as {ack}, stored: {self._where.get(mark)}")
        for mark in self._where.keys() - ledger.acknowledged.keys() - ledger.unanswered:
            findings.complaints.append(f"{mark} is stored, but was refused or never sent")
        findings.complaints += ledger.surprises
        findings.acknowledged, findings.stored = len(ledger.acknowledged), len(self._where)
        findings.stored_unanswered = len(self._where.keys() & ledger.unanswered)

    def _take(self, message: list[Any], findings: Findings) -> None:
        id, stream, _, position, global_position, data, *_ = message
        mark = data.get("mark", f"not ours: {id}")
        if global_position != self._from:
            findings.complaints.append(f"global position {self._from} is missing, next is {global_position}")
        ours = "mark" in data  # others, such as the host's samples, may have begun before we looked
        expected = self._next_position.get(stream, 0 if ours else position)
        if position != expected:
            findings.complaints.append(f"{stream}: position {position} in the place of {expected}")
        if mark in self._where or id in self._ids:
            findings.complaints.append(f"{mark} is stored twice: {self._where.get(mark)}, now {message}")
        self._from = global_position + 1
        self._next_position[stream] = position + 1
        self._ids.add(id)
        if ours:
            self._where[mark] = Acknowledged(stream, position, global_position)

    def _new(self) -> list[list[Any]]:
        found: list[list[Any]] = []
        while page := self._caller.call("category.get", "", {"position": self._first(found), "batchSize": 10_000}):
            found += page
        return found

    def _first(self, found: list[list[Any]]) -> int:
        return int(found[-1][4]) + 1 if found else self._from

    def _first_unused(self) -> int:
        """Behind everything that was there before this run."""
        low, high = 1, 1 << 40
        while low < high:
            middle = (low + high) // 2
            if self._caller.call("category.get", "", {"position": middle, "batchSize": 1}):
                low = middle + 1
            else:
                high = middle
        return low
