"""Endpoints, cursors and deliveries on disk: rows of state beside the log.

    endpoint/ID            an endpoint, its URL and secrets sealed
    cursor/ID              how far it has come
    delivery/ID/NUMBER     newest first: numbers are written as what is left to the highest

Many couriers record at once, and each change is synced: what comes while a write is under way goes with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec
import trio

from appliance.egress.webhooks.endpoint import Cursor, Delivery, Endpoint
from appliance.errors import ApplianceError, Unavailable
from appliance.model.state import StateChange, StateRow
from appliance.storage.ports import Engine, Reader

__all__ = ["OWNER", "Log", "Store", "forget", "keep"]

T = TypeVar("T")

OWNER = "webhooks"
HIGHEST = 10**17 - 1  # of a delivery's number
PAGE = 500  # rows read at once

Kept = Endpoint | Cursor | Delivery


class Log(Protocol):
    """What the store needs of the log."""

    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    async def control(self, work: Callable[[Engine], T]) -> T: ...


def keep(namespace: int, value: Kept, *, id: str = "") -> StateChange:
    """The change that stores it.

    Args:
        id: of the endpoint, where the value does not say it.
    """
    return StateChange(namespace, OWNER, _key(value, id), msgspec.json.encode(value).decode())


def forget(namespace: int, value: Kept, *, id: str = "") -> StateChange:
    """The change that removes it."""
    return StateChange(namespace, OWNER, _key(value, id), None)


def _key(value: Kept, id: str) -> str:
    match value:
        case Endpoint():
            return f"endpoint/{value.id}"
        case Cursor():
            return f"cursor/{id}"
        case Delivery():
            return f"delivery/{value.webhook}/{HIGHEST - value.number:017d}"


class Store:
    """Reads and writes all of it. `run` must run for anything to be written."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._queue: list[tuple[Sequence[StateChange], _Slip]] = []
        self._more = trio.Event()
        self._number = 0

    def number(self, now_us: int) -> int:
        """For a new delivery: higher than any before."""
        self._number = max(self._number + 1, now_us)
        return self._number

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what `save` is given, until cancelled."""
        task_status.started()
        while True:
            while not self._queue:
                self._more = trio.Event()
                await self._more.wait()
            batch, self._queue = self._queue, []
            try:
                await self._write(batch)
            finally:
                for _, slip in batch:
                    slip.over.set()

    async def save(self, changes: Sequence[StateChange]) -> None:
        """Returns when it is on disk.

        Raises:
            NotFound: the namespace is gone.
            Unavailable: nothing of it was written.
        """
        slip = _Slip()
        self._queue.append((changes, slip))
        self._more.set()
        await slip.over.wait()
        if slip.trouble is not None:
            raise slip.trouble

    async def endpoints(self) -> list[tuple[Endpoint, Cursor]]:
        """Those of all namespaces."""

        def read(reader: Reader) -> list[tuple[Endpoint, Cursor]]:
            found = []
            for space in reader.namespaces():
                for row in _rows(reader, space.key, "endpoint/"):
                    endpoint = msgspec.json.decode(row.value, type=Endpoint)
                    cursor = reader.state(space.key, OWNER, f"cursor/{endpoint.id}")
                    found.append((endpoint, _cursor(cursor)))
            return found

        return await self._log.reading(read)

    async def deliveries(self, endpoint: Endpoint, limit: int | None = None) -> list[Delivery]:
        """Newest first."""

        def read(reader: Reader) -> list[Delivery]:
            rows = _rows(reader, endpoint.namespace, f"delivery/{endpoint.id}/", limit)
            return [msgspec.json.decode(row.value, type=Delivery) for row in rows]

        return await self._log.reading(read)

    async def delete(self, endpoint: Endpoint) -> None:
        """It, its cursor and its deliveries."""

        def read(reader: Reader) -> list[StateRow]:
            return list(_rows(reader, endpoint.namespace, f"delivery/{endpoint.id}/"))

        rows = await self._log.reading(read)
        changes = [StateChange(row.namespace, OWNER, row.key, None) for row in rows]
        cursor = forget(endpoint.namespace, Cursor(0), id=endpoint.id)
        await self.save([forget(endpoint.namespace, endpoint), cursor, *changes])

    async def _write(self, batch: Sequence[tuple[Sequence[StateChange], _Slip]]) -> None:
        try:
            await self._log.control(
                lambda engine: engine.change_state([change for changes, _ in batch for change in changes])
            )
        except ApplianceError as trouble:
            if len(batch) == 1:
                batch[0][1].trouble = trouble
                return
            for one in batch:  # one whose namespace is gone takes nobody else along
                await self._write([one])
        except trio.Cancelled:
            for _, slip in batch:
                slip.trouble = Unavailable("the appliance is stopping", hint="try again in a few seconds")
            raise


class _Slip:
    """Where who saves waits."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.trouble: ApplianceError | None = None


def _rows(reader: Reader, namespace: int, prefix: str, limit: int | None = None) -> Iterator[StateRow]:
    after, left = "", limit
    while left is None or left > 0:
        most = PAGE if left is None else min(PAGE, left)
        rows = reader.states(namespace, OWNER, prefix=prefix, after=after, limit=most)
        if not rows:
            return
        yield from rows
        after = rows[-1].key
        left = None if left is None else left - len(rows)


def _cursor(row: StateRow | None) -> Cursor:
    return Cursor(0) if row is None else msgspec.json.decode(row.value, type=Cursor)
