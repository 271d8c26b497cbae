"""The machine under a measurement: cores, ports, processes and what they cost.

The server under test gets one core and whoever drives it the other, so that neither can borrow from its peer and
a figure means the same on every round. Every process started here is ended here, by its id.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "GENERATOR_CORE",
    "PATIENCE",
    "ROOT",
    "SERVER_CORE",
    "Started",
    "children",
    "cpu_seconds",
    "describe",
    "free_port",
    "nobody",
    "others",
    "resident_mib",
    "start",
    "sync_cost_us",
    "wait_for_port",
]

ROOT = Path(__file__).resolve().parents[2]
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
GENERATOR_CORE = _CORES[-1]  # the same one where there is only one
PATIENCE = 30.0  # seconds a process may take to start or to end


@dataclass(frozen=True)
class Started:
    """A running server: where it listens and who it is."""

    name: str
    port: int
    pid: int
    token: str = ""
    ready_after: float = 0.0  # seconds from the start of the process
    folder: Path | None = None  # its data


@contextlib.contextmanager
def start(
    command: Sequence[str | Path],
    *,
    core: int = SERVER_CORE,
    log: Path,
    user: int | None = None,
    environment: dict[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command pinned to one core, its output in `log`; ended (then killed) when the block is left."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT if user is None else log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(process.pid, {core})  # before it has threads or children of its own
    try:
        yield process
    finally:
        end(process, stop)


def end(process: subprocess.Popen[bytes], stop: signal.Signals = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(stop)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE)


def nobody() -> int | None:
    """PostgreSQL refuses to run as root: the uid to use instead, None when we are somebody else already."""
    return 65534 if os.geteuid() == 0 else None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port}; its last words:\n{log.read_text(errors='replace')[-2000:]}")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all its children so far, those that have ended included."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        return own + sum(cpu_seconds(child) for child in children(pid))
    return 0.0


def children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found


def resident_mib(pid: int) -> float:
    """Memory of a process that is really there."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def sync_cost_us(folder: Path, count: int = 200) -> float:
    """Median microseconds of one 4 KiB write and fdatasync: what a durable commit costs at least here."""
    costs = []
    descriptor = os.open(folder / "sync-probe", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, bytes(4096), 0)
        os.fsync(descriptor)
        for _ in range(count):
            before = time.perf_counter_ns()
            os.pwrite(descriptor, bytes(4096), 0)
            os.fdatasync(descriptor)
            costs.append((time.perf_counter_ns() - before) / 1000)
    finally:
        os.close(descriptor)
        (folder / "sync-probe").unlink()
    return statistics.median(costs)


def others() -> float:
    """How many tasks ran or wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def describe() -> str:
    """One line that tells comparable runs from others."""
    model = platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model} x{len(_CORES)}, Python {platform.python_version()}, {sys.platform}"
