"""The composition root: configuration in, an ordered list of services out.

This is the one place where the rooms meet. Reading `House` from top to bottom is reading what the
appliance is; the list at its end is the order of starting, and backwards that of stopping.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec
import structlog

from appliance import ground
from appliance.auth.service import Identity
from appliance.auth.store import DEFAULT
from appliance.bus import Bus
from appliance.cage import HouseCage
from appliance.config.keeping import FOR_EVER, Keeping
from appliance.config.load import Loaded
from appliance.config.reload import Reloader
from appliance.config.schema import Settings
from appliance.doors import Rooms, front
from appliance.egress.clients.service import Manager
from appliance.egress.dead_letters.service import DeadLetters
from appliance.errors import ApplianceError, NotFound
from appliance.ingress.door import Door
from appliance.ingress.incoming.occasions import TYPE as RECEIVED
from appliance.ingress.incoming.service import Incoming
from appliance.ingress.labels import labelled
from appliance.ingress.passages import Passages
from appliance.log import Log
from appliance.model.catalog import Catalog
from appliance.model.channels import CATEGORY
from appliance.model.event import Draft, Event, Namespace
from appliance.model.ports import Pending
from appliance.model.principal import WRITE, Principal
from appliance.model.state import StateChange
from appliance.storage.ports import Engine
from appliance.storage.schedule import Backups
from appliance.supervise.place import Place
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import Node
from appliance.supervise.watchdog import Notifier, Watchdog, ping_interval
from appliance.telemetry.canary.service import CATEGORY as CANARIES
from appliance.telemetry.canary.service import RETENTION, Canary
from appliance.telemetry.logs import Logs
from appliance.telemetry.service import Telemetry
from appliance.telemetry.status import Status
from appliance.web.reach import shareable
from appliance.world import World

__all__ = ["Banner", "House", "Started"]

log = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started us wants to know, once the sockets accept."""

    name: str
    port: int
    urls: tuple[str, ...]
    data: Path
    test_mode: bool
    owner_token: str
    link: str  # opens as admin, once


Banner = Callable[[Started], Iterable[str]]


