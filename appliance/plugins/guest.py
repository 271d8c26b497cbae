"""One plugin's life: imported, checked, its services under a supervisor of their own.

A service that crashes comes back after a pause; when its budget is spent, or when the plugin cannot be
loaded at all, the whole plugin ends, and the host parks it. What it started ends with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import trio

from appliance.api import Misdeclared, PanelDoor, Rejected, ServiceDoor
from appliance.model.http import Route
from appliance.plugins import loader
from appliance.plugins.asking import Asked
from appliance.plugins.border import Crash, PanelView, PluginCrashed, serve, show, translated
from appliance.plugins.consumers import Consumers
from appliance.plugins.context import PluginContext
from appliance.plugins.declared import Declarations, examine
from appliance.plugins.desk import Desk
from appliance.plugins.handling import Handling
from appliance.plugins.ports import Ports
from appliance.plugins.reception import Reception
from appliance.plugins.registry import Found, decode_config
from appliance.plugins.stall import Stall
from appliance.plugins.threads import threads
from appliance.plugins.workers import job_type
from appliance.supervise.restarts import Limits, Restarts
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import Node, first_cause

__all__ = ["Guest"]

log = structlog.get_logger("plugins")

IMPORT_BUDGET = 5.0  # seconds an import may hold the loop: it reads files and happens once
DRAIN_GRACE = 2.0  # seconds; a plugin's services have nothing in flight that is not in the log

STALLS = Limits(budget=3, settled=60.0)  # interruptions forgiven; a plugin may catch them and block again


class Guest:
    """A plugin as a service of the host."""

    def __init__(self, found: Found, ports: Ports) -> None:
        self.found = found
        self.declared: Declarations | None = None  # None: not loaded, or it could not be
        self.crash = Crash()  # the last one since it was loaded
        self.stalls = 0
        self.failures: Counter[str] = Counter()  # of handlers, since it was loaded: "route GET /api/v1/notes"
        self.desk: Desk[Any] | None = None  # None: it does not run
        self.consumers: Consumers | None = None
        self.routes: tuple[Route, ...] = ()  # in the front's table
        self._ports = ports
        self._services: Supervisor | None = None
        self._strikes = Restarts(STALLS)
        self._condemned = trio.Event()
        self._life = trio.CancelScope()
        self.lives = 0  # how often it was begun
        self.loading = False

    @property
    def name(self) -> str:
        return self.found.name

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        while True:
            self._life = trio.CancelScope()
            with self._life:
                await self._live(task_status)
            task_status = trio.TASK_STATUS_IGNORED  # what begins again was ready once

    def restart(self) -> None:
        """Load it afresh, config and code, and begin again."""
        self._life.cancel()

    async def _live(self, task_status: trio.TaskStatus[None]) -> None:
        self.lives += 1
        self.loading = True
        self.declared = self._services = None
        self.crash, self.failures = Crash(), Counter()
        self._strikes, self._condemned = Restarts(STALLS), trio.Event()
        self._strikes.ready(self._ports.world.now())
        try:
            with self._noted():
                declared, desk, handlings = self._begun()
        finally:
            self.loading = False
        try:
            self.desk, self.consumers = desk, Consumers(handlings, desk)
            self._services = self._supervisor(declared, desk)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._execute_sentence)
                await nursery.start(self.consumers.run)
                await self._services.run(task_status=task_status)
        finally:
            self.desk = self.consumers = None
            self._ports.jobs.forget(self.name)
            with trio.CancelScope(shield=True), trio.move_on_after(DRAIN_GRACE):
                await desk.http.aclose()

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

    def failed(self, what: str, error: Exception) -> None:
        """A handler went wrong; the plugin goes on."""
        self.failures[what] += 1
        self.crash = Crash.of(first_cause(error))

    def panels(self) -> list[tuple[PanelDoor, Asked]]:
        """What can be shown now."""
        return [] if self.declared is None or self.desk is None else list(self.declared.panels)

    async def show(self, door: PanelDoor, ask: Asked) -> PanelView:
        """A card of `panels`, as it is now."""
        assert self.desk is not None  # `panels` offered it
        return await show(self.name, door, ask, PluginContext.at_large(self.desk).offers())

    def _begun(self) -> tuple[Declarations, Desk[Any], list[Handling]]:
        """Everything that can go wrong before anything of it runs."""
        declared = self.declared = self._load()
        desk = self._joined(declared, decode_config(self.found, declared.plugin.config))
        self._ports.retain(self.name, declared.retention)
        self._declare(declared)
        handlings = [Handling(one, desk, self.failed) for one in declared.consumers]
        self._refuse_passing(declared)
        self._mount(declared)
        self._offer_jobs(declared, desk)
        return declared, desk, handlings

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
                self._ports.catalog.declare(type, self.name)
            except Rejected as error:
                raise Misdeclared(error.message, hint=error.hint) from error

    def _refuse_passing(self, declared: Declarations) -> None:
        """What is not stored cannot be told later, and a consumer of it would wait for ever."""
        for consumer in declared.consumers:
            for name in consumer.names:
                type = self._ports.catalog.find(name)
                if type is not None and not type.stored:
                    raise Misdeclared(f"{consumer.ask.what}: {name} is not stored, so nobody can be told of it later")

    def _mount(self, declared: Declarations) -> None:
        reception = Reception(self.name, lambda: self.desk, lambda: self.crash, self.failed)
        routes = tuple(reception.route(door, ask) for door, ask in declared.routes)
        gone, self.routes = self.routes, ()
        try:
            self._ports.mount(gone, routes)
        except ValueError as error:
            raise Misdeclared(f"plugin {self.name}: {error}", hint="choose another path") from error
        self.routes = routes

    def _offer_jobs(self, declared: Declarations, desk: Desk[Any]) -> None:
        for work in declared.jobs:
            try:
                self._ports.jobs.register(job_type(work, desk, self.failed))
            except Rejected as error:
                raise Misdeclared(error.message, hint=error.hint) from error

    def _joined(self, declared: Declarations, config: Any) -> Desk[Any]:
        line = structlog.get_logger("plugin").bind(plugin=self.name)
        client = self._ports.outside.client(config)
        folder, table = self.found.folder, self.found.table
        return Desk(declared, config, line, self._ports, threads(), client, folder, table)

    def _supervisor(self, declared: Declarations, desk: Desk[Any]) -> Supervisor:
        offers = PluginContext.at_large(desk).offers()
        services = [
            Child(_Running(door, ask, offers, self._noted), OnCrash.RESTART, limits=self._ports.limits)
            for door, ask in declared.services
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
    ask: Asked
    offers: Mapping[str, Any]
    noted: Callable[[], Any]

    @property
    def name(self) -> str:
        return self.door.name

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()  # a plugin's service has no readiness of its own: running is all we know
        with self.noted():
            await serve(self.door, self.ask, self.offers)

    async def drain(self) -> None:
        """Its events are in the log already; cancellation is polite enough."""
