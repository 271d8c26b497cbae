"""Single-row, prepared, autocommitted inserts through psycopg: `python -m ... PORT WRITERS SECONDS [heads]`.

Nothing but the row is written, as by us, whose versions live in memory and in the index. With `heads` the
statement takes its position from a row per stream, which is how a log in PostgreSQL does it. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
import uuid

import psycopg

from tests.load.requests import DATA, STREAMS

_COLUMNS = "stream, position, category, cardinal, correlation, type, id, data, metadata, time, digest"
ROW_ONLY = (
    f"INSERT INTO events ({_COLUMNS}) VALUES (%s, %s, 1, %s, NULL, 'Measured', %s, %s, NULL, %s, %s) RETURNING key"
)
WITH_HEAD = f"""
WITH head AS (
  UPDATE streams SET version = version + 1, count = count + 1, last = %s WHERE namespace = 1 AND name = %s
  RETURNING key, version
)
INSERT INTO events ({_COLUMNS}) SELECT key, version, 1, %s::bigint, NULL, 'Measured', %s, %s, NULL, %s, %s FROM head
RETURNING key
"""


def write(port: int, writer: int, writers: int, heads: bool, until: float, times: list[float]) -> None:
    """One connection's loop; `times` gets the seconds of each insert."""
    step = 0
    base = time.time_ns() // 1000
    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True) as db:
        cursor = db.cursor()
        while True:
            step += 1
            stream = (secrets.randbelow(STREAMS // writers) * writers + writer) % STREAMS
            now = base + step
            row = (now % 7919, uuid.UUID(bytes=now.to_bytes(8, "big") + os.urandom(8)), DATA, now, os.urandom(16))
            begun = time.perf_counter()
            if heads:
                cursor.execute(WITH_HEAD, (now, f"bench-{stream}", *row), prepare=True)
            else:
                cursor.execute(ROW_ONLY, (stream, now, *row), prepare=True)
            cursor.fetchone()
            ended = time.perf_counter()
            if ended > until:
                return
            times.append(ended - begun)


def main() -> None:
    port, writers, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    heads = "heads" in sys.argv[4:]
    times: list[list[float]] = [[] for _ in range(writers)]
    begun = time.perf_counter()
    threads = [
        threading.Thread(target=write, args=(port, n, writers, heads, begun + seconds, times[n]))
        for n in range(writers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begun
    cpu = time.process_time()
    print(json.dumps({"seconds": seconds, "cpu": cpu / spent, "times": sorted(t for each in times for t in each)}))


if __name__ == "__main__":
    main()
