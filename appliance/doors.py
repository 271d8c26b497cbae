"""Every way in: the one table of routes and WebSockets, joined to the rooms behind them.

Reading `Doors` from top to bottom is reading what the appliance serves.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from appliance import __version__
from appliance.auth.oauth.routes import oauth_routes
from appliance.auth.passes import pass_routes
from appliance.auth.rights import memories_for
from appliance.auth.routes import token_routes, welcome_routes
from appliance.auth.service import Identity
from appliance.auth.store import DEFAULT
from appliance.bus import Bus
from appliance.config.load import Loaded
from appliance.config.routes import config_route
from appliance.config.schema import Settings
from appliance.dashboard.naming import Naming
from appliance.dashboard.routes import dashboard_routes
from appliance.egress.broadcast.routes import channel_routes
from appliance.egress.broadcast.seats import Seats
from appliance.egress.broadcast.service import Broadcast
from appliance.egress.clients.routes import clients_routes
from appliance.egress.clients.service import Manager
from appliance.egress.dead_letters.routes import dead_letter_routes
from appliance.egress.dead_letters.service import DeadLetters
from appliance.egress.envelope import envelope
from appliance.egress.sse.events import EventStream
from appliance.egress.sse.subscribe import Subscribe
from appliance.egress.webhooks.preview import Preview
from appliance.egress.webhooks.routes import webhook_routes
from appliance.egress.webhooks.service import Webhooks
from appliance.egress.webhooks.showing import Showing
from appliance.egress.webhooks.snippets import SNIPPETS
from appliance.egress.webhooks.why import webhooks_why
from appliance.egress.websocket.eventing import Eventing
from appliance.egress.websocket.tail import Tail
from appliance.ingress.broadcast import Broadcasts
from appliance.ingress.door import Door
from appliance.ingress.events import Events
from appliance.ingress.incoming.routes import incoming_routes
from appliance.ingress.incoming.service import Incoming
from appliance.ingress.labels import labelled
from appliance.ingress.passages import Passages
from appliance.ingress.routes import message_store_routes
from appliance.jobs.routes import job_routes
from appliance.jobs.service import Jobs
from appliance.jobs.why import jobs_why
from appliance.log import Log
from appliance.model.catalog import Catalog
from appliance.model.channels import ChannelRule, ruled
from appliance.model.event import Event
from appliance.model.http import Request, Route, SocketRoute
from appliance.model.jobs import Planned
from appliance.model.legs import Leg, Why
from appliance.model.principal import READ, WRITE, Principal
from appliance.plugins.host import Host
from appliance.plugins.management import plugin_routes
from appliance.storage.schedule import Backups, backup_routes
from appliance.telemetry.canary.service import Canary
from appliance.telemetry.gauges import (
    canary_readings,
    event_readings,
    readings,
    stream_readings,
    webhook_readings,
)
from appliance.telemetry.health import Health
from appliance.telemetry.service import Telemetry
from appliance.telemetry.spans import around
from appliance.telemetry.status import Status
from appliance.web import asyncapi, openapi
from appliance.web.asyncapi import asyncapi_route
from appliance.web.consent import consent_page
from appliance.web.front import Front
from appliance.web.landing import Landing
from appliance.web.live import ENDPOINTS
from appliance.web.metrics import metrics_route
from appliance.web.openapi import openapi_route
from appliance.web.reach import shareable
from appliance.web.tls import Tls
from appliance.world import World

__all__ = ["Rooms", "front"]


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the doors lead to."""

    settings: Settings
    world: World
    log: Log
    bus: Bus
    identity: Identity
    door: Door
    clients: Manager
    telemetry: Telemetry
    canary: Canary
    announce: Callable[[Event], None]  # an ephemeral event, to whoever listens
    catalog: Catalog
    backups: Backups
    webhooks: Webhooks
    passages: Passages
    shelf: DeadLetters
    jobs: Jobs
    plugins: Host
    incoming: Incoming
    source: Callable[[int], str]  # of a namespace, for CloudEvents
    status: Status
    naming: Naming
    loaded: Callable[[], Loaded]  # the configuration in force
    tls: Tls | None
    counts: Callable[[], Mapping[str, int]]
    urls: Callable[[], Sequence[str]]


