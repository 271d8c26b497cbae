"""What was read from the log for one member, kept a while for the next: after a restart a thousand come at once.

Pure. A leaf is a stretch of the log without a gap, and what of it an audience sees, encoded. Members begin
anywhere, so leaves are found by position and the first one is entered in the middle; all others go out as they
are, the same bytes for everyone. Leaves stand on the shelf with the rings and are kept for `KEEP` seconds:
long enough for a crowd, short enough that nothing is shown long after retention has removed it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence

from appliance.bus.ring import Shelf

__all__ = ["KEEP", "Leaf", "Past"]

KEEP = 60.0  # seconds
LIMIT = 8 * 1024 * 1024  # bytes of one audience
OVERHEAD = 100  # bytes that an event and a leaf cost beside their data, about


class Leaf:
    """What an audience sees of the positions `first` through `last`."""

    __slots__ = ("_join", "_parts", "_positions", "_whole", "first", "last", "made", "size")

    def __init__(
        self,
        first: int,
        last: int,
        events: Sequence[tuple[int, bytes]],
        join: Callable[[Sequence[bytes]], bytes],
        *,
        made: float = 0.0,
    ) -> None:
        """
        Args:
            events: global position and bytes of each.
            made: when it was read.
        """
        self.first = first
        self.last = last
        self.made = made
        self._positions = [position for position, _ in events]
        self._parts = [data for _, data in events]
        self._join = join
        self._whole: bytes | None = None
        self.size = OVERHEAD + sum(2 * len(data) + OVERHEAD for data in self._parts)  # the parts, and the whole

    def between(self, first: int, last: int) -> tuple[bytes, int]:
        """The events of these positions as they go over the wire, and how many they are."""
        if not self._parts:
            return b"", 0
        if first <= self._positions[0] and self._positions[-1] <= last:
            if self._whole is None:
                self._whole = self._join(self._parts)
            return self._whole, len(self._parts)
        start, end = bisect_left(self._positions, first), bisect_right(self._positions, last)
        return self._join(self._parts[start:end]) if start < end else b"", end - start


class Past:
    """The leaves of one audience; they do not overlap."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._leaves: list[Leaf] = []  # by position
        self._ages: OrderedDict[int, Leaf] = OrderedDict()  # by number, oldest first
        self._number = 0
        self.size = 0  # bytes
        self.edition = 0  # changes when what was read before may not be true any more

    def find(self, position: int, now: float) -> Leaf | None:
        """The leaf that covers `position`."""
        while self._ages and next(iter(self._ages.values())).made + KEEP <= now:
            self.forget()
        index = self._after(position) - 1
        if index < 0 or self._leaves[index].last < position:
            return None
        return self._leaves[index]

    def room(self, position: int, last: int) -> int:
        """How far a leaf from `position` on may reach, at most to `last`: up to the next one."""
        index = self._after(position)
        return min(last, self._leaves[index].first - 1) if index < len(self._leaves) else last

    def add(self, leaf: Leaf) -> None:
        """Keep it; the oldest go when there are too many bytes."""
        self._leaves.insert(self._after(leaf.first), leaf)
        self._ages[self._number] = leaf
        self.size += leaf.size
        while self.size > LIMIT and len(self._ages) > 1:
            self.forget()
        self._shelf.put(self, self._number, leaf.size)
        self._number += 1

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

    def _after(self, position: int) -> int:
        return bisect_right(self._leaves, position, key=lambda leaf: leaf.first)
