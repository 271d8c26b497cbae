"""SQLite by itself: our tables, WAL, synchronous=FULL, one commit per event: `python -m ... FOLDER SECONDS`.

Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import uuid
from pathlib import Path

import apsw

from tests.load.machine import ROOT
from tests.load.requests import DATA, STREAMS

SCHEMA = ROOT / "appliance/storage/sqlite/migrations/0001_log.sql"
INSERT = "INSERT INTO events VALUES (?, ?, ?, 1, ?, NULL, 'Measured', ?, ?, NULL, ?, ?)"


def opened(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").get:
        db.execute(SCHEMA.read_text())
    return db


def main() -> None:
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    db = opened(folder / "alone.db")
    key = (db.execute("SELECT max(key) FROM events").get or 1 << 43) + 1
    times: list[float] = []
    base = time.time_ns() // 1000
    until = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < until:
        now = base + len(times)
        id = str(uuid.UUID(bytes=now.to_bytes(8, "big") + os.urandom(8)))
        row = (key, random.randrange(STREAMS), now, now % 7919, id, DATA, now, os.urandom(16))
        db.execute(INSERT, row)  # its own transaction
        key += 1
        times.append(time.perf_counter() - begun)
    db.close()
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() / seconds, "times": sorted(times)}))


if __name__ == "__main__":
    main()
