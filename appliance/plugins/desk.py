"""One running plugin's end of everything: what all calls of its handlers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import trio

from appliance.api import Log, Rejected
from appliance.model.event import Draft, Event
from appliance.model.jobs import JobOrder, Planned
from appliance.model.state import StateChange, StateCheck
from appliance.plugins.cause import Cause
from appliance.plugins.declared import Declarations
from appliance.plugins.encoding import encoded
from appliance.plugins.outside import Client
from appliance.plugins.ports import Ports
from appliance.plugins.state import owner_of
from appliance.plugins.threads import InThread

__all__ = ["Desk"]

C = TypeVar("C")

WRITES = 64  # of one plugin begun and not acknowledged; more wait their turn


@dataclass(frozen=True, slots=True)
class Desk(Generic[C]):
    """One running plugin's end of everything: what all its calls share."""

    declared: Declarations
    config: C
    log: Log
    ports: Ports
    threads: InThread
    http: Client
    folder: Path | None = None  # where its code is
    table: Mapping[str, Any] = field(default_factory=dict)  # its config as it was written
    turns: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(WRITES))

    @property
    def name(self) -> str:
        return self.declared.plugin.name

    async def write(
        self,
        cause: Cause,
        drafts: Sequence[Draft],
        *,
        key: str = "",
        fingerprint: bytes = b"",
        changes: Sequence[StateChange] = (),
        checks: Sequence[StateCheck] = (),
    ) -> Sequence[Event]:
        """Write for a cause, when it is this plugin's turn; the drafts are stamped."""
        async with _turn(self.turns):
            return await self.ports.write(
                cause.principal(self.name),
                drafts,
                key=f"{owner_of(self.name)}:{key}" if key else "",
                fingerprint=fingerprint,
                changes=changes,
                checks=checks,
            )

    def tell(self, cause: Cause, draft: Draft) -> Event:
        """Say an event that is not stored to whoever listens."""
        stamped, space = cause.stamped(draft, self.name), cause.space.key
        event = Event(
            namespace=space,
            stream=stamped.stream,
            type=stamped.type,
            position=-1,
            global_position=self.ports.log.head_position(space),
            id=stamped.id or self.new_id(),
            data=stamped.data,
            metadata=stamped.metadata,
            time=self.ports.world.wall_us(),
        )
        self.ports.announce(event)
        return event

    def order(
        self,
        cause: Cause,
        job: Callable[..., Any] | str,
        *,
        key: str,
        delay: float,
        priority: int | None,
        note_id: str,
        arguments: Mapping[str, Any],
        reason: str = "",
    ) -> JobOrder:
        """What to ask the queue for.

        Raises:
            Rejected: it does not take these arguments, or JSON cannot hold them.
        """
        type = self.declared.job_type(job)
        encoded(arguments, f"an argument of job {type}")
        if delay < 0:
            raise Rejected(f"job {type} cannot be due {-delay:g} s ago")
        return JobOrder(
            cause.space.key, type, arguments, cause.memory, note_id, key, priority, delay, cause.id or reason
        )

    async def plan(self, order: JobOrder) -> Planned:
        """Raises what `Jobs.plan` raises."""
        return await self.ports.jobs.plan(order)

    def new_id(self) -> str:
        return self.ports.world.new_id()


@asynccontextmanager
async def _turn(limiter: trio.CapacityLimiter) -> AsyncIterator[None]:
    """A place at the door, for this call: one task may hold several, of different plugins or of one."""
    place = object()
    await limiter.acquire_on_behalf_of(place)
    try:
        yield
    finally:
        limiter.release_on_behalf_of(place)
