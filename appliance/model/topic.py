"""What a live reader asks for, and how its bytes look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from appliance.model.event import Event, Group, Query
from appliance.model.names import category_of

__all__ = ["Dialect", "Filter", "Lost", "Topic"]


class Filter(Protocol):
    """What of a topic is wanted. Frozen and hashable: readers with equal filters share one audience."""

    def passes(self, event: Event) -> bool:
        """Asked once for each event and audience."""
        ...

    def misses(self, event: Event) -> str:
        """Why it does not pass, in a sentence; empty: it does."""
        ...


class Topic(msgspec.Struct, frozen=True):
    """Which events of a namespace: one stream, some categories, or (neither) all of them.

    `floor` leaves out what lies below a position that is still to come: a stream position for a stream,
    else a global position. `ephemeral`: also what is announced and never stored.
    """

    namespace: int
    stream: str | None = None
    categories: tuple[str, ...] = ()
    group: Group | None = None
    floor: int = 0
    filter: Filter | None = None
    ephemeral: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What is followed, as people read it."""
        return (self.stream,) if self.stream is not None else self.categories or ("everything",)

    def place(self, event: Event) -> int:
        """Where an event stands in what is followed: a position of the stream, or else of the log."""
        return event.global_position if self.stream is None else event.position

    def matches(self, event: Event) -> bool:
        if event.namespace != self.namespace or (event.ephemeral and not self.ephemeral):
            return False
        return self._covers(event) and (self.filter is None or self.filter.passes(event))

    def _covers(self, event: Event) -> bool:
        if self.stream is not None:
            return event.stream == self.stream and (event.ephemeral or event.position >= self.floor)
        if event.global_position < self.floor:
            return False
        if self.categories and category_of(event.stream) not in self.categories:
            return False
        return self.group is None or self.group.owns(event.stream)

    def misses(self, event: Event) -> str:
        """Why an event of its namespace is not covered, in a sentence; empty: it is."""
        if self.matches(event):
            return ""
        if event.ephemeral and not self.ephemeral:
            return "it follows what is stored, and this was told in passing"
        if not self._covers(event):
            return self._astray(event)
        return "" if self.filter is None else self.filter.misses(event)

    def _astray(self, event: Event) -> str:
        if self.stream is not None and event.stream != self.stream:
            return f"{event.stream} is not the stream it follows, {self.stream}"
        if self.categories and category_of(event.stream) not in self.categories:
            return f"{category_of(event.stream)} is not among the categories it follows, {', '.join(self.categories)}"
        if self.group is not None and not self.group.owns(event.stream):
            return f"the stream belongs to another member of its group of {self.group.size}"
        return f"it follows what comes from position {self.floor} on"

    def query(self, *, position: int = 0, global_position: int = 0, through: int, limit: int) -> Query:
        """The stored events of this topic in a window of the log; `filter` is left to the reader."""
        return Query(
            self.namespace,
            stream=self.stream,
            categories=self.categories,
            position=max(position, self.floor) if self.stream is not None else 0,
            global_position=global_position if self.stream is not None else max(global_position, self.floor),
            through=through,
            limit=limit,
            group=self.group,
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """Part of what a reader asked for is gone: retention has removed it, or it never was."""

    asked: int  # first position wanted; a stream's for a stream, else global
    oldest: int  # first position there is


class Dialect(Protocol):
    """How events become ready bytes. One object for each dialect: audiences are told apart by it."""

    @property
    def transport(self) -> str:
        """What its bytes are for, as counts are told apart: "websocket" or "sse"."""
        ...

    @property
    def window(self) -> float:
        """Seconds in which ephemeral events with one key are merged into the first and the newest; 0: never."""
        ...

    def encode(self, event: Event) -> bytes:
        """One event. Called once for each event, whatever the number of audiences."""
        ...

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Encoded events as they go over the wire in one piece."""
        ...

    def key(self, event: Event) -> str:
        """What an ephemeral event is merged under; empty: it is not."""
        ...

    def settles(self, event: Event) -> str:
        """The key whose newest value must be out before this event; empty: none."""
        ...

    def lagged(self, missed: int) -> bytes:
        """Said to a reader that fell out of the ring by `missed` events and reads on from the log; may be empty."""
        ...

    def gap(self, lost: Lost) -> bytes:
        """Said before the history to a reader part of whose past is gone; may be empty."""
        ...
