"""Reading more than one page, and finding a place in a log that cannot be read backwards."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from appliance.client.protocol import PAGE, Operation, read_category, read_stream, streams
from appliance.client.shapes import Message, StreamHead, Topic

__all__ = ["HeadPages", "Pages", "Paging", "Steps", "boundary", "reader_of"]

T = TypeVar("T")

Read = Callable[[int, int], Operation[list[Message]]]  # from a place, at most so many
Steps = Generator[Operation[list[Message]], list[Message], tuple[Message | None, int]]


def reader_of(topic: Topic) -> Read:
    """How to read a topic. Several categories are read from the whole log; the caller leaves out the others."""

    def read(position: int, batch: int) -> Operation[list[Message]]:
        if topic.stream is not None:
            return read_stream(topic.stream, position, batch)
        category = topic.categories[0] if len(topic.categories) == 1 else ""
        return read_category(category, position, batch, member=topic.member, size=topic.size)

    return read


class Paging(Protocol[T]):
    """Reading in pages. Pure: whoever has a connection does what `next` says and tells what came."""

    def next(self) -> Operation[list[T]] | None:
        """The next read; None: nothing more to ask."""
        ...

    def took(self, page: list[T]) -> list[T]:
        """What of a page the caller wants."""
        ...


@dataclass
class Pages:
    """Messages, on and on until a page comes back short."""

    read: Read
    place: Callable[[Message], int]
    position: int
    limit: int | None = None  # most messages in all; None: all there are
    batch: int = PAGE
    done: bool = False

    def next(self) -> Operation[list[Message]] | None:
        if self.done or self.limit == 0:
            return None
        return self.read(self.position, self._size())

    def took(self, page: list[Message]) -> list[Message]:
        self.done = len(page) < self._size()
        if self.limit is not None:
            self.limit -= len(page)
        if page:
            self.position = self.place(page[-1]) + 1
        return page

    def _size(self) -> int:
        return self.batch if self.limit is None else min(self.batch, self.limit)


@dataclass
class HeadPages:
    """The streams of a namespace, in byte order."""

    prefix: str
    limit: int | None = None
    batch: int = PAGE
    cursor: str = ""
    done: bool = False

    def next(self) -> Operation[list[StreamHead]] | None:
        if self.done or self.limit == 0:
            return None
        return streams(self.prefix, self.cursor, self._size())

    def took(self, page: list[StreamHead]) -> list[StreamHead]:
        self.done = len(page) < self._size()
        if self.limit is not None:
            self.limit -= len(page)
        if page:
            self.cursor = page[-1].stream
        return page

    def _size(self) -> int:
        return self.batch if self.limit is None else min(self.batch, self.limit)


def boundary(topic: Topic, before: Callable[[Message], bool]) -> Steps:
    """Where `before` turns false, found by doubling steps and halving: some 2 log2(n) reads of one message.

    Returns:
        The last message of which `before` is true (None: there is none), and the place to read on from.
    """
    read = reader_of(topic)
    page = yield read(topic.start, 1)
    if not page or not before(page[0]):
        return None, topic.start
    low, step = page[0], 1
    while True:
        high = topic.place(low) + step
        page = yield read(high, 1)
        if not page or not before(page[0]):
            break
        low, step = page[0], step * 2
    while topic.place(low) + 1 < high:
        middle = (topic.place(low) + 1 + high) // 2
        page = yield read(middle, 1)
        if page and before(page[0]):
            low = page[0]
        else:
            high = middle
    return low, high
