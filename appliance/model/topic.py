"""What a live reader asks for, and how its bytes look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from appliance.model.event import Event, Group, Query
from appliance.model.names import category_of

__all__ = ["Dialect", "Topic"]


class Topic(msgspec.Struct, frozen=True):
    """Which events of a namespace: one stream, some categories, or (neither) all of them.

    `floor` leaves out what lies below a position that is still to come: a stream position for a stream,
    else a global position.
    """

    namespace: int
    stream: str | None = None
    categories: tuple[str, ...] = ()
    group: Group | None = None
    floor: int = 0

    def matches(self, event: Event) -> bool:
        if event.namespace != self.namespace:
            return False
        if self.stream is not None:
            return event.stream == self.stream and event.position >= self.floor
        if event.global_position < self.floor:
            return False
        if self.categories and category_of(event.stream) not in self.categories:
            return False
        return self.group is None or self.group.owns(event.stream)

    def query(self, *, position: int = 0, global_position: int = 0, through: int, limit: int) -> Query:
        """The stored events of this topic in a window of the log."""
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


class Dialect(Protocol):
    """How events become ready bytes. One object for each dialect: audiences are told apart by it."""

    @property
    def idle(self) -> bytes:
        """A sign of life for a connection that has nothing to say."""
        ...

    @property
    def quiet(self) -> float:
        """Seconds between two of them."""
        ...

    def encode(self, event: Event) -> bytes:
        """One event. Called once for each event, whatever the number of audiences."""
        ...

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Encoded events as they go over the wire in one piece."""
        ...
