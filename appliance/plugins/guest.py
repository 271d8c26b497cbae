"""One plugin's life: imported, checked, its services under a supervisor of their own.

A service that crashes comes back after a pause; when its budget is spent, or when the plugin cannot be
loaded at all, the whole plugin ends, and the host parks it. What it started ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from appliance.api import Misdeclared, PanelDoor, Rejected, ServiceDoor
from appliance.model.types import EventType
from appliance.plugins import loader
from appliance.plugins.border import Crash, PanelView, PluginCrashed, serve, show, translated
from appliance.plugins.context import Emit, InThread, PluginContext
from appliance.plugins.declared import Declarations, examine
from appliance.plugins.registry import Found, decode_config
from appliance.plugins.stall import Stall, StallWatch
from appliance.supervise.restarts import Limits, Restarts
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import Node, first_cause
from appliance.world import World

__all__ = ["Declare", "Guest", "Ports"]

log = structlog.get_logger("plugins")

Declare = Callable[[EventType, str], None]  # of the plugin of this name; raises Rejected to refuse it

IMPORT_BUDGET = 5.0  # seconds an import may hold the loop: it reads files and happens once
DRAIN_GRACE = 2.0  # seconds; a plugin's services have nothing in flight that is not in the log
THREADS = 4  # of one plugin at once, so that none can take all the process has

STALLS = Limits(budget=3, settled=60.0)  # interruptions forgiven; a plugin may catch them and block again


@dataclass(frozen=True, slots=True)
class Ports:
    """What every plugin is joined to."""

    emit: Emit
    world: World
    watch: StallWatch
    retain: Callable[[str, Mapping[str, float]], None]  # (plugin, {category: seconds}); raises to refuse the plugin
    declare: Declare
    limits: Limits = field(default_factory=Limits)  # of each service


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
            self._declare(declared)
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

    def panels(self) -> list[PanelDoor]:
        """What can be shown now."""
        return [] if self.declared is None or self._context is None else list(self.declared.plugin.panels.values())

    async def show(self, door: PanelDoor) -> PanelView:
        assert self._context is not None  # `panels` offered it
        return await show(self.name, door, self._context.offers())

    def _load(self) -> Declarations:
        if self.found.problem is not None:
            raise self.found.problem
        assert self.found.folder is not None  # whoever has no problem has both
        assert self.found.manifest is not None
        with self._ports.watch.patience(self.name, IMPORT_BUDGET), translated():
            return examine(loader.load(self.found.folder, self.found.manifest))

    def _declare(self, declared: Declarations) -> None:
        for type in declared.event_types:
            try:
                self._ports.declare(type, self.name)
            except Rejected as error:
                raise Misdeclared(error.message, hint=error.hint) from error

    def _joined(self, declared: Declarations, config: Any) -> PluginContext[Any]:
        line = structlog.get_logger("plugin").bind(plugin=self.name)
        return PluginContext(declared, config, line, self._ports.world, self._ports.emit, _in_a_thread())

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
            await serve(self.door, self.offers)

    async def drain(self) -> None:
        """Its events are in the log already; cancellation is polite enough."""


def _in_a_thread() -> InThread:
    """Threads for one plugin. A wait that is cancelled leaves the thread alone: it cannot hold up a stop."""
    limiter = trio.CapacityLimiter(THREADS)

    async def aside(work: Callable[[], Any], /) -> Any:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)

    return aside
