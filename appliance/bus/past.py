"""What was read from the log for one member, kept a while for the next: after a restart a thousand come at once.

Pure. A leaf is a stretch of the log, or of the one stream that is followed, without a gap, and what of it an
audience sees, encoded. Members begin anywhere, so leaves are found by place and the first one is entered in the
middle; all others go out as they are, the same bytes for everyone. Leaves stand on the shelf with the rings and
are kept for `KEEP` seconds: long enough for a crowd, short enough that nothing is shown long after retention has
removed it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from operator import attrgetter

from appliance.bus.ring import Shelf

__all__ = ["KEEP", "Leaf", "Part", "Past"]

KEEP = 60.0  # seconds
LIMIT = 32 * 1024 * 1024  # bytes of one audience: half a minute of a busy one, while a crowd comes back
MOST = 500  # events of a leaf that grew out of several
OVERHEAD = 100  # bytes that an event and a leaf cost beside their data, about

Part = tuple[int, int, bytes]  # place and global position of an event, and how it looks

_first = attrgetter("first")


class Leaf:
    """What an audience sees of the places `first` through `last`: positions of its stream, or else of the log."""

    __slots__ = ("_join", "_parts", "_places", "_positions", "_whole", "first", "last", "made", "number", "size")

    def __init__(
        self,
        first: int,
        last: int,
        events: Sequence[Part],
        join: Callable[[Sequence[bytes]], bytes],
        *,
        made: float = 0.0,
    ) -> None:
        """
        Args:
            events: place, global position and bytes of each; both rise.
            made: when it was read.
        """
        self.first = first
        self.last = last
        self.made = made
        self.number = 0  # which the past gave it
        self._places = [place for place, _, _ in events]
        self._positions = [position for _, position, _ in events]
        self._parts = [data for _, _, data in events]
        self._join = join
        self._whole: bytes | None = None
        self.size = OVERHEAD + sum(2 * len(data) + OVERHEAD for data in self._parts)  # the parts, and the whole

    def __len__(self) -> int:
        return len(self._parts)

    def between(self, first: int, boundary: int) -> tuple[bytes, int]:
        """The events from the place `first` on, up to a global position, as they go over the wire; how many."""
        if not self._parts:
            return b"", 0
        if first <= self._places[0] and self._positions[-1] <= boundary:
            if self._whole is None:
                self._whole = self._join(self._parts)
            return self._whole, len(self._parts)
        start, end = bisect_left(self._places, first), bisect_right(self._positions, boundary)
        return self._join(self._parts[start:end]) if start < end else b"", max(0, end - start)

    def exceeds(self, boundary: int) -> bool:
        """Whether it holds an event behind a global position."""
        return bool(self._positions) and self._positions[-1] > boundary

    def end(self, boundary: int) -> int:
        """The last place up to a global position."""
        if not self.exceeds(boundary):
            return self.last
        number = bisect_right(self._positions, boundary)
        return self._places[number - 1] if number else self.first - 1

    def extended(self, by: Leaf) -> Leaf:
        """One of both, `by` being the next; as old as this one."""
        events = [
            *zip(self._places, self._positions, self._parts, strict=True),
            *zip(by._places, by._positions, by._parts, strict=True),
        ]
        return Leaf(self.first, by.last, events, self._join, made=self.made)


class Past:
    """The leaves of one audience; they do not overlap."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._leaves: list[Leaf] = []  # by place
        self._ages: OrderedDict[int, Leaf] = OrderedDict()  # by number, oldest first
        self._number = 0
        self.size = 0  # bytes
        self.edition = 0  # changes when what was read before may not be true any more

    def find(self, place: int, now: float) -> Leaf | None:
        """The leaf that covers `place`."""
        while self._ages and next(iter(self._ages.values())).made + KEEP <= now:
            self.forget()
        index = self._after(place) - 1
        if index < 0 or self._leaves[index].last < place:
            return None
        return self._leaves[index]

    def room(self, place: int, last: int) -> int:
        """How far a leaf from `place` on may reach, at most to `last`: up to the next one."""
        index = self._after(place)
        return min(last, self._leaves[index].first - 1) if index < len(self._leaves) else last

    def add(self, leaf: Leaf) -> None:
        """Keep it; the oldest go when there are too many bytes.

        A small one becomes part of the one before it. Those who come back while much is written each read the little
        that is new: without that, whoever was away longer would go through a thousand leaves of a few events.
        """
        index = self._after(leaf.first)
        before = self._leaves[index - 1] if index else None
        if before is not None and before.last + 1 == leaf.first and len(before) + len(leaf) <= MOST:
            leaf = before.extended(leaf)
            leaf.number = before.number
            self._leaves[index - 1] = leaf
            self.size -= before.size
            self._shelf.take(self, before.number)
        else:
            leaf.number = self._number
            self._number += 1
            self._leaves.insert(index, leaf)
        self._ages[leaf.number] = leaf
        self.size += leaf.size
        self._shelf.put(self, leaf.number, leaf.size)
        while self.size > LIMIT and len(self._ages) > 1:
            self.forget()

    def forget(self) -> None:
        """Drop the oldest leaf."""
        number, leaf = self._ages.popitem(last=False)
        del self._leaves[self._after(leaf.first) - 1]
        self.size -= leaf.size
        self._shelf.take(self, number)

    def clear(self) -> None:
        """The log is not what it was."""
        self.edition += 1
        while self._ages:
            self.forget()

    def _after(self, place: int) -> int:
        return bisect_right(self._leaves, place, key=_first)
