"""A queue in an SQLite file, as one writes it in an evening: `python -m ... FOLDER work|insert SECONDS`.

WAL, synchronous=FULL. To work is two transactions a job (claim the most urgent one, mark it done), to insert is one.
Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path

import apsw

AHEAD = 50_000  # jobs that wait before work begins

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, type TEXT, status TEXT, priority INTEGER, payload TEXT, created REAL, started REAL, ended REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON jobs (priority DESC, created) WHERE status = 'pending';
"""
INSERT = "INSERT INTO jobs VALUES (?, 'nothing', 'pending', 0, '{}', ?, NULL, NULL)"
CLAIM = """
UPDATE jobs SET status = 'running', started = ? WHERE id = (
  SELECT id FROM jobs WHERE status = 'pending' ORDER BY priority DESC, created LIMIT 1
) RETURNING id, payload
"""
DONE = "UPDATE jobs SET status = 'completed', ended = ? WHERE id = ?"


def main() -> None:
    folder, what, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    db = apsw.Connection(str(folder / f"{what}-{os.getpid()}.db"))
    db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
    db.execute(SCHEMA)
    step = {"work": _work, "insert": _insert}[what]
    with db:
        db.executemany(INSERT, [(str(uuid.uuid4()), float(n)) for n in range(AHEAD)])
    times: list[float] = []
    until = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < until:
        step(db)
        times.append(time.perf_counter() - begun)
    db.close()
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() / seconds, "times": sorted(times)}))


def _work(db: apsw.Connection) -> None:
    ((id, payload),) = list(db.execute(CLAIM, (time.time(),)))
    json.loads(payload)
    db.execute(DONE, (time.time(), id))


def _insert(db: apsw.Connection) -> None:
    db.execute(INSERT, (str(uuid.uuid4()), time.time()))


if __name__ == "__main__":
    main()
