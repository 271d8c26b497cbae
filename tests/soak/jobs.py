"""Ends the server by SIGKILL at random moments while fifty jobs run, and looks at what became of each.

None is lost: whatever was acknowledged ends. None runs twice at once: the handlers keep a diary, and within one process
a job has ended before it begins again (a process that is killed ends all its work). And the events of each job are
whole and in order.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.victim import ROOT, Victim

__all__ = ["Findings", "run"]

AT_ONCE = 50
WRITERS = 8  # who queue jobs
SHORTEST, LONGEST = 0.05, 0.6  # seconds of work before a kill
PATIENCE = 120.0  # seconds until all is done at the end
PATH = "/api/v1/jobs"

CONFIG = """\
plugins_path = ["{plugins}"]
[jobs]
concurrency = {at_once}
retry_stale = "20ms"
[plugins.labour]
diary = "{diary}"
"""

LIFE = re.compile(r"Q(?:SQ?)*SC")  # queued; started, and perhaps queued again by the next process; completed
LETTERS = {"JobQueued": "Q", "JobStarted": "S", "JobCompleted": "C", "JobFailed": "F"}


@dataclass
class Findings:
    """The proof's figures; `complaints` must be empty."""

    seed: int
    kills: int = 0
    acknowledged: int = 0
    ended: int = 0
    begun_again: int = 0  # attempts that followed a lost one
    running: list[int] = field(default_factory=list)  # when the kill came
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        usual = sorted(self.running)[len(self.running) // 2] if self.running else 0
        return (
            f"seed {self.seed}: {self.kills} kills with {usual} jobs running (median), {self.acknowledged} jobs "
            f"acknowledged, {self.ended} ended, {self.begun_again} attempts begun again; "
            f"{len(self.complaints)} complaints"
        )


def run(folder: Path, *, kills: int, seed: int, at_once: int = AT_ONCE) -> Findings:
    """Kill a server on `folder` so many times."""
    findings, rng = Findings(seed), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    diary, config = folder / "diary", folder / "appliance.toml"
    plugins = ROOT / "tests" / "fixtures" / "plugins"
    config.write_text(CONFIG.format(plugins=plugins, diary=diary, at_once=at_once))
    known: set[str] = set()
    with Victim(folder / "data", arguments=["--config", str(config)]) as victim:
        victim.start()
        for _ in range(kills):
            known |= _fill(victim, at_once, rng)
            time.sleep(rng.uniform(SHORTEST, LONGEST))
            findings.running.append(_get(victim, f"{PATH}/stats")["processing"])
            victim.kill()
            findings.kills += 1
            victim.start()
        _wait_until_done(victim, findings)
        findings.acknowledged = len(known)
        _audit(victim, known, diary, findings)
    return findings


def _fill(victim: Victim, at_once: int, rng: random.Random) -> set[str]:
    """As many jobs as may run at once, and a few more. Returns those that were acknowledged.

    Those that wait because they were killed before do not count: their waits grow, so with them alone few would run.
    """
    numbers = _get(victim, f"{PATH}/stats")
    missing = at_once + 10 - numbers["pending"] - numbers["processing"]
    bodies = [
        {"job_type": "toil", "payload": {"steps": rng.randint(1, 8), "pause": rng.uniform(0.1, LONGEST)}}
        for _ in range(missing)
    ]
    with ThreadPoolExecutor(WRITERS) as pool:
        return {answer["id"] for answer in pool.map(lambda body: _call(victim, "POST", PATH, body), bodies)}


def _wait_until_done(victim: Victim, findings: Findings) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        numbers = _get(victim, f"{PATH}/stats")
        if not any(numbers[name] for name in ("pending", "delayed", "processing")):
            return
        time.sleep(0.1)
    findings.complaints.append(f"not all jobs ended: {numbers}")


def _audit(victim: Victim, known: set[str], diary: Path, findings: Findings) -> None:
    rows = {row["id"]: row for row in _all(victim)}
    findings.ended = sum(row["status"] == "completed" for row in rows.values())
    findings.complaints += [f"{id} was acknowledged and is lost" for id in known - rows.keys()]
    findings.complaints += [f"{id} is {row['status']}" for id, row in rows.items() if row["status"] != "completed"]
    for id in rows:
        told = _get(victim, f"{PATH}/{id}/events")["events"]
        life = "".join(LETTERS[event["type"]] for event in told)
        findings.begun_again += life.count("S") - 1
        if not LIFE.fullmatch(life):
            findings.complaints.append(f"{id} was told as {life}")
    findings.complaints += _overlaps(diary)


def _overlaps(diary: Path) -> list[str]:
    """Jobs that began in a process before they had ended there, and jobs that ended twice."""
    working: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    found = []
    for line in diary.read_text().splitlines():
        what, id, process = line.split()
        if what == "begin":
            if (id, process) in working:
                found.append(f"{id} ran twice at once in process {process}")
            working.add((id, process))
        else:
            working.discard((id, process))
            if (id, process) in ended:
                found.append(f"{id} was done twice in process {process}")
            ended.add((id, process))
    return found


def _all(victim: Victim) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := _get(victim, f"{PATH}?limit=1000&after={found[-1]['id'] if found else ''}")["jobs"]:
        found += page
    return found


def _get(victim: Victim, path: str) -> Any:
    return _call(victim, "GET", path)


def _call(victim: Victim, method: str, path: str, body: object = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", victim.port, timeout=30)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Authorization": f"Bearer {victim.token}"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    assert response.status < 300, answer
    return answer
