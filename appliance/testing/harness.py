"""Runs a plugin without a server: its services for real, on a log in memory.

    async def test_it_ticks_every_second(autojump_clock):
        async with harness(plugin, {"every": 1.0}) as rig:
            await rig.wait_for(Ticked)
            second = await rig.wait_for(Ticked)

        assert second.count == 1

Under Trio's mock clock nothing waits: threads are run in place, the generator is seeded, and the time
of day follows the clock. A crash of the plugin comes out of the block as it is, for the test to see.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
import trio

from appliance.api import Plugin
from appliance.clock import MICROSECONDS
from appliance.config.strict import Source, closest
from appliance.errors import NotFound
from appliance.model.event import Draft, Event, Unit
from appliance.plugins import loader, manifest
from appliance.plugins.border import contained, serve
from appliance.plugins.context import PluginContext
from appliance.plugins.declared import Declarations, examine
from appliance.plugins.registry import Found, decode_config
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import TokenRow
from appliance.supervise.tree import first_cause
from appliance.world import RealWorld

__all__ = ["Rig", "harness", "load"]

T = TypeVar("T")

BEGINNING = 1_767_225_600 * MICROSECONDS  # 2026-01-01; the harness's time of day starts here
PATIENCE = 60.0  # seconds of the test's clock until `wait_for` gives up


def load(folder: Path) -> Plugin:
    """Import the plugin in `folder` as an appliance does: its modules are `appliance_plugins.NAME…` then."""
    return loader.load(folder, manifest.read(folder))


@asynccontextmanager
async def harness(plugin: Plugin | Path, config: object = None) -> AsyncIterator[Rig]:
    """Run the services of `plugin` while the block lasts.

    Args:
        plugin: what the module built, or the plugin's folder.
        config: a table as in the file, decoded as strictly; an instance of the plugin's config; None for its defaults.

    Raises:
        Misdeclared: the plugin could not be started by an appliance either.
        ConfigError: nor with this config.
    """
    if isinstance(plugin, Path):
        plugin = load(plugin)
    declared = examine(plugin)
    rig = Rig(declared, _config(plugin, config))
    try:
        async with trio.open_nursery() as nursery:
            for door in plugin.services.values():
                nursery.start_soon(serve, door, rig.ctx.offers(), name=door.name)
            yield rig
            nursery.cancel_scope.cancel()
    except ExceptionGroup as group:
        cause = first_cause(group)
        if cause is group:
            raise
        raise cause from None


class Rig:
    """A running plugin, and what it has done so far."""

    def __init__(self, declared: Declarations, config: Any) -> None:
        self.stored: list[Event] = []  # as the log has them
        self.events: list[Any] = []  # the same, decoded: instances of the declared classes
        self.refusal: Exception | None = None  # raised by `emit` while set, as by a log that takes no writes
        self._types = {door.type.__name__: door.type for door in declared.plugin.events.values()}
        self._panels = declared.plugin.panels
        self._seen: dict[str, int] = {}  # type -> how many of `events` its waits have passed
        self._news = trio.Event()
        self._world = _TestWorld()
        self._engine = MemoryEngine()
        owner = TokenRow("harness", b"", 0, ())
        self._namespace = self._engine.create_namespace("default", "", owner, self._world.wall_us()).key
        line = structlog.get_logger("plugin").bind(plugin=declared.plugin.name)
        self.ctx = PluginContext(declared, config, line, self._world, self._append, _in_place)

    async def wait_for(self, event: type[T] | str, *, within: float = PATIENCE) -> T:
        """The next event of this type that no earlier wait has returned.

        Raises:
            trio.TooSlowError: none came `within` so many seconds of the test's clock.
        """
        name = event if isinstance(event, str) else event.__name__
        if name not in self._types:
            raise NotFound(f"the plugin declares no event {name}", hint=closest(name, self._types))
        with trio.fail_after(within):
            while True:
                for n in range(self._seen.get(name, 0), len(self.events)):
                    if type(self.events[n]).__name__ == name:
                        self._seen[name] = n + 1
                        found: T = self.events[n]
                        return found
                self._news = trio.Event()
                await self._news.wait()

    async def panel(self, title: str) -> Mapping[str, Any]:
        """What a declared panel shows now. What it raises comes out."""
        if title not in self._panels:
            raise NotFound(f"the plugin declares no panel {title!r}", hint=closest(title, self._panels))
        values: Mapping[str, Any] = await contained(self._panels[title].handler, self.ctx.offers())
        return values

    async def _append(self, drafts: Sequence[Draft]) -> tuple[Event, ...]:
        await trio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        unit = Unit(self._namespace, tuple(drafts))
        ids = iter([self._world.new_id() for _ in drafts])
        (outcome,) = self._engine.commit([unit], now_us=self._world.wall_us(), new_ids=ids).outcomes
        if isinstance(outcome, Exception):
            raise outcome
        self.stored += outcome
        self.events += [msgspec.json.decode(event.data, type=self._types[event.type]) for event in outcome]
        self._news.set()
        return outcome


class _TestWorld(RealWorld):
    """Seeded, and with a time of day that follows Trio's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(0)  # noqa: S311 - the same in every run
        self._begin = trio.current_time()

    def wall_us(self) -> int:
        return BEGINNING + round((trio.current_time() - self._begin) * MICROSECONDS)


def _config(plugin: Plugin, config: object) -> Any:
    if isinstance(config, plugin.config):
        return config
    if not isinstance(config, Mapping | None):
        raise TypeError(f"a config is a table or a {plugin.config.__name__}, not {type(config).__name__}")
    place = Source(prefix=f"plugins.{plugin.name}")
    return decode_config(Found(plugin.name, None, None, table=config or {}, source=place), plugin.config)


async def _in_place(work: Callable[[], T], /) -> T:
    """A thread would make the mock clock jump while it works."""
    await trio.lowlevel.checkpoint()
    return work()
