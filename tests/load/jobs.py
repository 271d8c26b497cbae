"""The contest of jobs: how many are done and queued a second, beside a plain queue in an SQLite file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.load import requests, servers
from tests.load.arena import Arena
from tests.load.contest import Contender, Contest, Goal
from tests.load.generator import Load
from tests.load.hooks import Side
from tests.load.machine import ROOT, Started, cpu_seconds

__all__ = ["CONTESTS"]

PATH = "/api/v1/jobs"
BODY = '{"job_type":"nothing","payload":{}}'
WAITING = 1500  # jobs done in one round, for each second of it
WRITERS = 16  # who queue them
LOOK = 0.01  # seconds between two looks at what is left

CONFIG = f"""\
plugins_path = ["{ROOT}/tests/fixtures/plugins"]
[jobs]
concurrency = 64
waiting = 10_000_000
keep_count = 1000
[plugins.labour]
"""


def jobs(arena: Arena) -> Contest:
    """Jobs that do nothing, from the queue to the end; and requests that queue one, from many connections."""
    server = arena.once("jobs", lambda: _appliance(arena))
    crowded = arena.once("crowded", lambda: _appliance(arena, "crowded"))
    Side(crowded).ask("POST", f"{PATH}/pause")
    (arena.folder / "queue").mkdir(exist_ok=True)
    return Contest(
        "jobs",
        "jobs that do nothing: claimed, begun, ended, each step synced and told of",
        {
            "done": _doing(server),
            "sqlite queue": arena.program("sqlite_queue", arena.folder / "queue", "work", "SECONDS"),
            "queued 64": arena.driven(crowded, Load(requests.http(BODY, crowded.token, path=PATH), connections=64)),
            "sqlite insert": arena.program("sqlite_queue", arena.folder / "queue", "insert", "SECONDS"),
        },
        (
            Goal("jobs/done", "against a plain SQLite queue", ("done",), "rate", "sqlite queue", at_least=0.5),
            Goal("jobs/queued", "against a plain insert", ("queued 64",), "rate", "sqlite insert", at_least=0.5),
            Goal("jobs/p95", "p95 ms of queuing, 64 connections", ("queued 64",), "p95_ms", at_most=100),
        ),
    )


@contextlib.contextmanager
def _appliance(arena: Arena, name: str = "jobs") -> Iterator[Started]:
    config = arena.folder / "jobs.toml"
    config.write_text(CONFIG)
    with servers.appliance(arena.folder / name, arguments=[f"--config={config}"]) as server:
        yield server


def _doing(server: Started) -> Contender:
    """Jobs that waited while all was paused: from the moment they may run until none is left."""

    def measure(seconds: float) -> Mapping[str, Any]:
        side, count = Side(server), int(WAITING * seconds)
        side.ask("POST", f"{PATH}/pause")
        _fill(server, count)
        begun, before = time.perf_counter(), cpu_seconds(server.pid)
        side.ask("POST", f"{PATH}/resume")
        while any(side.ask("GET", f"{PATH}/status")["queue"].values()):
            time.sleep(LOOK)
        took, spent = time.perf_counter() - begun, cpu_seconds(server.pid) - before
        return {"rate": count / took, "cpu_us": spent * 1e6 / count}

    return measure


def _fill(server: Started, count: int) -> None:
    def write(share: int) -> None:
        side = Side(server)
        for _ in range(share):
            side.ask("POST", PATH, {"job_type": "nothing"})

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, [count // WRITERS + (n < count % WRITERS) for n in range(WRITERS)]))


CONTESTS: dict[str, Callable[[Arena], Contest]] = {"jobs": jobs}
