"""One plugin's life: imported, checked, its services under a supervisor of their own.

Nothing a plugin does may reach its siblings. What it raises stops here, whatever it is; what it starts
ends with it. A service that crashes comes back after a pause; when its budget is spent, or when the
plugin cannot be loaded at all, the whole plugin ends, and the host parks it.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
import trio

from appliance.api import Misdeclared, PanelDoor, ServiceDoor
from appliance.errors import ApplianceError
from appliance.plugins import loader
from appliance.plugins.context import Emit, InThread, PluginContext
from appliance.plugins.declared import OFFERS, Declarations, asked, examine
from appliance.plugins.registry import Found, decode_config
from appliance.plugins.stall import Stall, StallWatch
from appliance.supervise.restarts import Limits, Restarts
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import Node, first_cause, one_line
from appliance.world import World

__all__ = ["Crash", "Guest", "PanelView", "PluginCrashed", "Ports", "contained", "in_a_thread", "show", "translated"]

log = structlog.get_logger("plugins")

IMPORT_BUDGET = 5.0  # seconds an import may hold the loop: it reads files and happens once
PANEL_TIMEOUT = 2.0  # seconds
DRAIN_GRACE = 2.0  # seconds; a plugin's services have nothing in flight that is not in the log
THREADS = 4  # of one plugin at once, so that none can take all the process has
LONGEST_TRACEBACK = 8000  # characters kept for `status`

STALLS = Limits(budget=3, settled=60.0)  # interruptions forgiven; a plugin may catch them and block again


class PluginCrashed(ApplianceError):
    """A plugin raised what would end the process: SystemExit, an interruption, a class of its own."""

    code = "plugin_crashed"


@dataclass(frozen=True, slots=True)
class Ports:
    """What every plugin is joined to."""

    emit: Emit
    world: World
    watch: StallWatch
    retain: Callable[[str, Mapping[str, float]], None]  # (plugin, {category: seconds}); raises to refuse the plugin
    limits: Limits = field(default_factory=Limits)  # of each service


@dataclass(frozen=True, slots=True)
class Crash:
    """What went wrong, for a person."""

    reason: str = ""
    hint: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: Exception) -> Crash:
        text = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
        if isinstance(error, ApplianceError) and not isinstance(error, PluginCrashed):
            return cls(error.message, error.hint, text)  # it says where by itself
        return cls(one_line(error).removeprefix(f"{PluginCrashed.__module__}.PluginCrashed: "), "", text)


@dataclass(frozen=True, slots=True)
class PanelView:
    """One card: values, or why there are none."""

    plugin: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class Guest:
    """A plugin as a service of the host."""

    def __init__(self, found: Found, ports: Ports) -> None:
        self.found = found
        self.declared: Declarations | None = None  # None: not loaded, or it could not be
        self.crash = Crash()  # the last one since it was loaded
        self.stalls = 0
        self._ports = ports
        self._services: Supervisor | None = None
        self._context: PluginContext[Any] | None = None
        self._strikes = Restarts(STALLS)
        self._condemned = trio.Event()

    @property
    def name(self) -> str:
        return self.found.name

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.declared = self._services = self._context = None
        self.crash = Crash()
        self._strikes, self._condemned = Restarts(STALLS), trio.Event()
        self._strikes.ready(self._ports.world.now())
        with self._noted():
            declared = self.declared = self._load()
            config = decode_config(self.found, declared.plugin.config)
            self._ports.retain(self.name, declared.retention)
        self._context = self._joined(declared, config)
        self._services = self._supervisor(declared, self._context)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._execute_sentence)
            await self._services.run(task_status=task_status)

    async def drain(self) -> None:
        if self._services is not None:
            await self._services.drain()

    def branches(self) -> tuple[Node, ...]:
        return () if self._services is None else self._services.branches()

    def stalled(self, stall: Stall) -> None:
        """It was interrupted while it held the loop. Too often in a row ends it, whether it crashed or caught it."""
        self.stalls += 1
        log.warning("plugin interrupted", plugin=self.name, where=stall.where)
        now = self._ports.world.now()
        if self._strikes.crashed(now) is None:
            self._condemned.set()
        self._strikes.ready(now)

    async def panels(self) -> list[PanelView]:
        if self.declared is None or self._context is None:
            return []
        offers = self._context.offers()
        return [await show(self.name, door, offers) for door in self.declared.plugin.panels.values()]

    def _load(self) -> Declarations:
        if self.found.problem is not None:
            raise self.found.problem
        assert self.found.folder is not None  # whoever has no problem has both
        assert self.found.manifest is not None
        with self._ports.watch.patience(self.name, IMPORT_BUDGET), translated():
            return examine(loader.load(self.found.folder, self.found.manifest))

    def _joined(self, declared: Declarations, config: Any) -> PluginContext[Any]:
        line = structlog.get_logger("plugin").bind(plugin=self.name)
        return PluginContext(declared, config, line, self._ports.world, self._ports.emit, in_a_thread())

    def _supervisor(self, declared: Declarations, context: PluginContext[Any]) -> Supervisor:
        services = [
            Child(_Running(door, context.offers(), self._noted), OnCrash.RESTART, limits=self._ports.limits)
            for door in declared.plugin.services.values()
        ]
        return Supervisor(self.name, services, world=self._ports.world, grace=DRAIN_GRACE)

    async def _execute_sentence(self) -> None:
        await self._condemned.wait()
        with self._noted():
            raise PluginCrashed(
                f"plugin {self.name} held the loop again and again, {self.stalls} times",
                hint="do blocking work in ctx.run_in_thread",
            )

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Keep what passes, for a person to read."""
        try:
            yield
        except Exception as crash:
            self.crash = Crash.of(first_cause(crash))
            raise


