"""Our own log without our own front, for the anchors that stand on the same committer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import trio

from appliance.log.service import Log
from appliance.storage.ports import TokenRow
from appliance.storage.sqlite.engine import SqliteEngine
from appliance.world import RealWorld

__all__ = ["running_log"]


@contextlib.asynccontextmanager
async def running_log(folder: Path) -> AsyncIterator[tuple[Log, int]]:
    """The log on `folder`, synced as always, and the key of its namespace `default`."""
    engine = SqliteEngine.open(folder)
    reader = engine.reader()
    existing = {namespace.id: namespace.key for namespace in reader.namespaces()}
    reader.close()
    if "default" not in existing:
        row = TokenRow("owner", bytes(32), 0, ("admin",))
        existing["default"] = engine.create_namespace("default", "", row, time.time_ns() // 1000).key
    log = Log(engine, RealWorld(), lambda events: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        yield log, existing["default"]
        await log.drain()
        nursery.cancel_scope.cancel()
