"""What a client sends and gets back: plain values, with positions as in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.model.names import category_of

__all__ = [
    "Category",
    "Created",
    "Deleted",
    "Imported",
    "Message",
    "Namespace",
    "Poke",
    "Receipt",
    "StreamHead",
    "Topic",
    "Write",
]


@dataclass(frozen=True, slots=True)
class Write:
    """A message before it is written."""

    stream: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] | None = None
    id: str = ""  # a UUID; empty: the server gives one
    expected_version: int | None = None  # -1: the stream must not exist yet


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a write: it is on disk, at this place."""

    stream: str
    position: int  # in the stream, from 0
    global_position: int  # in the namespace, from 1

    def __str__(self) -> str:
        return f"{self.stream} @ {self.position}"


@dataclass(frozen=True, slots=True)
class Message:
    """A stored fact."""

    id: str
    stream: str
    type: str
    position: int
    global_position: int
    data: dict[str, Any]
    metadata: dict[str, Any] | None
    time: str  # RFC 3339, UTC


@dataclass(frozen=True, slots=True)
class Poke:
    """Something new is at this place; read it to see what."""

    stream: str
    position: int
    global_position: int


@dataclass(frozen=True, slots=True)
class StreamHead:
    """A stream and how far it is."""

    stream: str
    version: int
    last_activity: str | None


@dataclass(frozen=True, slots=True)
class Category:
    category: str
    streams: int
    messages: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A world of its own. What the server did not say is None."""

    namespace: str
    description: str
    created: str
    messages: int
    streams: int | None = None
    last_activity: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A new namespace. The token is shown this once."""

    namespace: str
    token: str
    created: str


@dataclass(frozen=True, slots=True)
class Deleted:
    namespace: str
    deleted: str
    messages: int


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import is: events stored so far, and the last global position among them."""

    count: int
    global_position: int | None


@dataclass(frozen=True, slots=True)
class Topic:
    """What a subscriber asks for: one stream, some categories, or (neither) everything.

    `member` and `size` make it one of a consumer group; each stream with an id then belongs to one member.
    """

    stream: str | None = None
    categories: tuple[str, ...] = ()
    member: int | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.stream is not None and self.categories:
            raise ValueError("a topic is one stream or some categories, not both")
        if (self.member is None) != (self.size is None):
            raise ValueError("a consumer group needs both member and size")

    def place(self, seen: Poke | Message) -> int:
        """The number this topic counts by: the stream's position, or the global one."""
        return seen.global_position if self.stream is None else seen.position

    def covers(self, stream: str) -> bool:
        """Whether a message of `stream` is asked for (consumer groups aside)."""
        if self.stream is not None:
            return stream == self.stream
        return not self.categories or category_of(stream) in self.categories

    @property
    def start(self) -> int:
        """The first place there can be."""
        return 1 if self.stream is None else 0
