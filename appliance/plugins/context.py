"""The appliance as one plugin sees it: `appliance.api.Context`, joined to whoever runs the plugin."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import trio

from appliance.api import Log, Receipt
from appliance.clock import stamp
from appliance.model.event import Draft, Event
from appliance.plugins.declared import Declarations
from appliance.world import World

__all__ = ["Emit", "InThread", "PluginContext"]

C = TypeVar("C")
T = TypeVar("T")

Emit = Callable[[Sequence[Draft]], Awaitable[Sequence[Event]]]  # all or nothing; returns once synced and published


class InThread(Protocol):
    """Runs blocking work aside."""

    async def __call__(self, work: Callable[[], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class PluginContext(Generic[C]):
    """What handlers get as `ctx`."""

    declarations: Declarations
    config: C
    log: Log
    world: World
    append: Emit
    threads: InThread

    @property
    def rng(self) -> random.Random:
        return self.world.rng

    async def emit(self, event: object) -> Receipt:
        (stored,) = await self.append([self.declarations.draft(event)])
        return Receipt(stored.id, stored.stream, stored.position, stored.global_position)

    def now(self) -> float:
        return self.world.now()

    def wall(self) -> str:
        return stamp(self.world.wall_us())

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def run_in_thread(self, work: Callable[[], T]) -> T:
        return await self.threads(work)

    def offers(self) -> dict[str, Any]:
        """What a handler may ask for, by name."""
        return {"ctx": self, "config": self.config, "log": self.log}
