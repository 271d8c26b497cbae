"""A draft becomes an event when the log has given it a position; the event is its own receipt.

What is made once per event is a msgspec struct, unknown to the garbage collector: a frozen dataclass costs ten
times as much to make, and none of these can be part of a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from appliance.model.names import member_of
from appliance.model.state import StateChange, StateCheck

__all__ = ["Draft", "Event", "Group", "Head", "Imported", "Namespace", "Page", "Query", "Unit"]


class Draft(msgspec.Struct, frozen=True, gc=False):
    """What a writer asks for. Already checked: nothing here can be refused for its form."""

    stream: str
    type: str
    data: str  # one JSON object, compact, no raw newlines
    metadata: str | None = None  # the same, or None
    id: str = ""  # canonical UUID text; empty: give it one
    expected_version: int | None = None  # -1: the stream must not exist yet


class Event(msgspec.Struct, frozen=True, gc=False):
    """A stored fact, or something announced in passing (progress, presence, a queue's status)."""

    namespace: int  # Namespace.key
    stream: str
    type: str
    position: int  # in its stream, from 0; -1: ephemeral, nowhere stored
    global_position: int  # in its namespace, from 1; of an ephemeral one that of the newest stored event
    id: str
    data: str
    metadata: str | None
    time: int  # microseconds since 1970, UTC

    @property
    def ephemeral(self) -> bool:
        return self.position < 0


class Imported(msgspec.Struct, frozen=True, gc=False):
    """A record that keeps the positions and the time it had elsewhere."""

    stream: str
    type: str
    position: int
    global_position: int
    id: str
    data: str
    metadata: str | None
    time: int


class Unit(msgspec.Struct, frozen=True, gc=False):
    """Drafts and changes of small values that are written together or not at all. It may have either without the other.

    `key` makes it idempotent: the same key with the same `fingerprint` gets the first receipt again and
    changes nothing, with another fingerprint it is refused. `checks` are of the values as they are before `changes`.
    """

    namespace: int
    drafts: tuple[Draft, ...]
    key: str = ""
    fingerprint: bytes = b""
    changes: tuple[StateChange, ...] = ()  # in order: each sees those before it
    checks: tuple[StateCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A world of its own: log, positions, tokens, subscriptions."""

    key: int  # small, never used again
    id: str  # what clients call it
    description: str = ""
    created: int = 0  # microseconds since 1970


@dataclass(frozen=True, slots=True)
class Head:
    """How far a stream is."""

    stream: str
    version: int  # position of the last event
    time: int  # of that event


@dataclass(frozen=True, slots=True)
class Group:
    """One member of a consumer group; each stream with an id belongs to exactly one member."""

    member: int  # 0 <= member < size
    size: int

    def owns(self, stream: str) -> bool:
        return member_of(stream, self.size) == self.member


@dataclass(frozen=True, slots=True)
class Query:
    """What to read of a namespace, in log order.

    One of: a `stream`, some `categories`, or (neither) everything.
    """

    namespace: int
    stream: str | None = None
    categories: tuple[str, ...] = ()
    position: int = 0  # first stream position wanted; only with `stream`
    global_position: int = 0  # first global position wanted
    through: int | None = None  # last global position wanted
    limit: int | None = None  # most events; None: all
    correlation: str | None = None  # category of metadata.correlationStreamName
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Ready JSON: the array elements of an answer, joined by commas, and how far it reaches."""

    text: str
    count: int
    position: int = -1  # stream position of the last element; only meaningful for a stream
    global_position: int = 0  # of the last element: go on after it
    cut: bool = False  # ended early because of its size, not because there is no more
