"""Runs a plugin without a server: its services and consumers for real, on a log in memory.

    async def test_it_ticks_every_second(autojump_clock):
        async with harness(plugin, {"every": 1.0}) as rig:
            await rig.wait_for(Ticked)
            second = await rig.wait_for(Ticked)

        assert second.count == 1

    async def test_a_saved_note_is_found(autojump_clock):
        async with harness(plugin) as app:
            await app.request("PUT", "/api/v1/notes/1", json={"content": "hello"})
            await app.run_jobs()
            reply = await app.request("GET", "/api/v1/notes/1")

        assert reply.json()["summary"] == "hello"

Under Trio's mock clock nothing waits: threads are waited for without the clock, the generator is seeded, and the time
of day follows the clock. What goes wrong in the plugin comes out of the block, or of the call, as it is, for the test
to see.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog
import trio

from appliance.api import Plugin
from appliance.clock import MICROSECONDS
from appliance.config.strict import Source, closest
from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.sender import Resolver
from appliance.errors import ApplianceError, NotFound
from appliance.ids import uuid7
from appliance.ingress.door import Door
from appliance.ingress.labels import labelled
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event
from appliance.model.http import Request, problem
from appliance.model.principal import Principal
from appliance.plugins import loader, manifest
from appliance.plugins.border import Crash, contained, serve
from appliance.plugins.consumers import Consumers
from appliance.plugins.context import PluginContext
from appliance.plugins.declared import Declarations, examine
from appliance.plugins.desk import Desk
from appliance.plugins.handling import Handling
from appliance.plugins.outside import Outside
from appliance.plugins.ports import Ports
from appliance.plugins.reception import Reception
from appliance.plugins.registry import Found, decode_config
from appliance.plugins.stall import StallWatch
from appliance.plugins.workers import job_type
from appliance.supervise.tree import first_cause
from appliance.testing.memory_log import MemoryLog
from appliance.testing.queue import Queue
from appliance.testing.shelf import MemoryShelf
from appliance.web.limits import Limits
from appliance.web.router import Router
from appliance.world import RealWorld

__all__ = ["Reply", "Rig", "harness", "load"]

T = TypeVar("T")

BEGINNING = 1_767_225_600 * MICROSECONDS  # 2026-01-01; the harness's time of day starts here
PATIENCE = 60.0  # seconds of the test's clock until `wait_for` gives up
SETTLING = 0.01  # seconds of the test's clock between looks at the consumers
LOOK = 0.0005  # seconds between looks at a thread


def load(folder: Path) -> Plugin:
    """Import the plugin in `folder` as an appliance does: its modules are `appliance_plugins.NAME…` then."""
    return loader.load(folder, manifest.read(folder))


@asynccontextmanager
async def harness(plugin: Plugin | Path, config: object = None) -> AsyncIterator[Rig]:
    """Run the services and consumers of `plugin` while the block lasts.

    Args:
        plugin: what the module built, or the plugin's folder.
        config: a table as in the file, decoded as strictly; an instance of the plugin's config; None for its defaults.

    Raises:
        Misdeclared: the plugin could not be started by an appliance either.
        ConfigError: nor with this config.
    """
    folder = plugin if isinstance(plugin, Path) else None
    loaded = load(plugin) if isinstance(plugin, Path) else plugin
    declared = examine(loaded)
    rig = Rig(declared, _config(loaded, config), folder, config if isinstance(config, Mapping) else {})
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.consumers.run)
            for door, ask in declared.services:
                nursery.start_soon(serve, door, ask, rig.ctx.offers(), name=door.name)
            yield rig
            nursery.cancel_scope.cancel()
    except ExceptionGroup as group:
        cause = first_cause(group)
        if cause is group:
            raise
        raise cause from None


class Reply(msgspec.Struct, frozen=True):
    """What a route answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Rig:
    """A running plugin, and what it has done so far."""

    def __init__(self, declared: Declarations, config: Any, folder: Path | None, table: Mapping[str, Any]) -> None:
        self.stored: list[Event] = []  # as the log has them
        self.events: list[Any] = []  # the same, decoded: instances of the declared classes, others as dictionaries
        self.told: list[Any] = []  # those that are not stored
        self._world = _TestWorld()
        self._catalog = Catalog()
        for type in declared.event_types:
            self._catalog.declare(type, declared.plugin.name)
        self.log = MemoryLog(self._world, self._publish)
        self.jobs = Queue(self.log, self._world)
        self.shelf = MemoryShelf()
        self._declared = declared
        self._kinds = {kind.type.name: kind for kind in declared.kinds.values()}
        self._seen: dict[str, int] = {}  # type -> how many of `events` its waits have passed
        self._news = trio.Event()
        self._crash: Exception | None = None
        self._letters = 0  # of the shelf's that were raised
        self._router = Router((), authenticate=self._caller, limits=Limits())
        ports = Ports(
            self._world,
            StallWatch(),
            self.log,
            Door(self.log).write,
            self._tell,
            lambda: self.log.spaces,
            self._catalog,
            lambda plugin, retention: None,
            self._router.mount,
            Outside(Guard(), Resolver()),
            self.jobs,
            self.shelf,
        )
        line = structlog.get_logger("plugin").bind(plugin=declared.plugin.name)
        client = ports.outside.client(config)
        self._desk: Desk[Any] = Desk(declared, config, line, ports, _patiently, client, folder, table)
        self.ctx: PluginContext[Any] = PluginContext.at_large(self._desk)
        self.consumers = Consumers([Handling(one, self._desk, self._failed) for one in declared.consumers], self._desk)
        for work in declared.jobs:
            self.jobs.register(job_type(work, self._desk, self._failed))
        reception = Reception(declared.plugin.name, lambda: self._desk, Crash, self._failed)
        self._router.mount((), [reception.route(door, ask) for door, ask in declared.routes])

    @property
    def refusal(self) -> Exception | None:
        """Raised by every write while it is set, as by a log that takes none."""
        return self.log.refusal

    @refusal.setter
    def refusal(self, refusal: Exception | None) -> None:
        self.log.refusal = refusal

    # -- asking -----------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        scopes: Sequence[str] = ("read", "write", "delete", "admin"),
        memories: Sequence[str] = (),
        subject: str = "tester",
    ) -> Reply:
        """Ask one of the plugin's routes, as somebody with these rights.

        Args:
            target: path and query.

        Raises:
            whatever the handler raised, if it is no error of `appliance.api`'s.
        """
        parts = urlsplit(target)
        content = msgspec.json.encode(json) if json is not None else body
        lines = {name.lower(): value for name, value in (headers or {}).items()}
        who = Principal(self.log.default, frozenset(scopes), subject, memories=frozenset(memories))
        request = Request(method.upper(), parts.path, parts.query, lines, content, request_id="test", principal=who)
        plan = self._router.plan(request.method, request.path)
        request.params = plan.params
        self._crash = None
        try:
            begun = plan.begin(request)
            answer: Any = await begun if hasattr(begun, "__await__") else begun
        except ApplianceError as error:
            if self._crash is not None:
                raise self._crash from None
            answer = problem(error, request.request_id)
        return Reply(answer.status, answer.body, dict(answer.headers))

    async def emit(
        self, event: object, data: Mapping[str, Any] | None = None, *, stream: str = "", memory: str = ""
    ) -> Event:
        """Write an event as somebody else would: an instance of a declared class, or a type's name with its data."""
        if isinstance(event, str):
            draft = Draft(stream or f"{event}-1", event, msgspec.json.encode(data or {}).decode())
        else:
            draft = self._declared.draft(event)
        who = Principal(self.log.default, subject="tester")
        (stored,) = await Door(self.log).write(who, [labelled(draft, who, memory=memory)])
        return stored

    async def act(self, name: str, /, event: Any = None, **arguments: Any) -> Any:
        """Ask for an action; what it gives."""
        if name not in self._declared.actions:
            raise NotFound(f"the plugin declares no action {name!r}", hint=closest(name, self._declared.actions))
        _, ask = self._declared.actions[name]
        ask.check(arguments)
        return await contained(ask, self.ctx.offers(event=event), arguments)

    async def settle(self) -> None:
        """Wait until the consumers have dealt with all events, retries and all. What one gave up is raised."""
        while any(one.lag for one in self.consumers.status()):  # noqa: ASYNC110 - a look is a value, nothing to wait for
            await trio.sleep(SETTLING)
        if len(self.shelf.letters) > self._letters and self._crash is not None:
            self._letters, crash = len(self.shelf.letters), self._crash
            raise crash

    async def run_jobs(self) -> list[Any]:
        """Run what is queued until nothing is left, with all retries, and what comes of it; the results in order.

        A job or a consumer that fails for good is raised.
        """
        results: list[Any] = []
        await self.settle()
        while self.jobs.waiting:
            results += await self.jobs.run_all()
            await self.settle()
        return results

    async def wait_for(self, event: type[T] | str, *, within: float = PATIENCE) -> T:
        """The next event of this type that no earlier wait has returned.

        Raises:
            trio.TooSlowError: none came `within` so many seconds of the test's clock.
        """
        name = event if isinstance(event, str) else event.__name__
        if name not in self._kinds:
            raise NotFound(f"the plugin declares no event {name}", hint=closest(name, self._kinds))
        with trio.fail_after(within):
            while True:
                for n in range(self._seen.get(name, 0), len(self.stored)):
                    if self.stored[n].type == name:
                        self._seen[name] = n + 1
                        found: T = self.events[n]
                        return found
                self._news = trio.Event()
                await self._news.wait()

    async def panel(self, title: str) -> Mapping[str, Any]:
        """What a declared panel shows now. What it raises comes out."""
        panels = {door.title: ask for door, ask in self._declared.panels}
        if title not in panels:
            raise NotFound(f"the plugin declares no panel {title!r}", hint=closest(title, panels))
        values: Mapping[str, Any] = await contained(panels[title], self.ctx.offers())
        return values

    # -- inside -----------------------------------------------------------------------------

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            self.stored.append(event)
            self.events.append(self._decoded(event))
        self.jobs.ring(events)
        spaces, types = frozenset([event.namespace for event in events]), frozenset([event.type for event in events])
        self.consumers.ring(spaces, types)
        self._news.set()

    def _tell(self, event: Event) -> None:
        self.told.append(self._decoded(event))

    def _decoded(self, event: Event) -> Any:
        kind = self._kinds.get(event.type)
        return msgspec.json.decode(event.data) if kind is None else kind.decode(event.data)

    def _caller(self, request: Request) -> Principal:
        assert request.principal is not None  # `request` made it
        return request.principal

    def _failed(self, what: str, error: Exception) -> None:
        self._crash = error


