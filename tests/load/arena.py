"""Holds everything a run starts, so that contests share anchors and all of it ends together."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.load import servers
from tests.load.contest import Contender
from tests.load.data import Filled, fill
from tests.load.generator import Load, drive
from tests.load.machine import GENERATOR_CORE, ROOT, SERVER_CORE, Started, cpu_seconds

__all__ = ["Arena"]


class Arena:
    """A context manager. Servers start when first asked for and end when the block is left."""

    def __init__(self, *, events: int, data: Path | None = None) -> None:
        self._stack = contextlib.ExitStack()
        self._running: dict[str, Started] = {}
        self._events = events
        self._data = data
        self._filled: Filled | None = None
        self.seed = 0

    def __enter__(self) -> Arena:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="appliance-load-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def server(self, name: str) -> Started:
        """The anchor of that name (`servers.NAME`)."""
        starter: Callable[[Path], contextlib.AbstractContextManager[Started]] = getattr(servers, name)
        return self.once(name, lambda: starter(self.folder))

    def appliance(self) -> Started:
        """The product on empty data."""
        return self.once("appliance", lambda: servers.appliance(self.folder / "appliance"))

    def filled_appliance(self) -> Started:
        """The product on a log with the run's number of events."""
        return self.once("filled", lambda: servers.appliance(self.filled().folder))

    def filled(self) -> Filled:
        if self._filled is None:
            self._filled = fill(self._data or self.folder / "filled", self._events)
        return self._filled

    def filled_copy(self, name: str) -> Path:
        """The same data for a server that may not share it; taken while nobody has it open."""
        target = self.folder / name
        if not target.exists():
            shutil.copytree(self.filled().folder, target, ignore=shutil.ignore_patterns("run"))
        return target

    def driven(self, server: Started, load: Load) -> Contender:
        """A contender: the C generator against `server`, with other random numbers every time."""

        def measure(seconds: float) -> dict[str, Any]:
            self.seed += 1
            return vars(drive(server, load, seconds=seconds, seed=self.seed))

        return measure

    def program(self, module: str, *arguments: object, server: Started | None = None) -> Contender:
        """A contender: a program that prints its times or figures; a client of `server`, or itself what is measured."""

        def measure(seconds: float) -> dict[str, Any]:
            core = SERVER_CORE if server is None else GENERATOR_CORE
            words = [str(seconds) if word == "SECONDS" else str(word) for word in arguments]
            command = ["taskset", "-c", str(core), sys.executable, "-m", f"tests.load.anchors.{module}", *words]
            before = 0.0 if server is None else cpu_seconds(server.pid)
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{module}: {done.stderr[-2000:]}")
            seen: dict[str, Any] = json.loads(done.stdout)
            if "times" not in seen:
                return seen  # its own figures
            spent = seen["cpu"] * seen["seconds"] if server is None else cpu_seconds(server.pid) - before
            return _summary(seen["times"], seen["seconds"], spent) | ({} if server is None else {"busy": seen["cpu"]})

        return measure

    def once(self, name: str, starter: Callable[[], contextlib.AbstractContextManager[Started]]) -> Started:
        """Start it the first time, return it every time."""
        if name not in self._running:
            self._running[name] = self._stack.enter_context(starter())
        return self._running[name]


def _summary(times: list[float], seconds: float, spent: float) -> dict[str, Any]:
    """The figures of a sorted list of seconds."""

    def at(share: float) -> float:
        return times[min(len(times) - 1, int(len(times) * share))] * 1000

    rate = len(times) / seconds
    return {
        "rate": rate,
        "p50_ms": at(0.50),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
        "cpu_us": spent * 1e6 / len(times),
    }
