"""The last blocks of ready bytes of an audience, for those who are a little behind.

Pure. Blocks are numbered; `base` is the oldest kept, `head` the number the next one will get. All rings stand on
one shelf, which holds the budget exactly: when it is full the oldest block goes first, whichever ring it is in.
So every reader has the same time to catch up in, a busy audience cannot take more of it than a quiet one, and
finding the block costs nothing; the biggest ring would have to be searched for at every push.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple, Protocol

__all__ = ["Block", "Mark", "Ring", "Shelf"]


class Mark(NamedTuple):
    """A place between two blocks."""

    number: int  # of the next block
    position: int  # global position of the last stored event before it
    events: int  # of the audience before it
    place: int = -1  # of the last of them in the stream that is followed; -1: not known, or it is none


class Block(NamedTuple):
    data: bytes
    end: Mark  # the place behind it


class _Holder(Protocol):
    def forget(self) -> None:
        """Drop the oldest."""


class Shelf:
    """What all rings and all that was read for them hold together, never more than `budget` bytes."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.size = 0  # bytes
        self._blocks: OrderedDict[tuple[_Holder, int], int] = OrderedDict()  # sizes, oldest first

    def put(self, holder: _Holder, number: int, size: int) -> None:
        self._blocks[holder, number] = size
        self.size += size
        while self.size > self.budget:
            oldest, _ = next(iter(self._blocks))
            oldest.forget()

    def take(self, holder: _Holder, number: int) -> None:
        self.size -= self._blocks.pop((holder, number))


class Ring:
    """Blocks by number.

    Args:
        most: blocks kept.
        limit: bytes kept; the newest block stays however large it is, unless the shelf has no room for it.
    """

    def __init__(self, shelf: Shelf, *, most: int = 4096, limit: int = 8 * 1024 * 1024) -> None:
        self._shelf = shelf
        self._most = most
        self._limit = limit
        self._blocks: deque[Block] = deque()
        self.base = 0
        self.size = 0  # bytes
        self.end = Mark(0, 0, 0)

    @property
    def head(self) -> int:
        return self.end.number

    def push(self, data: bytes, *, position: int, events: int, place: int = -1) -> Mark:
        """Add the newest block; the oldest go when there are too many, or more bytes than allowed.

        Args:
            position, place: as in `Mark`.
            events: how many are in the block.
        """
        number = self.end.number
        self.end = Mark(number + 1, position, self.end.events + events, place)
        self._blocks.append(Block(data, self.end))
        self.size += len(data)
        while len(self._blocks) > 1 and (len(self._blocks) > self._most or self.size > self._limit):
            self.forget()
        self._shelf.put(self, number, len(data))
        return self.end

    def forget(self) -> None:
        """Drop the oldest block."""
        self.size -= len(self._blocks.popleft().data)
        self._shelf.take(self, self.base)
        self.base += 1

    def clear(self) -> None:
        while self._blocks:
            self.forget()

    def since(self, number: int, most: int = 1 << 62, until: int | None = None) -> Block:
        """Blocks from `number` on as one, up to about `most` bytes, at most to the place `until`.

        Raises:
            LookupError: `number` is no longer here, or not here yet.
        """
        last = self.end.number if until is None else until
        if not self.base <= number < last:
            raise LookupError(number)
        parts: list[bytes] = []
        size = 0
        for index in range(number - self.base, last - self.base):
            block = self._blocks[index]
            parts.append(block.data)
            size += len(block.data)
            if size >= most:
                break
        return block if len(parts) == 1 else Block(b"".join(parts), block.end)
