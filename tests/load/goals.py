"""The contests and their goals: one function per contest, called when it is its turn.

The thresholds are the project's published goals. Most compare with an anchor in the same seconds; the absolute
ones (a latency, a size) hold for the machine at hand.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.load import dashboard, fangoals, hooks, jobs, requests, servers, telemetry
from tests.load.arena import Arena
from tests.load.contest import Contest, Goal
from tests.load.data import fill
from tests.load.generator import Load, drive
from tests.load.machine import ROOT, Started, resident_mib

__all__ = ["CONTESTS"]

BATCH = 16  # events of one writeMany
STARTS = 1_000_000  # events of the log whose start is timed


def append(arena: Arena) -> Contest:
    ours, quart, valkey, postgres = (
        arena.appliance(),
        arena.server("quart"),
        arena.server("valkey"),
        arena.server("postgres"),
    )
    body = requests.append()
    return Contest(
        "append",
        "durable append, answered after the sync",
        {
            "appliance 64": arena.driven(ours, Load(requests.http(body, ours.token), connections=64)),
            "postgres 16": arena.program("postgres_writers", postgres.port, 16, "SECONDS", server=postgres),
            "postgres 16 + heads": arena.program(
                "postgres_writers", postgres.port, 16, "SECONDS", "heads", server=postgres
            ),
            "sqlite alone": arena.program("sqlite_alone", arena.folder, "SECONDS"),
            "valkey 64": arena.driven(valkey, Load(requests.xadd(), connections=64, protocol="resp")),
            "quart-trio 64": arena.driven(quart, Load(requests.http(body), connections=64)),
        },
        (
            _rate(
                "append/postgres",
                "64 connections against PostgreSQL with 16 writers",
                1.5,
                "appliance 64",
                "postgres 16",
            ),
            _rate("append/sqlite", "against SQLite, one commit per event", 3, "appliance 64", "sqlite alone"),
            _rate("append/valkey", "against Valkey, appendfsync always", 0.3, "appliance 64", "valkey 64"),
            _rate("append/quart", "against the same route in Quart-Trio", 8, "appliance 64", "quart-trio 64"),
            Goal("append/p95", "p95 ms of an append, 64 connections", ("appliance 64",), "p95_ms", at_most=10),
        ),
    )


def lone(arena: Arena) -> Contest:
    ours, postgres = arena.appliance(), arena.server("postgres")
    return Contest(
        "lone",
        "one writer, one append after another",
        {
            "appliance 1": arena.driven(ours, Load(requests.http(requests.append(), ours.token))),
            "postgres 1": arena.program("postgres_writers", postgres.port, 1, "SECONDS", server=postgres),
        },
        (Goal("lone/p50", "p50 against PostgreSQL's", ("appliance 1",), "p50_ms", "postgres 1", at_most=3),),
    )


def batched(arena: Arena) -> Contest:
    ours, valkey, postgres = arena.appliance(), arena.server("valkey"), arena.server("postgres")
    single = requests.http(requests.append(), ours.token)
    many = requests.http(requests.batch(BATCH), ours.token)
    both = ("pipelined 16x16", "writeMany 16x16")
    return Contest(
        "batched",
        "durable appends, many per round trip",
        {
            both[0]: arena.driven(ours, Load(single, connections=16, depth=16)),
            both[1]: arena.driven(ours, Load(many, connections=16, events_per_request=BATCH)),
            "postgres 16": arena.program("postgres_writers", postgres.port, 16, "SECONDS", server=postgres),
            "valkey 64": arena.driven(valkey, Load(requests.xadd(), connections=64, protocol="resp")),
        },
        (
            _rate("batched/postgres", "the better of both against PostgreSQL", 3.5, both, "postgres 16"),
            _rate("batched/valkey", "the better of both against Valkey", 0.7, both, "valkey 64"),
        ),
    )


def store(arena: Arena) -> Contest:
    valkey, postgres = arena.server("valkey"), arena.server("postgres")
    (arena.folder / "store").mkdir(exist_ok=True)
    return Contest(
        "store",
        "the log alone, no HTTP",
        {
            "log 64 tasks": arena.program("store_alone", arena.folder / "store", 64, "SECONDS"),
            "postgres 16": arena.program("postgres_writers", postgres.port, 16, "SECONDS", server=postgres),
            "valkey 64": arena.driven(valkey, Load(requests.xadd(), connections=64, protocol="resp")),
        },
        (
            _rate("store/postgres", "64 tasks against PostgreSQL with 16 writers", 4, "log 64 tasks", "postgres 16"),
            _rate("store/valkey", "against Valkey, appendfsync always", 0.8, "log 64 tasks", "valkey 64"),
        ),
    )


def version(arena: Arena) -> Contest:
    ours = arena.appliance()
    _prime(ours)
    loads = {name: arena.server(name) for name in ("starlette", "node", "quart")}
    body = requests.VERSION

    def at_64(server: Started) -> Load:
        return Load(requests.http(body, server.token), connections=64)

    return Contest(
        "version",
        "stream.version from memory, authenticated and counted, against routes that do nothing",
        {"appliance 64": arena.driven(ours, at_64(ours))}
        | {f"{name} 64": arena.driven(server, at_64(server)) for name, server in loads.items()},
        (
            _rate("version/starlette", "against trivial uvicorn + Starlette", 1.0, "appliance 64", "starlette 64"),
            _rate("version/node", "against trivial Node http", 0.3, "appliance 64", "node 64"),
            _rate("version/quart", "against trivial Quart-Trio", 8, "appliance 64", "quart 64"),
        ),
    )


def read(arena: Arena) -> Contest:
    filled = arena.filled()
    arena.filled_copy("quart-filled/quart")
    ours = arena.filled_appliance()
    quart = arena.once("quart-filled", lambda: servers.quart(arena.folder / "quart-filled"))
    body = requests.read_stream(filled.streams, positions=300)
    return Contest(
        "read",
        f"a hundred events of one of {filled.streams:,} streams, from anywhere, 16 connections",
        {
            "appliance 16": arena.driven(ours, Load(requests.http(body, ours.token), connections=16)),
            "quart-trio 16": arena.driven(quart, Load(requests.http(body), connections=16)),
        },
        (
            _rate("read/quart", "against the same route in Quart-Trio", 5, "appliance 16", "quart-trio 16"),
            Goal("read/p95", "p95 ms of a read", ("appliance 16",), "p95_ms", at_most=5),
        ),
    )


def category(arena: Arena) -> Contest:
    filled = arena.filled()
    ours = arena.filled_appliance()
    bodies = {
        "plain": requests.read_category(filled.reachable),
        "group of 16": requests.read_category(filled.reachable, group=16),
        "correlation": requests.read_category(filled.reachable, correlation=True),
    }
    return Contest(
        "category",
        f"a hundred events of a category, from anywhere among {filled.events:,}, 16 connections",
        {
            name: arena.driven(ours, Load(requests.http(body, ours.token), connections=16))
            for name, body in bodies.items()
        },
        tuple(Goal(f"category/{name.split()[0]}", f"p95 ms, {name}", (name,), "p95_ms", at_most=10) for name in bodies),
    )


def poke(arena: Arena) -> Contest:
    ours = arena.appliance()

    def measure(subscribers: int) -> Callable[[float], dict[str, Any]]:
        def fresh(seconds: float) -> dict[str, Any]:
            stream = f"poke-{time.time_ns()}"  # pokes are matched with writes by their position in it
            request = requests.http(requests.append(stream), ours.token)
            load = Load(request, subscribe=requests.subscribe(stream, ours.token), subscribers=subscribers)
            return dict(arena.driven(ours, load)(seconds))

        return fresh

    return Contest(
        "poke",
        "from sending a write to reading its poke, 100 writes per second",
        {"1 subscriber": measure(1), "100 subscribers": measure(100)},
        (
            Goal("poke/p95", "p95 ms, one subscriber", ("1 subscriber",), "p95_ms", at_most=5),
            Goal("poke/p95-100", "p95 ms, a hundred subscribers", ("100 subscribers",), "p95_ms", at_most=5),
        ),
    )


def start(arena: Arena) -> Contest:
    million = fill(arena.folder / "million", min(STARTS, arena.filled().events))
    label = f"serve, {million.events:,} events"

    def serve(_: float) -> dict[str, Any]:
        with servers.appliance(million.folder) as server:
            time.sleep(1)  # what a fresh process still does by itself is not idle
            return {"seconds": server.ready_after, "resident_mib": resident_mib(server.pid)}

    return Contest(
        "start",
        "from the command to an answer",
        {label: serve, "--version": _version},
        (
            Goal("start/serve", "seconds until it listens", (label,), "seconds", at_most=2),
            Goal("start/idle", "MiB resident when idle", (label,), "resident_mib", at_most=80),
            Goal("start/version", "seconds of --version", ("--version",), "seconds", at_most=0.25),
        ),
    )


def _version(_: float) -> dict[str, Any]:
    """Of the zipapp if it is built (extracted before, as after any first use), else of the package."""
    zipapp = ROOT / "dist/appliance.pyz"
    program: list[str | Path] = [sys.executable, zipapp] if zipapp.exists() else [sys.executable, "-m", "appliance"]
    subprocess.run([*program, "--version"], cwd=ROOT, check=True, capture_output=True)
    begun = time.perf_counter()
    subprocess.run([*program, "--version"], cwd=ROOT, check=True, capture_output=True)
    return {"seconds": time.perf_counter() - begun}


def _prime(server: Started) -> None:
    """Write to every stream, so that a version is remembered for each."""
    many = requests.http(requests.batch(100, stream=f"bench-{{fresh:{requests.STREAMS}}}"), server.token)
    drive(server, Load(many, requests=requests.STREAMS // 100), seconds=30)


def _rate(id: str, text: str, at_least: float, ours: str | tuple[str, ...], anchor: str) -> Goal:
    return Goal(id, text, (ours,) if isinstance(ours, str) else ours, "rate", anchor, at_least=at_least)


CONTESTS: dict[str, Callable[[Arena], Contest]] = (
    {function.__name__: function for function in (append, lone, batched, store, version, read, category, poke, start)}
    | fangoals.CONTESTS
    | hooks.CONTESTS
    | dashboard.CONTESTS
    | jobs.CONTESTS
    | telemetry.CONTESTS
)
