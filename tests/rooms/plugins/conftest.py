"""A host with plugins written on the spot, and a log that only remembers."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event
from appliance.plugins.host import Host, PluginStatus
from appliance.plugins.registry import discover
from appliance.supervise.restarts import Limits
from appliance.world import RealWorld


@dataclass
class Ledger:
    """Remembers what plugins emit, and when."""

    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refusal: Exception | None = None
    news: trio.Event = field(default_factory=trio.Event)

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        await trio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        stored = [self._stored(draft, n) for n, draft in enumerate(drafts, len(self.events))]
        self.events += stored
        self.times += [trio.current_time()] * len(stored)
        self.news.set()
        return stored

    async def first(self, type: str) -> Event:
        while not (found := self.of(type)):
            self.news = trio.Event()
            await self.news.wait()
        return found[0]

    def of(self, type: str) -> list[Event]:
        return [event for event in self.events if event.type == type]

    def _stored(self, draft: Draft, n: int) -> Event:
        return Event(1, draft.stream, draft.type, n, n + 1, f"id-{n}", draft.data, None, 0)


@dataclass
class Running:
    host: Host
    ledger: Ledger
    retained: list[tuple[str, float]]
    catalog: Catalog

    def status(self, name: str) -> PluginStatus:
        return next(one for one in self.host.snapshot() if one.name == name)

    async def until(self, name: str, state: str) -> PluginStatus:
        with trio.fail_after(120):
            while self.status(name).state != state:  # noqa: ASYNC110 - a snapshot is a value, nothing to wait for
                await trio.sleep(0.01)
        return self.status(name)


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
        ledger, retained, catalog = Ledger(), [], Catalog()
        host = Host(
            discover(tables or {}, own=own),
            emit=ledger.append,
            retain=lambda category, seconds: retained.append((category, seconds)),
            world=RealWorld(),
            declare=catalog.declare,
            limits=Limits(**{"budget": 2, **limits}),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(host.run)
            yield Running(host, ledger, retained, catalog)
            await host.drain()
            nursery.cancel_scope.cancel()

    return hosting
