"""The log as the rooms above see it: append, read, and nothing shown before it is on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import trio

from appliance.errors import Unavailable
from appliance.log.readers import Readers
from appliance.log.retention import Retention
from appliance.log.ticket import Ticket
from appliance.log.writer import Writer, Written
from appliance.model.event import Draft, Event, Head, Imported, Page, Query, Unit
from appliance.model.ports import Publish
from appliance.model.state import StateChange
from appliance.model.topic import Topic
from appliance.storage.ports import Engine, Reader, Recovery
from appliance.world import World

__all__ = ["Log"]

T = TypeVar("T")

MOST_VERSIONS = 100_000  # remembered for each namespace


class _Shown:
    """What clients may know of a namespace: only what is on disk."""

    __slots__ = ("newest", "versions")

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest
        self.versions: dict[str, int] = {}

    def add(self, event: Event) -> None:
        self.newest = max(self.newest, event.global_position)
        if self.versions.get(event.stream, -1) < event.position:
            self.remember(event.stream, event.position)

    def remember(self, stream: str, version: int) -> None:
        if len(self.versions) >= MOST_VERSIONS:
            for name in list(self.versions)[: MOST_VERSIONS // 2]:
                del self.versions[name]
        self.versions[stream] = version


class Log:
    """A supervised service over one storage engine. It closes the engine when it ends.

    Events reach `publish` on the loop, in log order, after they are synced and before their writers are told.
    `took` is told after each commit how long the first of its writers waited.
    """

    name: ClassVar[str] = "log"

    def __init__(
        self,
        engine: Engine,
        world: World,
        publish: Publish,
        *,
        retention: Mapping[str, float] | None = None,
        readers: int = 3,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._engine = engine
        self._publish = publish
        self._shown: dict[int, _Shown] = {}
        self._writer = Writer(engine, world, self._show, took)
        self._readers = Readers(engine, world, readers)
        self.retention = Retention(world, retention)

    @property
    def kind(self) -> str:
        return self._engine.kind

    @property
    def recovery(self) -> Recovery:
        return self._engine.recovery

    @property
    def written(self) -> Written:
        """Commits and events since the start."""
        return self._writer.written

    @property
    def waiting(self) -> int:
        """Writes begun and not yet acknowledged."""
        return self._writer.unacknowledged

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._writer.commits.run)
                nursery.start_soon(self._writer.seals.run)
                await nursery.start(self._readers.run)
                await self._load()
                nursery.start_soon(self.retention.run, self.control, self.reading)
                task_status.started()
        finally:
            self._engine.close()

    async def drain(self) -> None:
        """Refuse new writes; wait until those begun are acknowledged."""
        await self._writer.finish()

    # Writing

    def submit(self, unit: Unit) -> Ticket[tuple[Event, ...]]:
        """Queue for the next commit; await the ticket for the events.

        Awaiting raises Conflict (VersionConflict, Duplicate, KeyReused), NotFound, LimitReached or Unavailable. Whoever
        stops waiting does not stop the append.
        """
        return self._writer.submit(unit)

    async def append(
        self, namespace: int, drafts: Sequence[Draft], *, key: str = "", fingerprint: bytes = b""
    ) -> tuple[Event, ...]:
        """Write `drafts` together or not at all; see `submit` for what it raises."""
        return await self.submit(Unit(namespace, tuple(drafts), key, fingerprint))

    async def import_batch(self, namespace: int, records: Sequence[Imported]) -> tuple[Event, ...]:
        """Write records that keep their positions, as one transaction, and publish them.

        Raises:
            Duplicate: a position or id exists; nothing of the batch is written.
        """
        return await self._writer.step(lambda engine: engine.import_batch(namespace, records))

    @property
    def trouble(self) -> Unavailable | None:
        """Why nothing can be written now: the newest commit failed for it. None: as far as is known, all is well."""
        return self._writer.trouble

    async def probe(self) -> None:
        """Wait until the writing thread answers; after a failed commit it must have written something again.

        Raises:
            Unavailable: it cannot write.
        """
        if self.trouble is None or not self._shown:
            await self.control(lambda engine: None)
        else:
            mark = StateChange(min(self._shown), "log", "probe", "true")
            await self.submit(Unit(mark.namespace, (), changes=(mark,)))

    async def control(self, work: Callable[[Engine], T]) -> T:
        """Any other change, on the one writing thread, between two commits."""
        result: T = await self._writer.control(work)
        return result

    def forget(self, namespace: int) -> None:
        """A namespace was emptied or deleted: nothing remembered of it is true any more."""
        self._shown.pop(namespace, None)

    # Reading

    def peek_version(self, namespace: int, stream: str) -> int | None:
        """Version from memory: -1 if there is no such stream, None if memory cannot tell (ask `head`)."""
        shown = self._shown.get(namespace)
        if shown is None:
            return None
        return -1 if shown.newest == 0 else shown.versions.get(stream)

    def head_position(self, namespace: int) -> int:
        """Newest global position that clients may know; 0: none."""
        shown = self._shown.get(namespace)
        return 0 if shown is None else shown.newest

    async def head(self, namespace: int, stream: str) -> Head | None:
        head = await self._readers.submit(lambda reader: reader.head(namespace, stream))
        shown = self._shown.get(namespace)
        # What is known has come meanwhile. While something is being written, what was read may not be shown yet.
        if shown is not None and stream not in shown.versions and not self._writer.unacknowledged:
            shown.remember(stream, -1 if head is None else head.version)
        return head

    async def newest(self, namespace: int, categories: tuple[str, ...] = ()) -> int:
        """Global position of the newest stored event, of some categories or at all; 0: none."""
        return await self._readers.submit(lambda reader: reader.newest(namespace, categories))

    async def oldest(self, topic: Topic) -> int:
        """First position of `topic` that is still stored: a stream's for a stream, else global."""

        def first(reader: Reader) -> int:
            if topic.stream is None:
                return max(reader.oldest(topic.namespace, category) for category in topic.categories or (None,))
            stored = reader.events(Query(topic.namespace, topic.stream, limit=1))
            if stored:
                return stored[0].position
            head = reader.head(topic.namespace, topic.stream)
            return 0 if head is None else head.version + 1

        return await self._readers.submit(first)

    async def events(self, query: Query) -> list[Event]:
        return await self._readers.submit(lambda reader: reader.events(query))

    def page(self, query: Query) -> Ticket[Page]:
        """Begin to read ready JSON; await it. See `Page`."""
        return self._readers.submit(lambda reader: reader.page(query))

    async def last(self, namespace: int, stream: str, type: str = "") -> Event | None:
        return await self._readers.submit(lambda reader: reader.last(namespace, stream, type))

    async def find(self, namespace: int, id: str) -> Event | None:
        """The stored event of this id."""
        return await self._readers.submit(lambda reader: reader.find(namespace, id))

    async def reading(self, work: Callable[[Reader], T]) -> T:
        """Any other read, aside."""
        return await self._readers.submit(work)

    async def _load(self) -> None:
        def newest(reader: Reader) -> dict[int, int]:
            return {namespace.key: reader.newest(namespace.key) for namespace in reader.namespaces()}

        for key, position in (await self.reading(newest)).items():
            self._shown[key] = _Shown(position)

    def _show(self, events: Sequence[Event]) -> None:
        for event in events:
            shown = self._shown.get(event.namespace)
            if shown is None:
                shown = self._shown[event.namespace] = _Shown()
            shown.add(event)
        self._publish(events)
