"""`POST /import`: a log from elsewhere, read while it arrives and written in batches.

What the sender is told of the progress is never waited for: a peer that does not read while it writes
(most do not) gets fewer lines, not a stopped import.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec

from appliance.auth.dialect import DialectError, in_dialect
from appliance.auth.service import Identity
from appliance.errors import ApplianceError, Duplicate
from appliance.ingress.door import Door
from appliance.ingress.records import ImportFailed, Records
from appliance.ingress.rpc import only
from appliance.model.event import Imported
from appliance.model.http import Answer, Exchange, Request, Stream
from appliance.model.principal import Principal
from appliance.world import World

__all__ = ["Importer"]

HEADERS = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))

_encode = msgspec.json.Encoder().encode


class Importer:
    """Answers `/import` with `data:` lines: progress after each batch, then `done` or an error.

    Records keep positions, ids and times. A batch is one transaction: the one that fails leaves
    nothing, those before it stay. `?force=true` empties the namespace first.
    """

    def __init__(self, identity: Identity, door: Door, world: World) -> None:
        self._identity = identity
        self._door = door
        self._world = world

    async def handle(self, request: Request) -> Answer:
        """Needs `request.principal` (see `Identity.guarded`) and a body that is read here."""
        who, chunks = request.principal, request.chunks
        assert who is not None
        assert chunks is not None
        try:
            only("POST", request)
            force = request.query.get("force") == "true"
            self._door.admit_import(who, replacing=force)
            if force:
                await self._clear(who)
        except ApplianceError as error:
            return in_dialect(error).response()

        async def run(exchange: Exchange) -> None:
            await _Import(self._door, self._world, who, exchange).run(chunks())

        return Stream(run, headers=HEADERS)

    async def _clear(self, who: Principal) -> None:
        try:
            await self._identity.clear_namespace(who.namespace)
        except ApplianceError as error:
            raise DialectError(500, "CLEAR_FAILED", error.message) from error


class _Import:
    """One import under way."""

    def __init__(self, door: Door, world: World, who: Principal, exchange: Exchange) -> None:
        self._door = door
        self._world = world
        self._who = who
        self._exchange = exchange
        self._records = Records(door)
        self._count = 0

    async def run(self, chunks: AsyncIterator[bytes]) -> None:
        began = self._world.now()
        try:
            async for chunk in chunks:
                await self._write(self._records.feed(chunk))
            await self._write(self._records.end())
        except ImportFailed as failed:
            await self._tell_end({"error": failed.code, "message": failed.message, "line": failed.line})
        else:
            elapsed = self._world.now() - began
            await self._tell_end({"done": True, "imported": self._count, "elapsed": f"{elapsed:.1f}s"})

    async def _write(self, batches: Iterator[list[Imported]]) -> None:
        while batch := await self._world.in_thread(lambda: next(batches, None)):
            await self._write_batch(batch)
            self._count += len(batch)
            self._exchange.offer(_line({"imported": self._count, "gpos": batch[-1].global_position}))

    async def _write_batch(self, batch: list[Imported]) -> None:
        try:
            await self._door.import_batch(self._who, batch)
        except Duplicate as error:
            raise ImportFailed("POSITION_EXISTS", error.message, self._records.line) from error
        except ApplianceError as error:
            raise ImportFailed("IMPORT_FAILED", error.message, self._records.line) from error

    async def _tell_end(self, told: dict[str, object]) -> None:
        await self._exchange.write(_line(told))


def _line(told: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % _encode(told)
