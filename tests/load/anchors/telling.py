"""Telemetry by itself, at the pace of a server under load: the processor time that it needs for an event.

    python -m tests.load.anchors.telling EVENTS_PER_COMMIT EVENTS_PER_SECOND SECONDS

The same commits then come to nobody for as long, and that time is taken off: it is the clock's and the loop's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence

import trio

from appliance.config.schema import Telemetry as Defaults
from appliance.model.event import Event
from appliance.telemetry.logs import Logs
from appliance.telemetry.outlet import Outlet
from appliance.telemetry.service import BEAT, Telemetry

TAKEN = 0.004  # seconds that a write is said to have taken

Tell = Callable[[Sequence[Event]], None]


async def spent(tell: Tell, commit: Sequence[Event], per_second: float, seconds: float) -> tuple[float, int]:
    """Processor seconds, and how many events were told of."""
    told, began, before = 0, trio.current_time(), time.process_time()
    while trio.current_time() < began + seconds:
        tell(commit)
        told += len(commit)
        await trio.sleep_until(began + told / per_second)
    await trio.sleep(2 * BEAT)  # the last lines belong to it
    return time.process_time() - before, told


async def main(events_per_commit: int, per_second: float, seconds: float) -> None:
    commit = [
        Event(1, f"order-{n}", "OrderPlaced", n, n, f"{n:032x}", '{"total":90,"job_id":"j-7"}', None, 0)
        for n in range(events_per_commit)
    ]
    telemetry = Telemetry(trio.lowlevel.checkpoint, lambda: 1, records=True, rate=Defaults().rate)

    def aloud(events: Sequence[Event]) -> None:
        telemetry.saw(events)
        telemetry.wrote(TAKEN)

    own, told = 0.0, 0
    async with trio.open_nursery() as nursery:
        await nursery.start(telemetry.run)
        for tell, sign in ((aloud, 1), (lambda _: None, -1)):
            taken, count = await spent(tell, commit, per_second, seconds)
            own, told = own + sign * taken, told + count
        nursery.cancel_scope.cancel()
    print(json.dumps({"rate": per_second, "cpu_us": 2e6 * own / told}))


if __name__ == "__main__":
    logs = Logs(Outlet(os.open(os.devnull, os.O_WRONLY)), form="json")
    trio.run(main, int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    logs.close()
