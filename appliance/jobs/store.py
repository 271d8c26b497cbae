"""Jobs on disk: rows of state beside the log, found by their status, type, note, memory, cause, and hour of ending.

    jobs / ID                    a job
    job-keys / TYPE/KEY          which job a caller's key stands for
    job-scopes / global          jobs of the namespace are paused
    job-scopes / archive/NAME    those of a memory are

Here they are read. They are written in one unit with the events that tell of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from appliance.jobs.job import LIVE, Job, hour_of
from appliance.jobs.queue import EVERYWHERE, Scope
from appliance.jobs.telling import KEYS, OWNER, key_of
from appliance.model.state import StateChange
from appliance.storage.ports import Reader

__all__ = ["Reading", "Search", "Store", "scope_change"]

T = TypeVar("T")

SCOPES = "job-scopes"
GLOBAL = "global"
ARCHIVE = "archive/"
PAGE = 500  # rows read at once
HOUR_US = 3600 * 1_000_000

_job = msgspec.json.Decoder(Job).decode


class Reading(Protocol):
    """What the store needs of the log."""

    async def reading(self, work: Callable[[Reader], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Search:
    """Which jobs somebody wants to see."""

    namespace: int
    memories: tuple[str, ...] | None = None  # "": those without one; None: all
    where: tuple[tuple[str, str], ...] = ()

    @property
    def walks(self) -> list[tuple[tuple[str, str], ...]]:
        """Conditions that together find them: the index knows only what must hold at once."""
        if self.memories is None:
            return [self.where]
        return [(*self.where, ("memory", memory)) for memory in self.memories]


def scope_change(namespace: int, memory: str | None, *, paused: bool) -> StateChange:
    """The change that remembers whether a scope is paused."""
    key = GLOBAL if memory is EVERYWHERE else ARCHIVE + memory
    return StateChange(namespace, SCOPES, key, "true" if paused else None)


class Store:
    """Reads all of it."""

    def __init__(self, log: Reading) -> None:
        self._log = log

    async def job(self, namespace: int, id: str) -> Job | None:
        def read(reader: Reader) -> Job | None:
            row = reader.state(namespace, OWNER, id)
            return None if row is None else _job(row.value)

        return await self._log.reading(read)

    async def keyed(self, namespace: int, type: str, key: str) -> str:
        """The job that a caller's key stands for; "": none."""

        def read(reader: Reader) -> str:
            row = reader.state(namespace, KEYS, key_of(type, key))
            return "" if row is None else msgspec.json.decode(row.value, type=str)

        return await self._log.reading(read)

    async def live(self) -> list[tuple[int, Job]]:
        """Those of all namespaces that wait or run, with their namespace."""

        def read(reader: Reader) -> list[tuple[int, Job]]:
            return [
                (space.key, job)
                for space in reader.namespaces()
                for status in LIVE
                for job in _walk(reader, space.key, (("status", status),))
            ]

        return await self._log.reading(read)

    async def recent(self, now_us: int) -> list[tuple[int, Job]]:
        """Those that ended within the last hour, perhaps a few more."""

        def read(reader: Reader) -> list[tuple[int, Job]]:
            return [
                (space.key, job)
                for space in reader.namespaces()
                for hour in (hour_of(now_us - HOUR_US), hour_of(now_us))
                for job in _walk(reader, space.key, (("hour", hour),))
            ]

        return await self._log.reading(read)

    async def paused(self) -> list[Scope]:
        def read(reader: Reader) -> list[Scope]:
            return [
                (space.key, EVERYWHERE if row.key == GLOBAL else row.key.removeprefix(ARCHIVE))
                for space in reader.namespaces()
                for row in reader.states(space.key, SCOPES, limit=PAGE)
            ]

        return await self._log.reading(read)

    async def page(self, search: Search, *, limit: int, offset: int = 0, after: str = "") -> list[Job]:
        """Newest first.

        Args:
            after: id of the last one seen.
        """

        def read(reader: Reader) -> list[Job]:
            found: list[Job] = []
            for where in search.walks:
                walk = _walk(reader, search.namespace, where, after=after, newest_first=True)
                found += islice(walk, offset + limit)
            found.sort(key=lambda job: job.id, reverse=True)
            return found[offset : offset + limit]

        return await self._log.reading(read)

    async def count(self, search: Search) -> int:
        def read(reader: Reader) -> int:
            return sum(reader.count_states(search.namespace, OWNER, where=where) for where in search.walks)

        return await self._log.reading(read)

    async def surplus(self, *, before_us: int, most: int, limit: int) -> list[tuple[int, Job]]:
        """Ended jobs that need not be kept, of all namespaces: those that ended before, and the oldest beyond `most`.

        Args:
            most: of a namespace.
            limit: looks at no more of a namespace.
        """

        def read(reader: Reader) -> list[tuple[int, Job]]:
            found = []
            where = (("ended", "yes"),)
            for space in reader.namespaces():
                over = reader.count_states(space.key, OWNER, where=where) - most
                oldest = islice(_walk(reader, space.key, where), limit)
                found += [(space.key, job) for n, job in enumerate(oldest) if n < over or job.completed < before_us]
            return found

        return await self._log.reading(read)


def _walk(
    reader: Reader,
    namespace: int,
    where: Sequence[tuple[str, str]],
    *,
    after: str = "",
    newest_first: bool = False,
) -> Iterator[Job]:
    while rows := reader.states(
        namespace, OWNER, after=after, limit=PAGE, where=tuple(where), newest_first=newest_first
    ):
        yield from (_job(row.value) for row in rows)
        after = rows[-1].key
