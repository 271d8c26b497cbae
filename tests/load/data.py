"""Fills a log fast, through the engine's own import path, so that what is read later is what the product wrote.

Neighbouring events belong to different streams, as in life: a page of one stream is spread over the whole file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.model.event import Imported
from appliance.storage.ports import TokenRow
from appliance.storage.sqlite.engine import SqliteEngine
from tests.load.requests import DATA

__all__ = ["Filled", "fill"]

BATCH = 5000  # events of one transaction
STREAM_LENGTH = 500  # events
STRIDE = 7919  # prime: neighbours in the log are far apart in the streams
FIRST_US = 1_700_000_000_000_000


@dataclass(frozen=True)
class Filled:
    """A log with `events` events in `streams` streams of category `bench`; every tenth names a correlation."""

    folder: Path
    events: int

    @property
    def streams(self) -> int:
        return max(1, self.events // STREAM_LENGTH)

    @property
    def reachable(self) -> int:
        """Global positions (and, in a stream, positions) from which a hundred events can be read."""
        return max(1, self.events - 20_000)


def fill(folder: Path, events: int) -> Filled:
    """Create the log in `folder`, or use the one that is there. Nobody may have it open."""
    filled = Filled(folder, events)
    folder.mkdir(parents=True, exist_ok=True)
    engine = SqliteEngine.open(folder)
    try:
        if engine.recovery.events < events:
            row = TokenRow("owner", os.urandom(32), 0, ("admin",))
            namespace = engine.create_namespace("default", "Default namespace", row, FIRST_US).key
            for first in range(0, events, BATCH):
                engine.import_batch(namespace, list(_records(filled, first, min(first + BATCH, events))))
    finally:
        engine.close()
    return filled


def _records(filled: Filled, first: int, last: int) -> Iterator[Imported]:
    streams = filled.streams
    stamp = time.time_ns() // 1_000_000
    for n in range(first, last):
        stream = n * STRIDE % streams
        id = f"{stamp >> 16:08x}-{stamp & 0xFFFF:04x}-7{n >> 36 & 0xFFF:03x}-8{n >> 24 & 0xFFF:03x}-{n:012x}"
        metadata = f'{{"correlationStreamName":"order-{n % 977}"}}' if n % 10 == 0 else None
        yield Imported(f"bench-{stream}", "Measured", n // streams, n + 1, id, DATA, metadata, FIRST_US + n)