class House:
    """Every room, joined to the rooms it needs."""

    def __init__(
        self,
        loaded: Loaded,
        place: Place,
        engine: Engine,
        listeners: Sequence[socket.socket],
        *,
        logs: Logs,
        world: World,
        notifier: Notifier,
    ) -> None:
        settings = loaded.settings
        self._settings, self._place, self._logs, self._world = settings, place, logs, world
        self._notifier = notifier
        self._keeping = Keeping(settings)
        self._keeping.declared[CATEGORY] = settings.broadcast.retention or FOR_EVER
        self._keeping.declared[CANARIES] = RETENTION

        self.telemetry = Telemetry(
            lambda: self.bus.flushed(),
            lambda: self.bus.members,
            records=settings.telemetry.records,
            rate=settings.telemetry.rate,
            spans=ground.spans(settings),
            wall_us=world.wall_us,
        )
        self.log = Log(engine, world, self._publish, took=self.telemetry.wrote)
        self._rekeep(settings)
        self.passages = Passages()
        self.bus = Bus(
            self.log.events,
            self.log.head_position,
            self.log.oldest,
            blocks=settings.clients.ring,
            budget=settings.clients.budget,
            grace=settings.clients.grace,
            handed=lambda: self.passages.handed(world.wall_us()),
        )
        self.identity = Identity(
            self.log,
            world,
            run_folder=place.run,
            token=settings.token.reveal() if settings.token else "",
            relaxed=loaded.throwaway,
            signed=ground.signed_tokens(settings),
        )
        self.catalog = Catalog()
        self.clients = Manager(
            world,
            self.identity.verdict,
            limit=settings.clients.limit,
            per_address=settings.clients.per_address,
            per_subject=settings.clients.per_subject,
            watcher=self.telemetry,
        )
        self.door = Door(self.log, event_limit=settings.log.max_event)
        self.shelf = DeadLetters(self.log)
        vault = ground.vault(place)
        self.catalog.declare(RECEIVED)
        self.incoming = Incoming(self.log, self.door, vault, world, self._space)
        self.webhooks = ground.webhooks(
            settings, vault, self.log, self.catalog, world, self.shelf, self._tell, self._source
        )
        self.jobs = ground.jobs(
            settings,
            self.log,
            self.catalog,
            world,
            self._record,
            self.shelf,
            self._announce,
            self.bus.topics,
        )
        self.plugins = ground.plugins(
            loaded,
            self.log,
            self.door,
            self.bus,
            self.catalog,
            self.identity,
            world,
            self.jobs,
            self.shelf,
            self._keep,
            lambda gone, new: self.front.mount(gone, new),
        )
        self.backups = Backups(
            engine,
            world,
            place.data / "backups",
            config=loaded.file,
            every=settings.backup.every,
            keep=settings.backup.keep,
        )
        self.status = Status(
            ground.about(loaded, place, engine), world, counts=self._counts, tree=self._tree, plugins=self._plugins
        )
        self.naming = ground.naming(loaded, self.log, lambda: self.identity.namespace(DEFAULT).key)
        self.status.name = lambda: self.naming.name
        self.tls = ground.certificate(settings, place)
        cage = HouseCage(
            self.identity,
            self.door,
            world,
            self.bus.flushed,
            lambda: self.front.addresses,
            None if self.tls is None else self.tls.cert,
        )
        self.canary = Canary(cage, world, every=None if loaded.throwaway else settings.telemetry.canary)
        self.status.canary = lambda: self.canary.state
        self.front = front(self._rooms(world), listeners)
        self._reloader = Reloader(
            loaded,
            {"telemetry": self._retell, "log": self._rekeep, "backup": self._rebackup},
            (self.identity.reload, *((self.tls.reload,) if self.tls else ())),
            lambda path: settings.dev and self.plugins.watches(path),
        )
        watchdog = Watchdog(
            self._notifier,
            interval=ping_interval(os.environ, os.getpid()),
            alive=self._writer_answers,
            status=f"serving on port {self.front.port}",
        )
        self.supervisor = Supervisor("appliance", self._services(watchdog), world=world)

    def _services(self, watchdog: Watchdog) -> list[Child]:
        """Started top to bottom, each when the one before is ready; stopped bottom to top."""
        return [
            Child(self.log, OnCrash.EXIT),
            Child(self.bus, OnCrash.EXIT),
            Child(self.identity, OnCrash.EXIT),
            Child(self.clients, OnCrash.EXIT),
            Child(self.telemetry, OnCrash.RESTART),
            Child(self.plugins, OnCrash.RESTART),
            Child(self.jobs, OnCrash.RESTART),
            Child(self.backups, OnCrash.RESTART),
            Child(self.webhooks, OnCrash.RESTART),
            Child(self.incoming, OnCrash.RESTART),
            Child(self.front, OnCrash.EXIT, drain_grace=2 * self._settings.limits.drain),
            Child(self.canary, OnCrash.RESTART),
            Child(watchdog, OnCrash.EXIT),
        ]

    def welcome(self, banner: Banner) -> None:
        """The sockets accept: tell whoever waits for that."""
        urls = tuple(self.front.urls)
        self.status.urls = urls
        self._place.announce(urls)
        self._logs.announce(f"Listening on :{self.front.port}")
        started = Started(
            name=self.naming.name,
            port=self.front.port,
            urls=urls,
            data=self._place.data,
            test_mode=self._settings.test_mode,
            owner_token=self.identity.owner_token,
            link=self.identity.one_time_link(shareable(urls)),
        )
        for line in banner(started):
            self._logs.announce(line)
        if self._settings.test_mode:
            log.warning("test mode: not for anything you want to keep", relaxed=self.identity.relaxed)
        for note in self.log.recovery.notes:
            log.warning("while opening the log", note=note)

    async def reload(self) -> None:
        """Take the sources of the configuration into use as they are now."""
        with self._notifier.reloading():
            self._reloader.reload()

    def _rooms(self, world: World) -> Rooms:
        return Rooms(
            settings=self._settings,
            world=world,
            log=self.log,
            bus=self.bus,
            identity=self.identity,
            door=self.door,
            clients=self.clients,
            telemetry=self.telemetry,
            canary=self.canary,
            announce=self._announce,
            catalog=self.catalog,
            backups=self.backups,
            webhooks=self.webhooks,
            passages=self.passages,
            shelf=self.shelf,
            jobs=self.jobs,
            plugins=self.plugins,
            incoming=self.incoming,
            source=self._source,
            status=self.status,
            naming=self.naming,
            loaded=lambda: self._reloader.loaded,
            tls=self.tls,
            counts=self._counts,
            urls=lambda: self.front.urls,
        )

    # What the rooms are given

    def _announce(self, event: Event) -> None:
        self.telemetry.saw((event,))
        self.bus.announce(event)

    def _publish(self, events: Sequence[Event]) -> None:
        self.telemetry.saw(events)
        self.bus.publish(events)
        self.passages.published(events, self._world.wall_us(), awaited=self.bus.offering)
        self.webhooks.ring(events)
        self.jobs.ring(events)
        self.plugins.ring(events)

    async def _tell(self, namespace: int, draft: Draft) -> None:
        who = Principal(self._space(namespace), frozenset({WRITE}), subject="webhooks")
        await self.door.write(who, [labelled(draft, who, kind="system")])

    def _record(
        self, namespace: int, drafts: Sequence[Draft], changes: Sequence[StateChange]
    ) -> Pending[Sequence[Event]]:
        who = Principal(self._space(namespace), frozenset({WRITE}), subject="jobs")
        return self.door.write(who, drafts, changes=changes)

    def _source(self, namespace: int) -> str:
        return f"/namespaces/{quote(self._space(namespace).id, safe='')}"

    def _space(self, namespace: int) -> Namespace:
        """Raises NotFound."""
        found = next((space for space in self.identity.namespaces if space.key == namespace), None)
        if found is None:
            raise NotFound("the namespace does not exist any more")
        return found

    def _keep(self, category: str, seconds: float) -> None:
        self._keeping.declared[category] = seconds
        self._rekeep(self._reloader.loaded.settings)

    async def _writer_answers(self) -> bool:
        try:
            await self.log.control(lambda engine: None)
        except ApplianceError:  # a refusal is an answer
            log.debug("writer refuses", exc_info=True)
        return True

    def _tree(self) -> Sequence[Node]:
        return self.supervisor.branches()

    def _plugins(self) -> Sequence[dict[str, object]]:
        return [msgspec.to_builtins(one) for one in self.plugins.snapshot()]

    def _counts(self) -> Mapping[str, int]:
        return {
            **self.front.counts,
            "clients": len(self.clients),
            "subscribers": self.bus.members,
            "writes waiting": self.log.waiting,
            "log lines dropped": self._logs.dropped,
        }

    # What a reload changes

    def _retell(self, settings: Settings) -> None:
        shape = settings.telemetry
        self._logs.form, self._logs.level = shape.log, shape.level
        self.telemetry.records, self.telemetry.rate = shape.records, shape.rate

    def _rekeep(self, settings: Settings) -> None:
        self._keeping.configure(settings)
        self.log.retention.ages = self._keeping.ages
        self.log.retention.default = settings.log.retention

    def _rebackup(self, settings: Settings) -> None:
        self.backups.configure(every=settings.backup.every, keep=settings.backup.keep)
