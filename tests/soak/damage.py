"""Truncates and flips bits in the files of a log, one injury per copy, and opens what is left.

Allowed: it opens with everything that was acknowledged, or it says what is wrong: on opening, on reading, or in
the full proof that a backup goes through. Not allowed: a traceback of anybody else's, or events or values of state
that are missing without a word.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.model.event import Draft, Event, Query, Unit
from appliance.model.state import StateChange
from appliance.storage.ports import Reader, TokenRow
from appliance.storage.sqlite.engine import SqliteEngine
from appliance.storage.sqlite.proof import prove
from appliance.world import RealWorld

__all__ = ["Findings", "run"]

COMMITS, EVENTS, STREAMS = 60, 12, 17  # per log; events per commit
VALUES, OWNER = 40, "kept"  # of state
PAGE = 4096


@dataclass
class Findings:
    """`complaints` must be empty."""

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        return f"seed {self.seed}: {self.outcomes.total()} damaged logs: {told}; {len(self.complaints)} complaints"


@dataclass
class _Written:
    namespace: int
    events: list[Event] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)  # by key
    thirds: dict[str, str] = field(default_factory=dict)  # what a key is filed under

    def views_of_state(self) -> list[dict[str, str]]:
        """As `_views_of_state` should find them."""
        return [self.values, self.values] + [
            {key: value for key, value in self.values.items() if self.thirds[key] == third} for third in "012"
        ]


def run(folder: Path, *, count: int, seed: int, note: Callable[[str], None] = print) -> Findings:
    """Damage `count` copies; `folder` is empty."""
    findings = Findings(seed)
    closed, written = _a_log(folder / "closed", folder / "live")
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        patient = folder / "patient"
        shutil.copytree(rng.choice((closed, folder / "live")), patient)
        injury = _injure(rng, patient)
        try:
            outcome = _examine(patient, written)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            outcome = "crash"
            findings.complaints.append(f"{seed}/{number}: {injury}: {error!r}")
        findings.outcomes[outcome] += 1
        if outcome == "silent loss":
            findings.complaints.append(f"{seed}/{number}: {injury}: rows are missing and nobody says so")
        shutil.rmtree(patient)
        if number % 200 == 199:
            note(f"{number + 1} of {count} damaged logs")
    return findings


def _a_log(closed: Path, live: Path) -> tuple[Path, _Written]:
    """The same log twice: as a live log leaves them (most in the write-ahead file), and closed in order."""
    closed.mkdir(parents=True)
    engine = SqliteEngine.open(closed)
    namespace = engine.create_namespace("default", "", TokenRow("owner", bytes(32), 0, ("admin",)), 1).key
    ids = iter(RealWorld().new_id, "")
    written = _Written(namespace)
    for commit in range(COMMITS):
        drafts = [Draft(f"cat-{(commit * 7 + n) % STREAMS}", "Kept", f'{{"n":{n}}}') for n in range(EVENTS)]
        key, value, third = f"value-{commit % VALUES:02}", f'{{"commit":{commit}}}', str(commit % 3)
        change = StateChange(namespace, OWNER, key, value, index=(("all", ""), ("third", third)))
        unit = Unit(namespace, tuple(drafts), changes=(change,))
        committed = engine.commit([unit], now_us=commit + 1, new_ids=ids)
        engine.seal(committed.mark)
        written.events += committed.fresh
        written.values[key] = value
        written.thirds[key] = third
    shutil.copytree(closed, live)
    engine.close()
    return closed, written


def _injure(rng: random.Random, folder: Path) -> str:
    path = rng.choice([path for path in sorted(folder.iterdir()) if path.stat().st_size])
    data = bytearray(path.read_bytes())
    kind = rng.choice(("truncated", "flipped", "flipped", "zeroed"))
    at = rng.randrange(len(data))
    if kind == "truncated":
        del data[at:]
    elif kind == "flipped":
        for _ in range(rng.choice((1, 1, 8))):
            data[rng.randrange(at, min(at + 64, len(data)))] ^= 1 << rng.randrange(8)
    else:
        at -= at % PAGE
        data[at : at + PAGE] = bytes(len(data[at : at + PAGE]))
    path.write_bytes(data)
    return f"{path.name} {kind} at {at} of {path.stat().st_size}"


def _examine(folder: Path, written: _Written) -> str:
    try:
        engine = SqliteEngine.open(folder)
    except ApplianceError:
        return "refused"
    try:
        reader = engine.reader()
        try:
            events = list(_views(reader, written.namespace))
            values = list(_views_of_state(reader, written.namespace))
        finally:
            reader.close()
    except ApplianceError:
        return "noticed on reading"
    finally:
        engine.close()
    if all(view == written.events for view in events) and values == written.views_of_state():
        return "intact"
    try:
        prove(folder)
    except ApplianceError:
        return "noticed by the proof"
    return "silent loss"


def _views(reader: Reader, namespace: int) -> Iterable[list[Event]]:
    """Everything by each way there is to it, in the order of the log."""
    yield reader.events(Query(namespace))
    yield reader.events(Query(namespace, categories=("cat",)))
    streams = [event for n in range(STREAMS) for event in reader.events(Query(namespace, f"cat-{n}"))]
    yield sorted(streams, key=lambda event: event.global_position)


def _views_of_state(reader: Reader, namespace: int) -> Iterable[dict[str, str]]:
    for where in ((), (("all", ""),), *((("third", third),) for third in "012")):
        rows = reader.states(namespace, OWNER, where=where)
        yield (
            {row.key: row.value for row in rows}
            if len(rows) == reader.count_states(namespace, OWNER, where=where)
            else {}
        )
