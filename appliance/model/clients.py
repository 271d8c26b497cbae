"""Who is connected live: the seam between the endpoints, which let clients in, and the one who looks after them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from appliance.model.event import Event
from appliance.model.http import Outlet, Request, Socket
from appliance.model.principal import Principal
from appliance.model.topic import Topic

__all__ = ["Client", "Clients", "Habits", "Reading", "Visitor", "Watcher"]


@dataclass(frozen=True, slots=True)
class Habits:
    """How connections of a dialect are kept alive. One object for each dialect."""

    dialect: str  # "eventing", "broadcast", "tail", "pokes", as the roster shows it
    transport: Literal["websocket", "sse"]
    every: float  # seconds between two signs of life
    dead: float  # seconds without a byte from the peer until it is given up; inf: cannot be told
    beat: Callable[[float], bytes]  # the sign of life as ready bytes, given the loop's time; shared by all due at once


class Reading(Protocol):
    """One place in the stream of events, as a client holds one or several."""

    @property
    def topic(self) -> Topic:
        """What is followed here."""
        ...

    @property
    def lag(self) -> int:
        """Events it has not been sent yet."""
        ...

    def sent(self, event: Event) -> bool | None:
        """Whether this event was handed over; None: it is not followed here, or came before that began."""
        ...


class Client(Protocol):
    """One live connection in the roster."""

    id: str
    topics: tuple[str, ...]  # what it follows, as people read it; the endpoint keeps it true
    readings: Iterable[Reading]  # where it stands; may be a live view, and is looked at only when somebody asks

    def received(self) -> None:
        """A message came from it."""
        ...


class Visitor(Protocol):
    """A live connection as those see it who count."""

    id: str
    principal: Principal | None  # None: an anonymous listener
    address: str
    habits: Habits


class Watcher(Protocol):
    """Told of connections that come and go. Waits for nobody."""

    def opened(self, client: Visitor) -> None: ...

    def closed(self, client: Visitor, seconds: float, reason: str) -> None:
        """`reason`: why we ended it; empty: it left."""
        ...


class Clients(Protocol):
    """The connection manager."""

    def check(self, request: Request) -> None:
        """Whether one more may come, asked before an upgrade or a stream's head.

        Raises:
            LimitReached: too many in all, from this address or of this subject; 503 with `retry_after`.
        """
        ...

    def enter(
        self, request: Request, outlet: Outlet, habits: Habits, socket: Socket | None = None
    ) -> AbstractContextManager[Client]:
        """Put a connection into the roster for as long as the context lasts.

        From now on it is pinged, ended with 4003 when dead, with 4401 when its token has expired or was revoked.

        Raises:
            LimitReached: as `check`; others were faster.
        """
        ...
