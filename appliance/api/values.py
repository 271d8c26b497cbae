"""The small values that handlers are given and give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from appliance.errors import ApplianceError, PeerFailed

__all__ = ["Caller", "Event", "HttpReply", "Misdeclared", "NoConfig", "Receipt", "Response"]

D_co = TypeVar("D_co", covariant=True)


class Misdeclared(ApplianceError):
    """A plugin says something about itself that cannot be: its author has to change it."""

    code = "plugin_misdeclared"


@dataclass(frozen=True, slots=True)
class NoConfig:
    """The config of a plugin that has nothing to configure."""


@dataclass(slots=True)
class Receipt:
    """Proof that an event is stored, synced, and visible to everyone.

    One that `tx.emit` gave is filled when its transaction is left; before, its positions are -1. An event of a type
    that is not stored has position -1, and the `global_position` of the newest stored one.
    """

    id: str = ""
    stream: str = ""
    position: int = -1  # in its stream, from 0
    global_position: int = -1  # in the log, from 1

    def __str__(self) -> str:
        return f"{self.stream} @ {self.position}"


@dataclass(frozen=True, slots=True)
class Event(Generic[D_co]):
    """What an `on` handler is given.

    `data` is an instance of the class the handler was declared for. One declared by a name as text gets the members
    of the JSON as attributes: `event.data.total`, also `event.data["total"]`, `event.data.get("total", 0)`.
    """

    id: str
    type: str  # "NoteUpdated"
    stream: str
    position: int  # in its stream, from 0
    global_position: int  # in the log, from 1
    time: str  # RFC 3339, UTC
    data: D_co
    memory: str = ""  # "": none
    correlation: str = ""  # "": not said
    causation: str = ""  # "": not said
    actor: Mapping[str, str] = field(default_factory=dict)  # kind, and perhaps id and name


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request."""

    subject: str  # for logs; "": not said
    namespace: str  # "default"
    scopes: frozenset[str]
    memories: frozenset[str]  # it is bound to; empty: to none in particular

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is more than a value with status 200.

    `body`: bytes and text go out as they are, anything else as JSON; None: nothing.
    """

    body: Any = None
    status: int = 200
    content_type: str = ""  # "": application/json, or text/plain for text, application/octet-stream for bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What another server answered, whatever its status."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """Raises PeerFailed: the body is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise PeerFailed(f"the answer is no JSON: {error}", status=self.status) from error
