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
        self.boundary = 0

    @classmethod
    def since(cls, topic: Topic, since: int | None) -> Resume:
        """From a client's position: a stream's for a stream, else global; None: only what is still to come."""
        if since is not None and topic.stream is not None:
            return cls(topic, position=since)
        return cls(topic, global_position=since)

    def draw(self, newest: int) -> None:
        """Draw the boundary at the newest position shown; in the same step the caller takes its place."""
        self.boundary = newest
        if self._next is None:
            self._next = newest + 1

    @property
    def reached(self) -> int:
        """Global position up to which everything was read; of a stream, which is read by its own, where it began."""
        return max(0, self.next - 1)

    def seen(self) -> Seen:
        """What its reader will have had, asked when the boundary is drawn; `through` is still open."""
        return Seen(self._topic, self._position, self.next, OPEN)

    def wanted(self, limit: int = PAGE) -> Query | None:
        """What to read next, at most `limit` events; None: the boundary is reached, go live."""
        if self._done or self._next is None or self._next > self.boundary:
            return None
        return self._topic.query(
            position=self._position, global_position=self._next, through=self.boundary, limit=limit
        )

    @property
    def next(self) -> int:
        """First global position not read yet."""
        return self._next or 0

    def passed(self, position: int) -> None:
        """Everything up to this global position was read; not for a stream, which is read by its own."""
        self._next = position + 1

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
