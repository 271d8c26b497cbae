"""Joins what is stored to what is live: history first, no gap, no double.

    0 … stored … boundary │ live blocks …
    └ read from the log ──┘└ from the ring, begun at the boundary

The boundary is drawn in one step with taking a place in the audience: what the log had shown by then is read,
what came later is in the ring from that place on. If the ring forgets that place before the history is read,
a new boundary is drawn and the reading goes on from where it is. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.model.event import Event, Query
from appliance.model.topic import Topic

__all__ = ["PAGE", "Resume", "Seen"]

PAGE = 500  # events read at once
OPEN = 1 << 63


class Seen(NamedTuple):
    """What a reader has had of a topic it followed before: the events from a position through another."""

    topic: Topic
    position: int  # of the stream, if the topic is one
    global_position: int
    through: int

    def has(self, event: Event) -> bool:
        if not self.global_position <= event.global_position <= self.through:
            return False
        return self.topic.matches(event) and (self.topic.stream is None or event.position >= self.position)


class Resume:
    """One reader's way from a position to the present."""

    def __init__(self, topic: Topic, *, position: int = 0, global_position: int | None = 0) -> None:
        """
        Args:
            position: first position wanted, of a stream.
            global_position: first global position wanted; None: only what is still to come.
        """
        self._topic = topic
        self._position = position
        self._next = global_position
        self._done = False
        self._last = -1  # place of the stream's last event until the boundary, if that is known
        self.boundary = 0

    @classmethod
    def since(cls, topic: Topic, since: int | None) -> Resume:
        """From a client's position: a stream's for a stream, else global; None: only what is still to come."""
        if since is not None and topic.stream is not None:
            return cls(topic, position=since)
        return cls(topic, global_position=since)

    def draw(self, newest: int, last: int = -1) -> None:
        """Draw the boundary at the newest position shown; in the same step the caller takes its place.

        Args:
            last: place of the stream's last event until there; -1: not known, so reading on must find it out.
        """
        self.boundary, self._last = newest, last
        if self._next is None:
            self._next = newest + 1

    @property
    def reached(self) -> int:
        """Global position up to which everything was read; of a stream, which is read by its own, where it began."""
        return max(0, (self._next or 0) - 1)

    def seen(self) -> Seen:
        """What its reader will have had, asked when the boundary is drawn; `through` is still open."""
        return Seen(self._topic, self._position, self._next or 0, OPEN)

    def wanted(self, limit: int = PAGE) -> Query | None:
        """What to read next, at most `limit` events; None: the boundary is reached, go live."""
        if self.over or self._next is None:
            return None
        return self._topic.query(
            position=self._position, global_position=self._next, through=self.boundary, limit=limit
        )

    @property
    def over(self) -> bool:
        """Whether the boundary is reached."""
        if self._done or self._next is None or self._next > self.boundary:
            return True
        return 0 <= self._last < self._position

    @property
    def exact(self) -> bool:
        """Whether `place` is where it has come to; not if it reads a stream from a global position on."""
        return self._topic.stream is None or self._next == 0

    @property
    def place(self) -> int:
        """The first not read yet: a position of the stream, if the topic is one, else a global one."""
        return (self._next or 0) if self._topic.stream is None else max(self._position, self._topic.floor)

    def passed(self, place: int, *, last: bool = False) -> None:
        """Everything up to this place was read; `last`: what follows lies behind the boundary."""
        if self._topic.stream is None:
            self._next = place + 1
        else:
            self._position = place + 1
        self._done = self._done or last

    def took(self, events: list[Event]) -> None:
        """The answer to `wanted`. A reader may cut a page short; only an empty one means there is no more.

        A stream is paged by its own positions: those of an import may disagree with the global ones.
        """
        if not events:
            self._done = True
        elif self._topic.stream is not None:
            self._position = events[-1].position + 1
        else:
            self._next = events[-1].global_position + 1