class _TestWorld(RealWorld):
    """Seeded, and with a time of day that follows Trio's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(0)  # noqa: S311 - the same in every run
        self._begin = trio.current_time()
        self._ids = (0, 0)  # microsecond of the newest, and how many it had before

    def wall_us(self) -> int:
        return BEGINNING + round((trio.current_time() - self._begin) * MICROSECONDS)

    def new_id(self) -> str:
        """Time stands still between two of them, and their order must not."""
        now, (last, before) = self.wall_us(), self._ids
        self._ids = (now, before + 1 if now == last else 0)
        return uuid7(now + self._ids[1], self.rng.randbytes(8))


def _config(plugin: Plugin, config: object) -> Any:
    if isinstance(config, plugin.config):
        return config
    if not isinstance(config, Mapping | None):
        raise TypeError(f"a config is a table or a {plugin.config.__name__}, not {type(config).__name__}")
    place = Source(prefix=f"plugins.{plugin.name}")
    return decode_config(Found(plugin.name, None, None, table=config or {}, source=place), plugin.config)


async def _patiently(work: Callable[[], T], /) -> T:
    """Run it in a thread, and be never idle meanwhile: a mock clock would jump."""
    done: list[T] = []
    trouble: list[BaseException] = []

    async def aside() -> None:
        try:
            done.append(await trio.to_thread.run_sync(work))
        except Exception as error:  # noqa: BLE001 - handed on below
            trouble.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(aside)
        while not (done or trouble):
            time.sleep(LOOK)  # noqa: ASYNC251 - the loop must not be idle, and need not burn
            await trio.lowlevel.checkpoint()
    if trouble:
        raise trouble[0]
    return done[0]
