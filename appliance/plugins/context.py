"""The appliance as one call of one plugin sees it: `appliance.api.Context`, joined to whoever runs the plugin."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import trio

from appliance.api import Conflict, Log, Receipt
from appliance.clock import stamp
from appliance.model.event import Event
from appliance.plugins.cause import Cause
from appliance.plugins.desk import Desk
from appliance.plugins.outside import Client
from appliance.plugins.state import Kept, owner_of
from appliance.plugins.transaction import Work

__all__ = ["PluginContext"]

C = TypeVar("C")
T = TypeVar("T")

TRIES = 10  # of an order that somebody else's order crossed


@dataclass(frozen=True, slots=True)
class PluginContext(Generic[C]):
    """What handlers get as `ctx`."""

    desk: Desk[C]
    cause: Cause

    @classmethod
    def at_large(cls, desk: Desk[C]) -> PluginContext[C]:
        """For what nobody asked for: in namespace `default`."""
        return cls(desk, Cause(desk.ports.spaces()[0]))

    @property
    def config(self) -> C:
        return self.desk.config

    @property
    def log(self) -> Log:
        return self.desk.log

    @property
    def rng(self) -> random.Random:
        return self.desk.ports.world.rng

    @property
    def http(self) -> Client:
        return self.desk.http

    @property
    def memory(self) -> str:
        return self.cause.memory

    @property
    def namespace(self) -> str:
        return self.cause.space.id

    @property
    def kept(self) -> Kept:
        """What the plugin keeps in this namespace."""
        return Kept(self.desk.ports.log, self.cause.space.key, owner_of(self.desk.name))

    async def get(self, key: str) -> Any:
        return await self.kept.get(key)

    async def list(
        self,
        prefix: str = "",
        *,
        where: Mapping[str, str] | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[tuple[str, Any]]:
        """See `appliance.api.State.list`."""
        return await self.kept.list(prefix, where=where, after=after, limit=limit, newest_first=newest_first)

    async def count(self, prefix: str = "", *, where: Mapping[str, str] | None = None) -> int:
        return await self.kept.count(prefix, where=where)

    async def emit(self, event: object) -> Receipt:
        """See `appliance.api.Context.emit`."""
        draft = self.desk.declared.draft(event)
        if not self.desk.declared.kind(event).door.stored:
            await trio.lowlevel.checkpoint()
            return _receipt(self.desk.tell(self.cause, draft))
        (stored,) = await self.desk.write(self.cause, [self.cause.stamped(draft, self.desk.name)])
        return _receipt(stored)

    @asynccontextmanager
    async def transaction(self, *, key: str = "") -> AsyncIterator[Work]:
        """See `appliance.api.Context.transaction`."""
        work = Work(self.desk, self.kept, self.cause, key)
        yield work
        await work.commit()

    async def enqueue(
        self,
        job: Callable[..., Any] | str,
        /,
        *,
        key: str = "",
        delay: float = 0.0,
        priority: int | None = None,
        note_id: str = "",
        **arguments: Any,
    ) -> str:
        """See `appliance.api.Context.enqueue`."""
        for left in reversed(range(TRIES)):
            work = Work(self.desk, self.kept, self.cause, "")
            id = await work.enqueue(job, key=key, delay=delay, priority=priority, note_id=note_id, **arguments)
            try:
                await work.commit()
            except Conflict:
                if not left:
                    raise
            else:
                return id
        raise AssertionError  # the last try returned or raised

    def new_id(self) -> str:
        return self.desk.new_id()

    def now(self) -> float:
        return self.desk.ports.world.now()

    def wall(self) -> str:
        return stamp(self.desk.ports.world.wall_us())

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def run_in_thread(self, work: Callable[[], T]) -> T:
        return await self.desk.threads(work)

    def offers(self, **more: Any) -> dict[str, Any]:
        """What a handler may ask for, by name."""
        return {"ctx": self, "config": self.config, "log": self.log, **more}


def _receipt(event: Event) -> Receipt:
    return Receipt(event.id, event.stream, event.position, event.global_position)
