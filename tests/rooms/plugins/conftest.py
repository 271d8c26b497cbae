"""A host with plugins written on the spot, and a log that only remembers."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio

from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.sender import Resolver
from appliance.ingress.door import Door
from appliance.model.catalog import Catalog
from appliance.model.event import Event, Namespace
from appliance.model.http import Request, Response
from appliance.model.principal import Principal
from appliance.plugins.host import Host
from appliance.plugins.outside import Outside
from appliance.plugins.registry import discover
from appliance.plugins.status import PluginStatus
from appliance.supervise.restarts import Limits
from appliance.testing.memory_log import MemoryLog
from appliance.testing.queue import Queue
from appliance.testing.shelf import MemoryShelf
from appliance.web.limits import Limits as WebLimits
from appliance.web.router import Router, failure
from appliance.world import RealWorld


class Ledger:
    """A log in memory that remembers when things were written."""

    def __init__(self, world: RealWorld) -> None:
        self.events: list[Event] = []
        self.times: list[float] = []
        self.told: list[Event] = []
        self.news = trio.Event()
        self.log = MemoryLog(world, self.publish)
        self.door = Door(self.log)
        self.followers: list[Callable[[Sequence[Event]], None]] = []

    @property
    def refusal(self) -> Exception | None:
        return self.log.refusal

    @refusal.setter
    def refusal(self, refusal: Exception | None) -> None:
        self.log.refusal = refusal

    def publish(self, events: Sequence[Event]) -> None:
        self.events += events
        self.times += [trio.current_time()] * len(events)
        self.news.set()
        for follower in self.followers:
            follower(events)

    async def first(self, type: str) -> Event:
        while not (found := self.of(type)):
            self.news = trio.Event()
            await self.news.wait()
        return found[0]

    def of(self, type: str) -> list[Event]:
        return [event for event in self.events if event.type == type]


@dataclass
class Running:
    host: Host
    ledger: Ledger
    retained: list[tuple[str, float]]
    catalog: Catalog
    router: Router
    queue: Queue
    shelf: MemoryShelf

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        """As the front asks; header `scopes` says who."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        plan = self.router.plan(method, path)
        request = Request(method, path, "", lines, body, request_id="r-1", params=plan.params)
        try:
            begun = plan.begin(request)
            return begun if isinstance(begun, Response) else await begun
        except Exception as error:  # noqa: BLE001 - as the lanes do
            return failure(error, request)

    @property
    def space(self) -> Namespace:
        return self.ledger.log.default

    def module(self, name: str) -> ModuleType:
        return sys.modules[f"appliance_plugins.{name}"]

    def status(self, name: str) -> PluginStatus:
        return next(one for one in self.host.snapshot() if one.name == name)

    async def until(self, name: str, state: str) -> PluginStatus:
        with trio.fail_after(120):
            while self.status(name).state != state:  # noqa: ASYNC110 - a snapshot is a value, nothing to wait for
                await trio.sleep(0.01)
        return self.status(name)


def caller(request: Request) -> Principal:
    space = Namespace(1, "default")
    return Principal(space, frozenset(request.headers.get("scopes", "read write delete").split()), "anna")


Hosting = Callable[..., AbstractAsyncContextManager[Running]]
Writing = Callable[..., Path]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    return folder


@pytest.fixture
def write(shelf: Path) -> Writing:
    """Write a plugin: a body, or only its services, panels and events below the usual beginning."""

    def write(name: str, body: str, *, manifest: str = "", bare: bool = False) -> Path:
        folder = shelf / name
        folder.mkdir(exist_ok=True)
        (folder / "plugin.toml").write_text(manifest or f'name = "{name}"\nversion = "1.0"\napi = 1\n')
        beginning = "" if bare else f'import time\nfrom appliance.api import *\nplugin = Plugin("{name}")\n'
        (folder / "plugin.py").write_text(beginning + textwrap.dedent(body))
        return folder

    return write


@pytest.fixture
def hosting(shelf: Path) -> Hosting:
    @asynccontextmanager
    async def hosting(
        tables: Mapping[str, Mapping[str, Any]] | None = None, *, own: Path = shelf, **limits: Any
    ) -> AsyncIterator[Running]:
        world, retained, catalog = RealWorld(), [], Catalog()
        ledger = Ledger(world)
        queue, shelf = Queue(ledger.log, world), MemoryShelf()
        ledger.followers.append(queue.ring)
        router = Router((), authenticate=caller, limits=WebLimits())
        host = Host(
            lambda: discover(tables or {}, own=own),
            log=ledger.log,
            write=ledger.door.write,
            announce=ledger.told.append,
            spaces=lambda: ledger.log.spaces,
            catalog=catalog,
            retain=lambda category, seconds: retained.append((category, seconds)),
            mount=router.mount,
            outside=Outside(Guard(["127.0.0.1"]), Resolver()),
            world=world,
            jobs=queue,
            shelf=shelf,
            limits=Limits(**{"budget": 2, **limits}),
        )
        ledger.followers.append(host.ring)
        async with trio.open_nursery() as nursery:
            await nursery.start(host.run)
            yield Running(host, ledger, retained, catalog, router, queue, shelf)
            await host.drain()
            nursery.cancel_scope.cancel()

    return hosting
