"""Work to be done later: how rooms and plugins offer it and ask for it, without knowing the queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance.model.event import Draft
from appliance.model.state import StateChange

__all__ = ["JobOrder", "JobRun", "JobType", "Jobs", "Planned", "snake"]


class JobRun(Protocol):
    """One attempt at a job, as its handler sees it."""

    id: str
    type: str  # "Embedding"
    namespace: int
    memory: str  # "": none
    note_id: str  # what it is about; "": nothing
    arguments: Mapping[str, Any]
    attempt: int  # from 1
    cause: str  # id of the event it was asked for by; ""

    async def progress(self, percent: int, message: str = "") -> None:
        """Say how far it is: stored with the job, and told to clients as JobProgress. Renews the lease."""
        ...


@dataclass(frozen=True, slots=True)
class JobType:
    """Work that somebody can do."""

    name: str  # "TitleGeneration", as events spell it; requests may say title_generation too
    owner: str  # the plugin
    run: Callable[[JobRun], Awaitable[Any]]  # its result, as JSON can hold it; raising is a failed attempt
    check: Callable[[JobOrder], Awaitable[None]] | None = None  # before it is queued: NotFound or Rejected refuse it
    priority: int = 0  # higher runs first
    waits: tuple[float, ...] = (5.0, 10.0, 20.0)  # seconds before the second, third, … attempt
    timeout: float = 1800.0  # seconds of one attempt
    concurrency: int = 1  # of this type at once
    scope: str = "write"  # what a token must allow that asks for it over HTTP


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What is asked for."""

    namespace: int
    type: str  # either spelling
    arguments: Mapping[str, Any] = field(default_factory=dict)
    memory: str = ""
    note_id: str = ""
    key: str = ""  # the same key of the same type is the same job, as long as it is kept
    priority: int | None = None  # None: its type's
    delay: float = 0.0  # seconds before it is due
    cause: str = ""  # id of the event that is the reason


@dataclass(frozen=True, slots=True)
class Planned:
    """What queues a job, to be written as part of a unit: it is in the queue when the unit is committed."""

    id: str
    changes: tuple[StateChange, ...] = ()  # empty: there is one with this key already, and `id` is its id
    drafts: tuple[Draft, ...] = ()  # JobQueued


class Jobs(Protocol):
    """The queue, as those see it who offer work and ask for it."""

    def register(self, type: JobType) -> None:
        """Raises Rejected: another owner does work of this name."""
        ...

    def forget(self, owner: str) -> None:
        """It offers nothing any more; what waits for it stays until it is back, what runs is given up."""
        ...

    async def plan(self, order: JobOrder) -> Planned:
        """Raises Rejected (no such type), or what the type's check raises."""
        ...


def snake(name: str) -> str:
    """TitleGeneration → title_generation."""
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
