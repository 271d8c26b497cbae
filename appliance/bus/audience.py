"""Clients that see the same bytes: same namespace, same filter, same dialect.

Pure and synchronous. An event is matched once and encoded once for all members; a member is a cursor into
the ring. Nothing here is done per event and member.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from appliance.bus.coalesce import Coalescer
from appliance.bus.past import Past
from appliance.bus.resume import Resume
from appliance.bus.ring import Block, Mark, Ring, Shelf
from appliance.model.event import Event
from appliance.model.http import Outlet
from appliance.model.names import category_of
from appliance.model.topic import Dialect, Topic

__all__ = ["Audience", "Audiences", "Cursor"]


class Cursor:
    """A member: where it sends, and how far it has come."""

    __slots__ = ("audience", "level", "mark", "outlet", "owed", "resume", "told", "until")

    def __init__(self, audience: Audience, outlet: Outlet) -> None:
        self.audience = audience
        self.outlet = outlet
        self.mark = audience.ring.end
        self.level = False  # has everything sealed so far; the flusher serves it
        self.told = False  # was level once: it hears what it misses from then on
        self.resume: Resume | None = None  # while it reads from the log
        self.owed = 0  # events it fell out of the ring by and has not read yet
        self.until: Mark | None = None  # it leaves there

    @property
    def lag(self) -> int:
        """Events shown since it came that it has not been sent."""
        shown = self.audience.shown if self.until is None else self.until.events
        return shown - self.mark.events + self.owed

    @property
    def reached(self) -> int:
        """Global position up to which everything was handed over."""
        return self.mark.position if self.resume is None else self.resume.reached

    def arrive(self) -> None:
        """It is level from now on."""
        self.level = self.told = True
        self.audience.level[self] = None

    def fall_behind(self) -> None:
        self.level = False
        self.audience.level.pop(self, None)


class Audience:
    """One topic in one dialect: its ring of ready bytes, and who reads it."""

    def __init__(self, topic: Topic, dialect: Dialect, shelf: Shelf, *, blocks: int) -> None:
        """
        Args:
            blocks: most blocks of its ring.
        """
        self.topic = topic
        self.dialect = dialect
        self.ring = Ring(shelf, most=blocks)
        self.past = Past(shelf)
        self.members: dict[Cursor, None] = {}  # an ordered set: who joined first is served first
        self.level: dict[Cursor, None] = {}  # members that have everything sealed so far
        self.shown = 0  # events encoded for it
        self.round: Iterator[Cursor] | None = None  # level members the flusher has still to serve
        self.began = 0  # head of the ring when that round began
        self.orderly = topic.stream is not None  # the places of its stream have risen: they tell where a member is
        self.complete = 0  # every level member has got the blocks before this one
        self._pending: list[bytes] = []
        self._position = 0
        self._place = -1  # of the newest stored event shown
        self._coalescer = Coalescer(dialect.window) if dialect.window > 0 else None
        self._joined: dict[int, Block] = {}  # shared slices since the last seal

    @property
    def merges(self) -> bool:
        """Whether it holds announcements back for a while."""
        return self._coalescer is not None

    @property
    def due(self) -> float:
        """When held events are to be released; inf: there are none."""
        return math.inf if self._coalescer is None else self._coalescer.due

    @property
    def coalesced(self) -> int:
        return 0 if self._coalescer is None else self._coalescer.coalesced

    @property
    def pending(self) -> bool:
        """Whether there is something to seal."""
        return bool(self._pending)

    def add(self, event: Event, now: float) -> bool:
        """Whether the event concerns this audience: it is shown, or held to be."""
        if not self.topic.matches(event):
            return False
        if self._coalescer is None:
            self._show(event)
        else:
            self._coalesce(self._coalescer, event, now)
        return True

    def release(self, now: float, newest: int) -> float:
        """Show what was held until now.

        Args:
            newest: position of the newest stored event: what is shown later than announced stands behind that.

        Returns:
            when there is more to release; inf: nothing is held.
        """
        if self._coalescer is not None:
            self._show_held(self._coalescer.release(now), newest)
        return self.due

    def let_go(self, newest: int) -> None:
        """Show everything held now."""
        if self._coalescer is not None:
            self._show_held(self._coalescer.let_go(), newest)

    def reach(self, position: int) -> None:
        """All stored events up to `position` were added; what is only announced stands behind it."""
        self._position = max(self._position, position)

    def seal(self) -> Mark:
        """Make one block of what came in since the last time. Returns the end of the ring."""
        if self._pending:
            parts, self._pending = self._pending, []
            place = self._place if self.orderly else -1
            self.ring.push(self.dialect.join(parts), position=self._position, events=len(parts), place=place)
            self._joined.clear()
        return self.ring.end

    def clear(self) -> None:
        """Leave the shelf."""
        self.ring.clear()
        self.past.clear()

    def since(self, number: int) -> Block:
        """As `Ring.since`; members at the same place share the joined bytes."""
        block = self._joined.get(number)
        if block is None:
            block = self._joined[number] = self.ring.since(number)
        return block

    def _coalesce(self, coalescer: Coalescer, event: Event, now: float) -> None:
        dialect = self.dialect
        if settled := dialect.settles(event):
            held = coalescer.settle(settled)
            if held is not None:
                self._show_held([held], event.global_position - (not event.ephemeral))
        key = dialect.key(event) if event.ephemeral else ""
        if not key or coalescer.offer(key, event, now):
            self._show(event)

    def _show_held(self, events: list[Event], newest: int) -> None:
        for event in events:
            if event.global_position < newest:
                event = msgspec.structs.replace(event, global_position=newest)
            self._show(event)

    def _show(self, event: Event) -> None:
        self._pending.append(self.dialect.encode(event))
        self.shown += 1
        if not event.ephemeral:
            self._position = event.global_position
            place = self.topic.place(event)
            if place <= self._place:  # an import fills a stream in an order of its own
                self.past.clear()
                self.orderly = False
            self._place = place


class Audiences:
    """All audiences, found by what an event is: its stream, its category, or anything of its namespace."""

    def __init__(self) -> None:
        self._all: dict[tuple[Topic, Dialect], Audience] = {}
        self._index: dict[tuple[int, str, str], dict[Audience, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Audience]:
        return iter(self._all.values())

    def get(self, topic: Topic, dialect: Dialect) -> Audience | None:
        return self._all.get((topic, dialect))

    def put(self, audience: Audience) -> None:
        self._all[audience.topic, audience.dialect] = audience
        for key in _keys(audience.topic):
            self._index.setdefault(key, {})[audience] = None

    def drop(self, audience: Audience) -> None:
        self._all.pop((audience.topic, audience.dialect), None)
        for key in _keys(audience.topic):
            rest = self._index.get(key, {})
            rest.pop(audience, None)
            if not rest:
                self._index.pop(key, None)

    def concerned(self, event: Event) -> Iterator[Audience]:
        """Those an event may concern."""
        namespace, stream, index = event.namespace, event.stream, self._index
        for key in (
            (namespace, "stream", stream),
            (namespace, "category", category_of(stream)),
            (namespace, "all", ""),
        ):
            yield from index.get(key, ())


def _keys(topic: Topic) -> list[tuple[int, str, str]]:
    if topic.stream is not None:
        return [(topic.namespace, "stream", topic.stream)]
    if topic.categories:
        return [(topic.namespace, "category", name) for name in dict.fromkeys(topic.categories)]
    return [(topic.namespace, "all", "")]
