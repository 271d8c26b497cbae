"""Drives a server with the C generator and returns what it saw.

The generator is compiled on the spot (a C compiler is its only need), pinned to the core the server does not
have. Server time per request is read from the kernel before and after, so it includes every thread and child.
"""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.load.machine import GENERATOR_CORE, Started, cpu_seconds

__all__ = ["Load", "Sample", "compiled", "drive"]

SOURCE = Path(__file__).with_name("generator.c")
WARMUP = 0.2  # seconds before counting


@dataclass(frozen=True)
class Sample:
    """What one contender did in one round."""

    rate: float  # answers per second
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_us: float  # processor time of the server per answer; 0: not measured
    busy: float = 0.0  # share of the generator's core in use; near 1 the generator is the limit
    count: int = 0

    @property
    def limited(self) -> bool:
        return self.busy > 0.9


@dataclass(frozen=True)
class Load:
    """One way to drive a server. `request` and `subscribe` are templates; see generator.c."""

    request: bytes
    connections: int = 1
    depth: int = 1
    protocol: str = "http"
    subscribe: bytes = b""  # given: times pokes to this many subscribers
    subscribers: int = 1
    rate: float = 100.0  # writes per second while pokes are timed
    events_per_request: int = 1
    requests: int = 0  # most of them; 0: as many as fit in the time


@functools.cache
def compiled(source: Path = SOURCE, *flags: str) -> Path:
    """The program of a source file, built once per process and gone with it.

    Raises:
        RuntimeError: it does not compile; the compiler's words.
    """
    folder = tempfile.TemporaryDirectory(prefix="appliance-generator-")
    atexit.register(folder.cleanup)
    target = Path(folder.name) / source.stem
    command = ["cc", "-O2", "-Wall", "-o", str(target), str(source), *flags]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"{source.name} does not compile:\n{built.stderr[-2000:]}")
    return target


def drive(server: Started, load: Load, *, seconds: float, seed: int = 1, core: int = GENERATOR_CORE) -> Sample:
    """Drive `server` for about `seconds`.

    Raises:
        RuntimeError: an answer was an error, or none came: such a round is worth nothing.
    """
    with tempfile.TemporaryDirectory(prefix="appliance-load-") as folder:
        command = _command(Path(folder), server, load, seconds, seed, core)
        before = cpu_seconds(server.pid)
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
        spent = cpu_seconds(server.pid) - before
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}: {done.stderr.strip()}")
    seen = json.loads(done.stdout)
    if seen["errors"] or not seen["total"]:
        raise RuntimeError(f"{server.name}: {seen['errors']} errors in {seen['total']}: {seen['first_error']}")
    times = seen["pokes"] if load.subscribe else seen["answers"]
    return Sample(
        rate=seen["rate"] * load.events_per_request,
        p50_ms=times["p50_us"] / 1000,
        p95_ms=times["p95_us"] / 1000,
        p99_ms=times["p99_us"] / 1000,
        cpu_us=spent * 1e6 / (seen["total"] * load.events_per_request),
        busy=seen["busy"],
        count=seen["total"],
    )


def _command(folder: Path, server: Started, load: Load, seconds: float, seed: int, core: int) -> list[str]:
    (folder / "request").write_bytes(load.request)
    options: dict[str, object] = {
        "port": server.port,
        "core": core,
        "seconds": seconds,
        "warmup": WARMUP,
        "seed": seed,
        "connections": load.connections,
        "depth": load.depth,
        "protocol": load.protocol,
        "request": folder / "request",
    }
    if load.requests:
        options["requests"] = load.requests
    if load.subscribe:
        (folder / "subscribe").write_bytes(load.subscribe)
        options |= {"mode": "poke", "subscribe": folder / "subscribe", "subscribers": load.subscribers}
        options["rate"] = load.rate
    return [str(compiled()), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
