"""What httpcore can do by itself: POST after POST on Trio, `python -m ... PORT POOLS EACH SECONDS`.

The same headers and size as a webhook of ours, made beforehand: nothing is read, signed, judged or written down.
Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time

import httpcore
import trio

from tests.load.hooks import BODY, HEADERS


async def main(port: int, pools: int, each: int, seconds: float) -> None:
    url, until = f"http://127.0.0.1:{port}/hook", time.perf_counter() + seconds
    headers = [(b"host", b"127.0.0.1:%d" % port), (b"content-length", b"%d" % len(BODY)), *HEADERS]
    times: list[float] = []

    async def post(pool: httpcore.AsyncConnectionPool) -> None:
        while (begun := time.perf_counter()) < until:
            async with pool.stream(b"POST", url, headers=headers, content=BODY) as response:
                assert response.status == 200
                async for _ in response.aiter_stream():
                    pass
            times.append(time.perf_counter() - begun)

    begun = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(pools):
            pool = httpcore.AsyncConnectionPool(max_connections=each)
            for _ in range(each):
                nursery.start_soon(post, pool)
    cpu = (time.process_time() - begun) / seconds
    print(json.dumps({"seconds": seconds, "cpu": cpu, "times": sorted(times)}))


if __name__ == "__main__":
    trio.run(main, *map(int, sys.argv[1:4]), float(sys.argv[4]))
