"""The log by itself, no HTTP: N tasks append one event after another: `python -m ... FOLDER TASKS SECONDS`.

Prints one JSON line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import trio

from appliance.log.service import Log
from appliance.model.event import Draft
from tests.load.anchors.our_log import running_log
from tests.load.requests import DATA, STREAMS


async def append(log: Log, namespace: int, until: float, times: list[float]) -> None:
    while (begun := time.perf_counter()) < until:
        await log.append(namespace, [Draft(f"bench-{random.randrange(STREAMS)}", "Measured", DATA)])
        times.append(time.perf_counter() - begun)


async def main() -> None:
    folder, tasks, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    times: list[float] = []
    async with running_log(folder) as (log, namespace):
        cpu = time.process_time()
        until = time.perf_counter() + seconds
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(append, log, namespace, until, times)
        cpu = time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu / seconds, "times": sorted(times)}))


if __name__ == "__main__":
    trio.run(main)
