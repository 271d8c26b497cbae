"""A real server whose log lines are kept, and what operations asks them (UC-005)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.served import PATIENCE, ROOT, TOKEN

__all__ = ["Record", "Recorded", "connections", "eventually", "queue_depth", "recording", "throughput"]

Record = Mapping[str, Any]
T = TypeVar("T")

_LISTENING = re.compile(r"^Listening on :(\d+)$", re.MULTILINE)


def throughput(records: Sequence[Record]) -> dict[str, float]:
    """Events a second, by type, between the first record and the last."""
    events = [record for record in records if "event.position" in record]
    if len(events) < 2:
        return {}
    first, last = (datetime.fromisoformat(record["time"]) for record in (events[0], events[-1]))
    seconds = max((last - first).total_seconds(), 1e-6)
    return {type: count / seconds for type, count in Counter(record["event.type"] for record in events).items()}


def queue_depth(records: Sequence[Record]) -> list[int]:
    """How many jobs there were, at each report."""
    return [record["event.queue_depth"] for record in records if "event.queue_depth" in record]


def connections(records: Sequence[Record]) -> int:
    """Connections that are open: those opened less those closed."""
    counts = Counter(record.get("event.type") for record in records)
    return counts["ConnectionOpened"] - counts["ConnectionClosed"]


def eventually(ask: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `ask` returns, as soon as it is true."""
    deadline = time.monotonic() + patience
    while not (found := ask()):
        assert time.monotonic() < deadline, f"still {found!r}"
        time.sleep(0.02)
    return found


@dataclass
class Recorded:
    """A server that runs, and its log."""

    folder: Path
    port: int
    pid: int
    token: str = TOKEN

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All it has said until now."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))

    def records(self) -> list[Record]:
        """The lines that are JSON."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{") and line.endswith("}")]


@contextmanager
def recording(folder: Path, config: str = "", **environment: str) -> Iterator[Recorded]:
    """A server with lines in JSON until the block ends; its data and its log are in `folder`.

    Args:
        config: of the file; `[telemetry]` is said by the environment.
    """
    (folder / "appliance.toml").write_text(config)
    files = ["--data", str(folder / "data"), "--config", str(folder / "appliance.toml")]
    command = [sys.executable, "-m", "appliance", "serve", "--port=0", f"--token={TOKEN}", *files]
    known = os.environ | {"APPLIANCE_TELEMETRY__LOG": "json", "COLUMNS": "120"} | environment
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=known)
        server = Recorded(folder, 0, process.pid)
        try:
            server.port = int(eventually(lambda: _listening(process, server))[1])
            yield server
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening(process: subprocess.Popen[bytes], server: Recorded) -> re.Match[str] | None:
    assert process.poll() is None, f"the server did not start:\n{server.log}"
    return _LISTENING.search(server.log)
