"""The contest of telemetry: what counting, timing and telling of every event costs the server that does it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.load import requests, servers
from tests.load.arena import Arena
from tests.load.contest import Contest, Goal
from tests.load.generator import Load
from tests.load.machine import Started

__all__ = ["CONTESTS"]

BATCH = 16  # events of one writeMany
ROUNDS = 15  # a difference of two in a hundred is not seen in a few
MOST = 0.02  # of the processor time of the server that tells nothing

WITH, WITHOUT = "with", "without"
# As in operation: a line for each event until there are too many, and a canary that does not fly into a measurement.
TOLD = {"APPLIANCE_TELEMETRY__LOG": "json", "APPLIANCE_TELEMETRY__CANARY": "off"}
PACES = ((32, 8_000), (256, 28_000))  # events of a commit, events in a second: as the servers below have them
PROGRAMS = {
    WITH: (sys.executable, "-m", "appliance"),
    WITHOUT: (sys.executable, "-m", "tests.load.anchors.untold"),
}


def telemetry(arena: Arena) -> Contest:
    """Durable appends, single ones and many at once: the same server with its telemetry and without."""
    singles, batches = ({side: f"{load} {side}" for side in PROGRAMS} for load in ("append 64", "writeMany 16x16"))
    contenders = {}
    for side in PROGRAMS:
        server = arena.once(f"telemetry {side}", lambda side=side: _appliance(arena, side))
        single = requests.http(requests.append(), server.token)
        many = requests.http(requests.batch(BATCH), server.token)
        contenders[singles[side]] = arena.driven(server, Load(single, connections=64))
        contenders[batches[side]] = arena.driven(server, Load(many, connections=16, events_per_request=BATCH))
    # The same by itself: servers on a machine that other work runs on differ by more than what is looked for.
    alone = {f"alone {size}x{rate}": arena.program("telling", size, rate, "SECONDS") for size, rate in PACES}
    contenders |= alone
    single_alone, batch_alone = alone
    return Contest(
        "telemetry",
        "durable appends, with a line for each event until there are too many, and without any telemetry",
        contenders,
        (
            _cost("telemetry/append", "server time of an append", singles),
            _cost("telemetry/batched", "server time of an event among many", batches),
            Goal(
                "telemetry/append-own",
                "its own share of an append",
                (single_alone,),
                "cpu_us",
                singles[WITHOUT],
                at_most=MOST,
            ),
            Goal(
                "telemetry/batched-own",
                "its own share of an event among many",
                (batch_alone,),
                "cpu_us",
                batches[WITHOUT],
                at_most=MOST,
            ),
        ),
        rounds=ROUNDS,
    )


def _appliance(arena: Arena, side: str) -> AbstractContextManager[Started]:
    return servers.appliance(arena.folder / f"telemetry-{side}", environment=TOLD, program=PROGRAMS[side])


def _cost(id: str, text: str, names: dict[str, str]) -> Goal:
    return Goal(id, text, (names[WITH],), "cpu_us", names[WITHOUT], at_most=1 + MOST)


CONTESTS: dict[str, Callable[[Arena], Contest]] = {"telemetry": telemetry}
