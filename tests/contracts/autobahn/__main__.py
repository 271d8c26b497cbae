"""`python -m tests.contracts.autobahn [PYTHON27]`: the Autobahn fuzzing client against our WebSocket lane.

The suite runs under CPython 2.7 only. It is installed once, with that Python's own pip, into a private folder, and
talks to `echo`. Passed means: nothing failed, at most four cases were less strict than they might be, and every
connection ended with a close code on the wire, where the suite itself would take a bare end of TCP as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SUITE = "autobahntestsuite==25.10.1"
FOLDER = ROOT / ".cache" / "autobahn"
FAMILIES = ("1", "2", "3", "4", "5", "6", "7", "9", "10")  # 12 and 13 are of compression, which we do not offer
CASES = 301
LENIENT = 4  # cases that may be NON-STRICT
CODELESS = ("7.3.1",)  # the suite sends a close frame without a code, and gets one without
PATIENCE = 1200.0  # seconds for the whole run
REMEDY = """The Autobahn suite needs CPython 2.7, and there is none called {name!r} here.
Install one beside yours, for instance with pyenv:  pyenv install 2.7.18
and name it:  make conformance PYTHON27=~/.pyenv/versions/2.7.18/bin/python2.7
Our own table of the same cases needs nothing:  make test ARGS=tests/contracts/autobahn"""

Report = Mapping[str, Mapping[str, object]]


def main() -> int:
    python = find(sys.argv[1] if len(sys.argv) > 1 else "python2.7")
    site = installed(python)
    with tempfile.TemporaryDirectory() as folder, an_echo() as port:
        report = fuzz(python, site, Path(folder), port)
    print("\n".join(table(report)))
    complaints = judge(report)
    print("\n".join(complaints) or "passed")
    return 1 if complaints else 0


def find(name: str) -> str:
    """The interpreter called `name`, if it is one of 2.7."""
    path = shutil.which(os.path.expanduser(name))
    said = subprocess.run([path, "-V"], capture_output=True, text=True, check=False) if path else None
    if path is None or said is None or "Python 2.7" not in said.stdout + said.stderr:
        raise SystemExit(REMEDY.format(name=name))
    return path


def installed(python: str) -> Path:
    """The folder with the suite; its packages are downloaded the first time."""
    site, done = FOLDER / "site", FOLDER / SUITE
    if not done.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(site), SUITE]
        if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode:
            raise SystemExit(f"{SUITE} cannot be installed; this tells why:\n{' '.join(words)}")
        (site / "zope" / "__init__.py").touch()  # a namespace package, which PYTHONPATH alone does not find
        done.touch()
    return site


@contextmanager
def an_echo() -> Iterator[int]:
    """Our server, until the block ends."""
    words = [sys.executable, "-m", "tests.contracts.autobahn.echo"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def fuzz(python: str, site: Path, folder: Path, port: int) -> Report:
    """Run all families; how each case went."""
    specification = {
        "outdir": str(folder / "reports"),
        "servers": [{"agent": "appliance", "url": f"ws://127.0.0.1:{port}/"}],
        "cases": [f"{family}.*" for family in FAMILIES],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "spec.json").write_text(json.dumps(specification))
    words = [python, "-m", "autobahntestsuite.wstest", "-m", "fuzzingclient", "-s", "spec.json"]
    environment = os.environ | {"PYTHONPATH": str(site)}
    with (folder / "log").open("wb") as log:
        subprocess.run(words, cwd=folder, env=environment, stdout=log, stderr=log, timeout=PATIENCE, check=False)
    index = folder / "reports" / "index.json"
    if not index.exists():
        raise SystemExit("the suite made no report:\n" + (folder / "log").read_text(errors="replace")[-2000:])
    found: Report = json.loads(index.read_text())["appliance"]
    return found


def table(report: Report) -> Iterator[str]:
    """One line for each family."""
    for family in FAMILIES:
        cases = [result for case, result in report.items() if case.partition(".")[0] == family]
        verdicts = Counter(str(result["behavior"]) for result in cases)
        codes = Counter(str(result["remoteCloseCode"]) for result in cases)
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        ended = ", ".join(f"{count} x {code}" for code, count in codes.most_common())
        yield f"family {family:>2}: {len(cases):3} cases: {told}; close codes: {ended}"


def judge(report: Report) -> list[str]:
    """What is not as promised."""
    failed = [case for case, result in report.items() if _bad(result)]
    lenient = [case for case, result in report.items() if result["behavior"] == "NON-STRICT"]
    silent = [case for case, result in report.items() if result["remoteCloseCode"] is None and case not in CODELESS]
    complaints = [f"failed: {', '.join(failed)}"] if failed else []
    complaints += [f"more than {LENIENT} not strict: {', '.join(lenient)}"] if len(lenient) > LENIENT else []
    complaints += [f"ended without a close code: {', '.join(silent)}"] if silent else []
    complaints += [f"{len(report)} cases ran, not {CASES}"] if len(report) != CASES else []
    return complaints


def _bad(result: Mapping[str, object]) -> bool:
    fine = ("OK", "NON-STRICT", "INFORMATIONAL")
    return result["behavior"] not in fine or result["behaviorClose"] not in fine


if __name__ == "__main__":
    raise SystemExit(main())
