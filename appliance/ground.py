"""What must be had before anything runs: the log's engine, the sockets, a certificate, and who we are."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack

from appliance import __version__
from appliance.auth.service import Identity
from appliance.auth.signed import SignedTokens
from appliance.auth.store import DEFAULT
from appliance.auth.vault import Vault, load_key
from appliance.bus import Bus
from appliance.config.load import Loaded
from appliance.config.schema import Settings
from appliance.dashboard.naming import Naming
from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.occasions import TYPES
from appliance.egress.webhooks.sender import Resolver
from appliance.egress.webhooks.service import Webhooks
from appliance.ingress.door import Door
from appliance.jobs.retry import Backoff
from appliance.jobs.service import Habits, Jobs
from appliance.jobs.transitions import Write
from appliance.log import Log
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Namespace
from appliance.model.letters import Shelf
from appliance.model.topic import Topic
from appliance.plugins.host import Host, Retain
from appliance.plugins.outside import Outside
from appliance.plugins.ports import Mount
from appliance.plugins.registry import Found, discover
from appliance.storage.ports import Engine
from appliance.storage.sqlite import SqliteEngine
from appliance.supervise.activation import inherited
from appliance.supervise.descriptors import enough_for
from appliance.supervise.place import Place
from appliance.supervise.watchdog import Notifier
from appliance.telemetry.redact import scrubbed
from appliance.telemetry.spans import Spans
from appliance.telemetry.status import About, Storage
from appliance.web.listen import listen
from appliance.web.reach import lan_addresses
from appliance.web.tls import Tls
from appliance.world import World

__all__ = [
    "about",
    "certificate",
    "engine",
    "jobs",
    "listeners",
    "naming",
    "plugins",
    "signed_tokens",
    "spans",
    "vault",
    "webhooks",
]


def engine(loaded: Loaded, place: Place, notifier: Notifier) -> Engine:
    settings = loaded.settings
    folder = place.data / settings.log_folder
    folder.mkdir(mode=0o700, exist_ok=True)
    return SqliteEngine.open(
        folder, durable=not loaded.throwaway, accept_loss=settings.accept_loss, waiting=notifier.wait_for_us
    )


def listeners(settings: Settings, held: ExitStack) -> list[socket.socket]:
    """The sockets the service manager passed, or those of the configuration."""
    enough_for(settings.front_limits.clients)
    found = inherited(os.environ, pid=os.getpid())
    if not found:
        for spec in settings.addresses:
            found += listen(spec)
    for listener in found:
        held.callback(listener.close)
    return found


def certificate(settings: Settings, place: Place) -> Tls | None:
    chosen = settings.tls
    if chosen.mode == "files" and chosen.cert and chosen.key:
        return Tls(chosen.cert, chosen.key)
    if chosen.mode == "auto":
        host = socket.gethostname()
        names = [f"{settings.shown_name}.local", f"{host}.local", host, *lan_addresses()]
        return Tls.auto(place.data / "tls", names)
    return None


def spans(settings: Settings) -> Spans | None:
    """Where steps of traces are told. Raises ConfigError: what sends them is not installed."""
    if not settings.telemetry.otlp:
        return None
    from appliance.telemetry.otel import otlp  # takes a while to load

    return otlp(settings.telemetry.otlp, name=settings.shown_name, version=__version__)


def signed_tokens(settings: Settings) -> SignedTokens:
    """Whose signed tokens are believed. Raises ConfigError: a key cannot be used."""
    if not settings.auth.keys:
        return SignedTokens()
    from appliance.auth.jose.keys import KeySource  # takes a while to load

    sources = [
        KeySource(
            name,
            key.alg,
            key.issuer or name,
            key.audience,
            key.secret.reveal() if key.secret else "",
            key.public_key,
            key.jwks,
        )
        for name, key in settings.auth.keys.items()
    ]
    return SignedTokens(sources, leeway=settings.auth.leeway, longest=settings.auth.longest)


def vault(place: Place) -> Vault:
    """Raises ConfigError: the key cannot be used."""
    return Vault(load_key(place.run, os.environ, secrets.token_bytes), secrets.token_bytes)


def webhooks(
    settings: Settings,
    vault: Vault,
    log: Log,
    catalog: Catalog,
    world: World,
    shelf: Shelf,
    tell: Callable[[int, Draft], Awaitable[None]],
    source: Callable[[int], str],
) -> Webhooks:
    """Who tells other systems of events. Raises ConfigError: a line of the list cannot be used."""
    chosen = settings.webhooks
    for type in TYPES:
        catalog.declare(type)
    return Webhooks(
        log,
        catalog,
        world,
        Guard(chosen.allow),
        vault,
        Resolver(),
        shelf,
        emit=tell,
        source=source,
        scrub=scrubbed,
        timeout=chosen.timeout,
        schedule=chosen.schedule,
        concurrency=chosen.concurrency,
    )


def plugins(
    loaded: Loaded,
    log: Log,
    door: Door,
    bus: Bus,
    catalog: Catalog,
    identity: Identity,
    world: World,
    queue: Jobs,
    shelf: Shelf,
    retain: Retain,
    mount: Mount,
) -> Host:
    """What runs the plugins there are. Raises ConfigError: a line of the list cannot be used."""
    settings = loaded.settings

    def spaces() -> list[Namespace]:
        home = identity.namespace(DEFAULT)
        return [home, *(space for space in identity.namespaces if space.key != home.key)]

    def found() -> list[Found]:
        now = loaded.again()
        return discover(now.settings.plugins, paths=now.settings.plugins_path, source=now.plugin_source)

    return Host(
        found,
        log=log,
        write=door.write,
        announce=bus.announce,
        spaces=spaces,
        catalog=catalog,
        retain=retain,
        mount=mount,
        outside=Outside(Guard(settings.webhooks.allow), Resolver()),
        world=world,
        jobs=queue,
        shelf=shelf,
    )


def jobs(
    settings: Settings,
    log: Log,
    catalog: Catalog,
    world: World,
    write: Write,
    shelf: Shelf,
    announce: Callable[[Event], None],
    topics: Callable[[], Iterable[Topic]],
) -> Jobs:
    """The queue of what is done later."""
    chosen = settings.jobs
    backoff = Backoff(
        chosen.retry_timeout,
        chosen.retry_rate_limited,
        chosen.retry_stale,
        chosen.retry_longest,
        chosen.retry_jitter / 100,
    )
    habits = Habits(
        chosen.concurrency,
        chosen.waiting,
        chosen.sweep,
        chosen.grace,
        chosen.keep,
        chosen.keep_count,
        backoff,
    )
    report = settings.events.queue_status
    return Jobs(log, catalog, world, write, shelf, habits, announce=announce, topics=topics, report=report)


def naming(loaded: Loaded, log: Log, space: Callable[[], int]) -> Naming:
    key = ("name",)
    origin = str(loaded.origin(key)) if loaded.given(key) else "default"
    return Naming(log, space, name=loaded.settings.shown_name, origin=origin)


def about(loaded: Loaded, place: Place, engine: Engine) -> About:
    found = engine.recovery
    return About(
        name=loaded.settings.shown_name,
        version=__version__,
        pid=os.getpid(),
        data=str(place.data.absolute()),
        test_mode=loaded.settings.test_mode,
        storage=Storage(engine.kind, found.events, found.verified, found.lost, list(found.notes)),
    )