@dataclass(frozen=True, slots=True)
class _Running:
    """One declared service, as the supervisor wants it."""

    door: ServiceDoor
    offers: Mapping[str, Any]
    noted: Callable[[], Any]

    @property
    def name(self) -> str:
        return self.door.name

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()  # a plugin's service has no readiness of its own: running is all we know
        with self.noted():
            await contained(self.door.handler, self.offers)
            raise Misdeclared(
                f"service {self.name} returned", hint="a service lasts: while True, and await ctx.sleep(…) between"
            )

    async def drain(self) -> None:
        """Its events are in the log already; cancellation is polite enough."""


async def contained(handler: Callable[..., Awaitable[Any]], offers: Mapping[str, Any]) -> Any:
    """Call a plugin's handler with what it asks for. Whatever it raises becomes an `Exception`."""
    wanted = {name: offers[name] for name in asked(handler, OFFERS, handler.__name__)}
    with translated():
        return await handler(**wanted)


@contextmanager
def translated() -> Iterator[None]:
    """The border: what is neither an ordinary error nor Trio's cancellation must not travel on."""
    try:
        yield
    except BaseException as crash:
        strange = _strange(crash)
        if strange is None:
            raise
        told = PluginCrashed(f"{type(strange).__name__}: {strange}".removesuffix(": "))
        raise told.with_traceback(strange.__traceback__) from crash  # so that the last line told is the plugin's


def _strange(crash: BaseException) -> BaseException | None:
    if isinstance(crash, BaseExceptionGroup):
        return next((odd for inner in crash.exceptions if (odd := _strange(inner)) is not None), None)
    return None if isinstance(crash, Exception | trio.Cancelled) else crash


async def show(plugin: str, door: PanelDoor, offers: Mapping[str, Any]) -> PanelView:
    """Evaluate a panel within its time. It always gives a view."""
    try:
        with trio.move_on_after(PANEL_TIMEOUT) as limit:
            values = await contained(door.handler, offers)
            if not isinstance(values, Mapping):
                return PanelView(plugin, door.title, error=f"the panel gave {type(values).__name__}, not a mapping")
            return PanelView(plugin, door.title, msgspec.to_builtins(values, str_keys=True))
    except Exception as crash:  # noqa: BLE001 - the border; the card shows it
        return PanelView(plugin, door.title, error=Crash.of(first_cause(crash)).reason)
    assert limit.cancelled_caught  # nothing else leads here
    return PanelView(plugin, door.title, error=f"no answer within {PANEL_TIMEOUT:g} s")


def in_a_thread() -> InThread:
    """Threads for one plugin. A wait that is cancelled leaves the thread alone: it cannot hold up a stop."""
    limiter = trio.CapacityLimiter(THREADS)

    async def aside(work: Callable[[], Any], /) -> Any:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)

    return aside
