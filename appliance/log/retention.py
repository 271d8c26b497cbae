"""Old events of a category go, a slice at a time, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
import trio

from appliance.errors import ApplianceError
from appliance.storage.ports import Engine, Reader
from appliance.world import World

__all__ = ["Retention"]

SLICE = 500  # events removed in one transaction
EVERY = 60.0  # seconds between sweeps
BREATH = 0.05  # seconds between slices: writers come first

log = structlog.get_logger("log")

Place = tuple[int, str]  # namespace, category
Control = Callable[[Callable[[Engine], int]], Awaitable[int]]
Reading = Callable[[Callable[[Reader], list[Place]]], Awaitable[list[Place]]]


class Retention:
    """How long events are kept, in seconds. Both may change while it runs.

    Attributes:
        ages: by category.
        default: of categories that are not named; None: for ever.
    """

    def __init__(self, world: World, ages: Mapping[str, float] | None = None, every: float = EVERY) -> None:
        self.ages: dict[str, float] = dict(ages or {})
        self.default: float | None = None
        self._world = world
        self._every = every

    async def run(self, control: Control, reading: Reading) -> None:
        """Sweep for ever. `control` and `reading` are the log's."""
        while True:
            await trio.sleep(self._every)  # first of all: a start has better things to do
            try:
                removed = await self.sweep(control, reading)
            except ApplianceError as error:  # a full disk, say: the next sweep tries again
                log.warning("retention put off", reason=error.code)
            else:
                if removed:
                    log.info("retention removed events", events=removed)

    async def sweep(self, control: Control, reading: Reading) -> int:
        """One pass over all categories of all namespaces. Returns how many events went."""
        removed = 0
        now = self._world.wall_us()
        await control(lambda engine: engine.forget_receipts(now))
        if self.ages or self.default is not None:
            for namespace, category in await reading(_places):
                age = self.ages.get(category, self.default)
                if age is not None:
                    removed += await self._thin(control, namespace, category, now - int(age * 1e6))
        return removed

    async def _thin(self, control: Control, namespace: int, category: str, before: int) -> int:
        removed = 0
        while gone := await control(lambda engine: engine.retain(namespace, category, before, SLICE)):
            removed += gone
            await trio.sleep(BREATH)
        return removed


def _places(reader: Reader) -> list[Place]:
    return [
        (namespace.key, category)
        for namespace in reader.namespaces()
        for category, _, _ in reader.categories(namespace.key)
    ]
