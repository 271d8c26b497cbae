"""Old events of a category go, a slice at a time, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog
import trio

from appliance.errors import ApplianceError
from appliance.model.event import Namespace
from appliance.storage.ports import Engine, Reader
from appliance.world import World

__all__ = ["Retention"]

SLICE = 500  # events removed in one transaction
EVERY = 60.0  # seconds between sweeps
BREATH = 0.05  # seconds between slices: writers come first

log = structlog.get_logger("log")


class _Log(Protocol):
    @property
    def control(self) -> Callable[[Callable[[Engine], int]], Awaitable[int]]: ...

    @property
    def reading(self) -> Callable[[Callable[[Reader], list[Namespace]]], Awaitable[list[Namespace]]]: ...


class Retention:
    """Ages per category, in seconds. `ages` may change while it runs; a category that is not named is kept."""

    def __init__(self, world: World, ages: Mapping[str, float] | None = None, every: float = EVERY) -> None:
        self.ages: dict[str, float] = dict(ages or {})
        self._world = world
        self._every = every

    async def run(
        self,
        control: Callable[[Callable[[Engine], int]], Awaitable[int]],
        namespaces: Callable[[], Awaitable[list[Namespace]]],
    ) -> None:
        while True:
            await trio.sleep(self._every)  # first of all: a start has better things to do
            try:
                removed = await self.sweep(control, namespaces)
            except ApplianceError as error:  # a full disk, say: the next sweep tries again
                log.warning("retention put off", reason=error.code)
            else:
                if removed:
                    log.info("retention removed events", events=removed)

    async def sweep(
        self,
        control: Callable[[Callable[[Engine], int]], Awaitable[int]],
        namespaces: Callable[[], Awaitable[list[Namespace]]],
    ) -> int:
        """One pass over all namespaces. Returns how many events went."""
        removed = 0
        now = self._world.wall_us()
        await control(lambda engine: engine.forget_receipts(now))
        for namespace in await namespaces():
            for category, age in list(self.ages.items()):
                removed += await self._thin(control, namespace.key, category, now - int(age * 1e6))
        return removed

    async def _thin(
        self, control: Callable[[Callable[[Engine], int]], Awaitable[int]], namespace: int, category: str, before: int
    ) -> int:
        removed = 0
        while gone := await control(lambda engine: engine.retain(namespace, category, before, SLICE)):
            removed += gone
            await trio.sleep(BREATH)
        return removed
