"""Clients that see the same bytes: same namespace, same filter, same dialect.

Pure and synchronous. An event is matched once and encoded once for all members; a member is a cursor into
the ring. Nothing here is done per event and member.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from appliance.bus.ring import Block, Ring
from appliance.model.event import Event
from appliance.model.http import Outlet
from appliance.model.names import category_of
from appliance.model.topic import Dialect, Topic

__all__ = ["Audience", "Audiences", "Cursor"]


class Cursor:
    """A member: where it sends, and how far it has come."""

    __slots__ = ("at", "outlet", "sent", "welcome")

    def __init__(self, outlet: Outlet, welcome: Callable[[], bool]) -> None:
        self.outlet = outlet
        self.welcome = welcome  # whether it may still be here; asked now and then
        self.at = 0  # next block
        self.sent = 0  # global position up to which everything was handed over


class Audience:
    """One topic in one dialect: its ring of ready bytes, and who reads it.

    Args:
        blocks: most blocks the ring keeps.
    """

    def __init__(self, topic: Topic, dialect: Dialect, blocks: int) -> None:
        self.topic = topic
        self.dialect = dialect
        self.ring = Ring(blocks)
        self.members: dict[Cursor, None] = {}  # an ordered set: who joined first is served first
        self.level: dict[Cursor, None] = {}  # members that have everything sealed so far
        self._pending: list[bytes] = []
        self._alive = -math.inf  # when its members last got a sign of life
        self._last = 0
        self._joined: dict[int, tuple[bytes, int, int]] = {}  # shared slices since the last seal

    def quiet_for(self, now: float) -> bool:
        """Whether a sign of life is due; asked by one sweep for all members."""
        if self._alive == -math.inf:
            self._alive = now
        due = now - self._alive >= self.dialect.quiet
        if due:
            self._alive = now
        return due

    def add(self, event: Event) -> bool:
        """Whether the event concerns this audience."""
        if not self.topic.matches(event):
            return False
        self._pending.append(self.dialect.encode(event))
        self._last = event.global_position
        return True

    def seal(self, limit: int) -> None:
        """Make one block of what came in since the last time."""
        if self._pending:
            parts, self._pending = self._pending, []
            self.ring.push(Block(self.dialect.join(parts), self._last), limit)
            self._joined.clear()

    def since(self, number: int) -> tuple[bytes, int, int]:
        """As `Ring.since`; members at the same place share the joined bytes."""
        slice = self._joined.get(number)
        if slice is None:
            slice = self._joined[number] = self.ring.since(number)
        return slice


class Audiences:
    """All audiences, found by what an event is: its stream, its category, or anything of its namespace."""

    def __init__(self) -> None:
        self._all: dict[tuple[Topic, Dialect], Audience] = {}
        self._index: dict[tuple[int, str, str], list[Audience]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Audience]:
        return iter(list(self._all.values()))

    def get(self, topic: Topic, dialect: Dialect, blocks: int) -> Audience:
        audience = self._all.get((topic, dialect))
        if audience is None:
            audience = self._all[topic, dialect] = Audience(topic, dialect, blocks)
            for key in _keys(topic):
                self._index.setdefault(key, []).append(audience)
        return audience

    def drop(self, audience: Audience) -> None:
        self._all.pop((audience.topic, audience.dialect), None)
        for key in _keys(audience.topic):
            rest = [other for other in self._index.get(key, ()) if other is not audience]
            if rest:
                self._index[key] = rest
            else:
                self._index.pop(key, None)

    def add(self, event: Event) -> list[Audience]:
        """Give the event to those it concerns."""
        namespace, stream = event.namespace, event.stream
        found: list[Audience] = []
        for key in (
            (namespace, "stream", stream),
            (namespace, "category", category_of(stream)),
            (namespace, "all", ""),
        ):
            found += [audience for audience in self._index.get(key, ()) if audience.add(event)]
        return found


def _keys(topic: Topic) -> list[tuple[int, str, str]]:
    if topic.stream is not None:
        return [(topic.namespace, "stream", topic.stream)]
    if topic.categories:
        return [(topic.namespace, "category", name) for name in dict.fromkeys(topic.categories)]
    return [(topic.namespace, "all", "")]
