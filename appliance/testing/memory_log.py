"""A log in memory without threads, for one plugin or one room under test: what is submitted is committed at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import trio

from appliance.model.event import Event, Imported, Namespace, Query, Unit
from appliance.model.ports import Publish
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Committed, Engine, Reader, TokenRow
from appliance.world import World

__all__ = ["MemoryLog"]

T = TypeVar("T")


class _Done:
    """What is committed already, as whoever awaits it sees it."""

    def __init__(self, outcome: tuple[Event, ...] | Exception) -> None:
        self._outcome = outcome

    def __await__(self) -> Generator[Any, None, tuple[Event, ...]]:
        return self._settled().__await__()

    async def _settled(self) -> tuple[Event, ...]:
        await trio.lowlevel.checkpoint()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class MemoryLog:
    """What rooms need of `appliance.log.Log`. It begins with namespace `default`.

    `refusal` is what every write meets while it is set, as on a full disk.
    """

    def __init__(self, world: World, publish: Publish = lambda events: None) -> None:
        self.engine = MemoryEngine()
        self.refusal: Exception | None = None
        self._world = world
        self._publish = publish
        self._reader = self.engine.reader()
        self.default = self.create("default")

    @property
    def spaces(self) -> list[Namespace]:
        return self._reader.namespaces()

    def create(self, id: str) -> Namespace:
        """A fresh namespace."""
        token = TokenRow(self._world.new_id(), self._world.new_id().encode(), 0, ())
        return self.engine.create_namespace(id, "", token, self._world.wall_us())

    def submit(self, unit: Unit) -> _Done:
        """Committed and published when this returns; awaiting gives its events, or raises why it was refused."""
        if self.refusal is not None:
            return _Done(self.refusal)
        ids = iter([self._world.new_id() for _ in unit.drafts])
        done = self.engine.commit([unit], now_us=self._world.wall_us(), new_ids=ids)
        return _Done(self._shown(done))

    async def import_batch(self, namespace: int, records: Sequence[Imported]) -> tuple[Event, ...]:
        """Records that keep their positions."""
        return await _Done(self._shown(self.engine.import_batch(namespace, records)))

    async def control(self, work: Callable[[Engine], T]) -> T:
        """Any other change."""
        await trio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        return work(self.engine)

    async def reading(self, work: Callable[[Reader], T]) -> T:
        """Any read."""
        await trio.lowlevel.checkpoint()
        return work(self._reader)

    async def events(self, query: Query) -> list[Event]:
        return await self.reading(lambda reader: reader.events(query))

    async def find(self, namespace: int, id: str) -> Event | None:
        return await self.reading(lambda reader: reader.find(namespace, id))

    def head_position(self, namespace: int) -> int:
        return self._reader.newest(namespace)

    def _shown(self, done: Committed) -> tuple[Event, ...] | Exception:
        if done.fresh:
            self._publish(done.fresh)
        (outcome,) = done.outcomes
        return outcome