def front(rooms: Rooms, listeners: Sequence[socket.socket]) -> Front:
    """The front that serves all of it. The listeners are its own from here on."""
    doors = Doors(rooms)
    return Front(
        listeners,
        doors.routes,
        doors.sockets,
        authenticate=rooms.identity.authenticate,
        limits=rooms.settings.front_limits,
        world=rooms.world,
        tls=rooms.tls.context if rooms.tls else None,
        registry=doors.registry,
        origins=rooms.settings.clients.origins,
        around=None if rooms.telemetry.spans is None else partial(around, rooms.telemetry.spans),
    )


class Doors:
    """The routes, the WebSockets, and what they count."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.registry = CollectorRegistry()
        self.registry.register(readings(rooms.log, rooms.bus, rooms.clients, rooms.settings.clients.limit))
        self.registry.register(event_readings(rooms.telemetry))
        self.registry.register(canary_readings(rooms.canary.ledger))
        self.registry.register(webhook_readings(rooms.webhooks))
        self.seats = Seats()
        rules = rooms.settings.broadcast.rules
        self.may = ruled({name: ChannelRule(rule.read, rule.write) for name, rule in rules.items()})
        self.sockets = self._live_sockets()
        self.routes = [*self._message_store(), *self._live_streams(), *self._management()]
        self.routes += self._about_itself()

    def _message_store(self) -> list[Route]:
        rooms = self._rooms
        subscribe = Subscribe(rooms.bus, rooms.clients, rooms.identity.guarded, rooms.log.head, rooms.log.head_position)
        return [
            *message_store_routes(
                rooms.identity,
                rooms.door,
                rooms.log,
                rooms.world,
                self.registry,
                backend=lambda: rooms.log.kind,
                connections=lambda: len(rooms.clients),
                rpc_limit=rooms.settings.front_limits.rpc_body,
            ),
            subscribe.route(),
        ]

    def _live_sockets(self) -> list[SocketRoute]:
        rooms, clients = self._rooms, self._rooms.settings.clients
        tail = Tail(
            rooms.bus,
            rooms.clients,
            rooms.log.head,
            rooms.log.newest,
            heartbeat=clients.heartbeat,
            dead_after=clients.dead_after,
        )
        eventing = Eventing(
            rooms.bus,
            rooms.catalog,
            rooms.clients,
            rooms.world,
            rooms.jobs.status,
            memories_for,
            rooms.log.find,
            rooms.log.head_position,
            passing=rooms.jobs.passing,
            heartbeat=clients.heartbeat,
            dead_after=clients.dead_after,
        )
        return [*eventing.routes(), self._broadcast_socket(), tail.route()]

    def _broadcast_socket(self) -> SocketRoute:
        rooms, settings = self._rooms, self._rooms.settings.broadcast
        return Broadcast(
            rooms.bus,
            rooms.log,
            self.seats,
            rooms.clients,
            rooms.catalog,
            rooms.identity.visitor,
            memories_for,
            stranger=self._stranger if settings.anonymous else None,
            may=self.may,
            heartbeat=settings.heartbeat,
            dead_after=settings.dead_after,
            channels=settings.channels,
            frames=settings.frames,
        ).route()

    def _stranger(self) -> Principal:
        """Who listens to channels without a token, where that is allowed: nobody whom a limit per caller counts."""
        return Principal(self._rooms.identity.namespace(DEFAULT), frozenset({READ}))

    def _tester(self, request: Request) -> Principal:
        """Who writes to channels over the test route: the holder of a token, if one is shown."""
        identity = self._rooms.identity
        return identity.visitor(request) or Principal(identity.namespace(DEFAULT), frozenset({WRITE}), subject="test")

    def _channels(self) -> list[Route]:
        rooms = self._rooms
        sending = Broadcasts(rooms.door, self.seats, rooms.bus.flushed, rooms.world.new_id, may=self.may)
        return [
            sending.route(),
            *channel_routes(self.seats, rooms.log.reading, may=self.may),
            *([sending.test_route(self._tester)] if rooms.settings.broadcast.test_route else ()),
        ]

    def _live_streams(self) -> list[Route]:
        rooms, settings = self._rooms, self._rooms.settings
        stream = EventStream(
            rooms.bus,
            rooms.catalog,
            rooms.clients,
            memories_for,
            rooms.log.find,
            rooms.log.head_position,
            passing=rooms.jobs.passing,
            names=settings.events.names,
            coalesce=settings.events.coalesce,
            heartbeat=settings.clients.heartbeat,
        )
        self.registry.register(stream_readings(stream.counts))
        health = Health(
            __version__,
            rooms.log,
            state=lambda: rooms.status.state,
            streams=stream.counts,
            paused=lambda: rooms.jobs.desk.paused(rooms.identity.namespace(DEFAULT).key, None)[0],
            auth_required=not rooms.identity.relaxed,
        )
        events = Events(
            rooms.door,
            rooms.catalog,
            rooms.log,
            rooms.world,
            find=rooms.log.find,
            announce=rooms.announce,
            render=lambda event: envelope(event, rooms.catalog.view(event), settings.events.names),
            whys=self._whys(),
            passage=rooms.passages.of,
        )
        return [
            *stream.routes(),
            *health.routes(),
            *rooms.canary.routes(),
            *events.routes(),
            *self._channels(),
            *clients_routes(rooms.clients),
        ]

    def _whys(self) -> list[Why]:
        """Who can say what became of an event, in the order in which it is told."""
        rooms = self._rooms

        async def clients(who: Principal, event: Event) -> list[Leg]:
            passage = rooms.passages.of(event)
            return await rooms.clients.why(who, event, 0 if passage is None else passage.handed)

        return [
            clients,
            webhooks_why(rooms.webhooks.entries, rooms.webhooks.store, rooms.catalog, rooms.world),
            rooms.plugins.why,
            jobs_why(rooms.jobs.store, rooms.catalog, lambda type: rooms.jobs.kinds.find(type) is not None),
        ]

    def _management(self) -> list[Route]:
        rooms = self._rooms
        return [
            *token_routes(rooms.identity),
            *pass_routes(rooms.identity, rooms.world),
            *oauth_routes(rooms.identity, rooms.world),
            consent_page(),
            *welcome_routes(rooms.identity, lambda: shareable(rooms.urls())),
            *backup_routes(rooms.backups),
            # before those whose templates fit its paths
            *incoming_routes(rooms.incoming, body_limit=rooms.settings.incoming.max_body),
            *webhook_routes(
                rooms.webhooks,
                Showing(rooms.webhooks.store, rooms.catalog, rooms.log.find, rooms.source),
                Preview(rooms.catalog, rooms.log.find, rooms.source),
                rooms.log,
            ),
            *dead_letter_routes(rooms.shelf),
            *plugin_routes(rooms.plugins),
            *job_routes(rooms.jobs, rooms.log, self._queue, self._enveloped),
            *(rooms.tls.routes() if rooms.tls else ()),
        ]

    async def _queue(
        self, who: Principal, planned: Planned, memory: str, key: str, fingerprint: bytes
    ) -> Sequence[Event]:
        """Write what a caller asks to be done."""
        drafts = [labelled(draft, who, memory=memory) for draft in planned.drafts]
        return await self._rooms.door.write(who, drafts, key=key, fingerprint=fingerprint, changes=planned.changes)

    def _enveloped(self, event: Event) -> str:
        return envelope(event, self._rooms.catalog.view(event), self._rooms.settings.events.names)

    def _about_itself(self) -> list[Route]:
        rooms, naming = self._rooms, self._rooms.naming
        landing = Landing(rooms.counts, self.routes, self.sockets, name=lambda: naming.name, version=__version__)
        return [
            *dashboard_routes(SNIPPETS),
            *rooms.naming.routes(),
            config_route(rooms.loaded),
            rooms.status.route(),
            metrics_route(self.registry, rooms.world),
            openapi_route(
                lambda: openapi.document(
                    [*self.routes, *rooms.plugins.routes], self.sockets, title=naming.name, version=__version__
                ),
                lambda: rooms.plugins.routes,
            ),
            asyncapi_route(
                rooms.catalog,
                lambda: asyncapi.document(rooms.catalog, ENDPOINTS, title=naming.name, version=__version__),
            ),
            landing.route(),
        ]
