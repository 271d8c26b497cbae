"""Outlets that behave as sockets do, a dialect of numbers, and a log that is a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter

import trio

from appliance.bus import Bus
from appliance.egress.memo import Plain
from appliance.errors import Unavailable
from appliance.model.event import Event, Query
from appliance.model.names import category_of
from appliance.model.topic import Lost, Topic

__all__ = ["Book", "Numbers", "Peer", "a_bus"]


class Numbers(Plain):
    """A dialect that shows global positions, and in words what else it is told."""

    def __init__(self, window: float = 0.0) -> None:
        self.window = window
        self.encoded = 0

    def encode(self, event: Event) -> bytes:
        self.encoded += 1
        return (
            b"%s@%d " % (event.id.encode(), event.global_position)
            if event.ephemeral
            else b"%d " % event.global_position
        )

    def key(self, event: Event) -> str:
        return event.stream if event.type == "Progress" else ""

    def settles(self, event: Event) -> str:
        return event.stream if event.type == "Done" else ""

    def lagged(self, missed: int) -> bytes:
        return b"lagged:%d " % missed

    def gap(self, lost: Lost) -> bytes:
        return b"gap:%d-%d " % (lost.asked, lost.oldest)

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)


class Peer:
    """An outlet with a gate: while it is shut the peer reads nothing."""

    sent = 0

    def __init__(self) -> None:
        self.got = b""
        self.pieces = 0
        self.open = trio.Event()
        self.open.set()
        self.alive = True
        self.code: int | None = None
        self._more = trio.Event()

    def _take(self, data: bytes) -> None:
        self.got += data
        self.pieces += 1
        self._more.set()
        self._more = trio.Event()

    async def has(self, count: int) -> None:
        """Wait for so many numbers: reads of the log run in threads, which no idle loop waits for."""
        with trio.fail_after(5):
            while len(self.numbers) < count:
                await self._more.wait()

    def shut(self) -> None:
        self.open = trio.Event()

    def offer(self, data: bytes) -> bool:
        if not self.alive:
            raise trio.BrokenResourceError
        if not self.open.is_set():
            return False
        self._take(data)
        return True

    async def send_all(self, data: bytes) -> None:
        await self.open.wait()
        await trio.lowlevel.checkpoint()
        if not self.alive:
            raise trio.BrokenResourceError
        self._take(data)

    async def drained(self) -> None:
        await self.open.wait()

    def kill(self) -> None:
        self.alive = False
        self.open.set()

    def end(self, code: int, reason: str = "") -> None:
        self.code = code
        self.kill()

    @property
    def words(self) -> str:
        return self.got.decode().strip()

    @property
    def numbers(self) -> list[int]:
        return [int(word) for word in self.got.split() if word.isdigit()]


class Book:
    """Stored events in a list. Nothing runs aside, so the mock clock knows when all is quiet."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reads: list[Query] = []
        self.broken = False
        self.gate = trio.Event()  # while it is not set a read that is under way does not end
        self.gate.set()
        self.oldest = 0
        self.bus = Bus(self.read, lambda key: len(self.events))

    async def read(self, query: Query) -> list[Event]:
        self.reads.append(query)
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise Unavailable("the log cannot be read")
        found = [event for event in self.events if _within(event, query)]
        if query.stream is not None:
            found.sort(key=attrgetter("position"))
        await self.gate.wait()
        return found[: query.limit]

    async def first(self, topic: Topic) -> int:
        return self.oldest

    def write(self, stream: str, count: int = 1, *, type: str = "Happened", data: str = "{}") -> None:
        """Store and publish, as one batch."""
        fresh = []
        for _ in range(count):
            position = sum(event.stream == stream for event in self.events)
            place = len(self.events) + 1
            fresh.append(Event(1, stream, type, position, place, str(place), data, None, 0))
            self.events.append(fresh[-1])
        self.bus.publish(fresh)

    def announce(self, id: str, *, stream: str = "job-1", type: str = "Progress") -> None:
        self.bus.announce(Event(1, stream, type, -1, len(self.events), id, "{}", None, 0))


def _within(event: Event, query: Query) -> bool:
    if query.stream is not None and (event.stream != query.stream or event.position < query.position):
        return False
    if query.categories and category_of(event.stream) not in query.categories:
        return False
    return query.global_position <= event.global_position <= (query.through or 0)


@asynccontextmanager
async def a_bus(*, blocks: int = 4096, budget: int = 1 << 20, grace: float = 60.0) -> AsyncIterator[Book]:
    """A bus over a book."""
    book = Book()
    book.bus = Bus(book.read, lambda key: len(book.events), book.first, blocks=blocks, budget=budget, grace=grace)
    async with trio.open_nursery() as nursery:
        await nursery.start(book.bus.run)
        yield book
        nursery.cancel_scope.cancel()
