"""The seams: how rooms meet without knowing each other. `app.py` joins them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

import trio

from appliance.model.event import Event, Head, Page, Query, Unit

__all__ = ["Append", "Pending", "Publish", "Read", "Service"]

T_co = TypeVar("T_co", covariant=True)


class Service(Protocol):
    """A supervised part of the process.

    `run` lasts until cancelled (returning is a bug) and calls `task_status.started()` when it is *ready*.
    `drain` finishes what is in flight and takes nothing new; cancellation follows.
    """

    @property
    def name(self) -> str: ...

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None: ...

    async def drain(self) -> None: ...


class Pending(Protocol[T_co]):
    """Something begun: await it for the result. Cancelling the wait does not cancel the work."""

    def __await__(self) -> Generator[Any, None, T_co]: ...


class Append(Protocol):
    def submit(self, unit: Unit) -> Pending[Sequence[Event]]:
        """Queue `unit` for the next commit. The result comes when it is on disk, and published.

        Awaiting raises Conflict (VersionConflict, Duplicate, KeyReused), Rejected or Unavailable.
        """
        ...


class Read(Protocol):
    async def events(self, query: Query) -> list[Event]: ...

    async def page(self, query: Query) -> Page:
        """Ready JSON in the form of the message-store API, see `Page`."""
        ...

    async def last(self, namespace: int, stream: str, type: str = "") -> Event | None: ...

    async def head(self, namespace: int, stream: str) -> Head | None: ...


Publish = Callable[[Sequence[Event]], None]  # synchronous, in log order, waits for nobody
