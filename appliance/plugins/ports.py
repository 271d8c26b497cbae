"""What plugins are joined to: the rooms below, as the host is given them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Namespace, Query
from appliance.model.http import Route
from appliance.model.jobs import Jobs
from appliance.model.letters import Shelf
from appliance.model.principal import Principal
from appliance.model.state import StateChange, StateCheck
from appliance.plugins.outside import Outside
from appliance.plugins.stall import StallWatch
from appliance.storage.ports import Reader
from appliance.supervise.restarts import Limits
from appliance.world import World

__all__ = ["Mount", "Ports", "Records", "Write"]

T = TypeVar("T")

Mount = Callable[[Sequence[Route], Sequence[Route]], None]  # takes some away, brings others; raises ValueError: taken


class Records(Protocol):
    """Reading the log and what is kept beside it."""

    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    async def events(self, query: Query) -> list[Event]: ...

    async def find(self, namespace: int, id: str) -> Event | None: ...

    def head_position(self, namespace: int) -> int: ...


class Write(Protocol):
    """The door: all or nothing, on disk and published when it is awaited."""

    def __call__(
        self,
        who: Principal,
        drafts: Sequence[Draft],
        *,
        key: str = "",
        fingerprint: bytes = b"",
        changes: Sequence[StateChange] = (),
        checks: Sequence[StateCheck] = (),
    ) -> Awaitable[Sequence[Event]]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What every plugin is joined to."""

    world: World
    watch: StallWatch
    log: Records
    write: Write
    announce: Callable[[Event], None]  # tells whoever listens of an event that is not stored
    spaces: Callable[[], Sequence[Namespace]]  # those there are; the first is `default`
    catalog: Catalog
    retain: Callable[[str, Mapping[str, float]], None]  # (plugin, {category: seconds}); raises to refuse the plugin
    mount: Mount
    outside: Outside
    jobs: Jobs
    shelf: Shelf
    limits: Limits = field(default_factory=Limits)  # of each service
