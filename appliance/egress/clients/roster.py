"""Every live connection, whatever its transport: how many there are, and whose sign of life is due.

Pure; `now` comes as an argument. No connection has a timer: those of a dialect all wait equally long, so they
stand in the order in which they are due, and a look takes from the front.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from appliance.clock import stamp
from appliance.errors import TooManyClients
from appliance.model.clients import Habits, Reading
from appliance.model.event import Event
from appliance.model.http import Outlet, Socket
from appliance.model.principal import Principal

__all__ = ["RETRY_AFTER", "Entry", "Roster"]

RETRY_AFTER = 5  # seconds a refused client is told to wait


class Entry:
    """One live connection: `model.clients.Client`."""

    __slots__ = (
        "address", "connected", "habits", "id", "joined", "messages", "outlet", "principal", "readings", "socket",
        "topics",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        principal: Principal | None,
        address: str,
        habits: Habits,
        outlet: Outlet,
        socket: Socket | None,
        *,
        connected: int,
        joined: float,
    ) -> None:
        """
        Args:
            principal: None: an anonymous listener.
            connected: microseconds since 1970.
            joined: the same moment in the loop's time.
        """
        self.id = id
        self.principal = principal
        self.address = address
        self.habits = habits
        self.outlet = outlet
        self.socket = socket
        self.connected = connected
        self.joined = joined
        self.topics: tuple[str, ...] = ()
        self.readings: Iterable[Reading] = ()
        self.messages = 0

    @property
    def subject(self) -> str:
        """Whom a limit per token counts; empty: nobody in particular."""
        return "" if self.principal is None else _subject(self.principal)

    def received(self) -> None:
        self.messages += 1

    def is_of(self, viewer: Principal) -> bool:
        """Whether it was opened by the same caller."""
        mine = self.principal
        return mine is not None and mine.namespace == viewer.namespace and self.subject == _subject(viewer) != ""

    def follows(self, event: Event) -> list[Reading]:
        """Where it stands in the event's namespace."""
        return [reading for reading in self.readings if reading.topic.namespace == event.namespace]

    def silent_for(self, now: float) -> float:
        """Seconds since the peer last sent anything; 0 where that cannot be told."""
        return 0.0 if self.socket is None else now - self.socket.heard

    def row(self, now: float) -> dict[str, object]:
        """As operators see it."""
        latency = None if self.socket is None else self.socket.latency
        return {
            "id": self.id,
            "subject": "" if self.principal is None else self.principal.subject,
            "namespace": "" if self.principal is None else self.principal.namespace.id,
            "address": self.address,
            "transport": self.habits.transport,
            "dialect": self.habits.dialect,
            "topics": list(self.topics),
            "connected_at": stamp(self.connected),
            "idle_s": None if self.socket is None else round(max(0.0, self.silent_for(now)), 1),
            "latency_ms": None if latency is None else round(latency * 1000, 1),
            "lag": sum(reading.lag for reading in self.readings),
            "bytes": self.outlet.sent,
            "received": self.messages,
        }


class Roster:
    """
    Args:
        total: live connections at once.
        per_address: of them from one address; loopback is not counted.
        per_subject: of them with one token.
    """

    def __init__(self, total: int, *, per_address: int, per_subject: int) -> None:
        self._total = total
        self._per_address = per_address
        self._per_subject = per_subject
        self._entries: dict[str, Entry] = {}
        self._addresses: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self._due: dict[Habits, dict[Entry, float]] = {}  # by when the next sign of life is due

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, id: str) -> Entry | None:
        return self._entries.get(id)

    def check(self, principal: Principal | None, address: str) -> None:
        """Whether there is room for one more.

        Raises:
            TooManyClients: there is none.
        """
        if len(self._entries) >= self._total:
            raise _full(f"{self._total} live connections are open, the most there may be", "clients.limit")
        if self._addresses[address] >= self._per_address and not _loopback(address):
            raise _full(f"{self._per_address} live connections come from {address} already", "clients.per_address")
        subject = "" if principal is None else _subject(principal)
        if subject and self._subjects[subject] >= self._per_subject:
            raise _full(f"{self._per_subject} live connections use this token already", "clients.per_subject")

    def enter(self, entry: Entry) -> None:
        """Raises TooManyClients, as `check`."""
        self.check(entry.principal, entry.address)
        self._entries[entry.id] = entry
        self._addresses[entry.address] += 1
        self._subjects[entry.subject] += 1
        self._due.setdefault(entry.habits, {})[entry] = entry.joined + entry.habits.every

    def leave(self, entry: Entry) -> None:
        if self._entries.pop(entry.id, None) is None:
            return
        for count, key in ((self._addresses, entry.address), (self._subjects, entry.subject)):
            count[key] -= 1
            if not count[key]:
                del count[key]
        waiting = self._due[entry.habits]
        waiting.pop(entry, None)
        if not waiting:
            del self._due[entry.habits]

    def next_due(self) -> float:
        """When the next sign of life is due; inf: nobody is here."""
        return min((next(iter(waiting.values())) for waiting in self._due.values()), default=math.inf)

    def due(self, now: float) -> Iterator[tuple[Habits, list[Entry]]]:
        """Whose sign of life is due, by dialect; their next one is put down at once."""
        for habits, waiting in list(self._due.items()):
            found: list[Entry] = []
            for entry, when in waiting.items():
                if when > now:
                    break
                found.append(entry)
            for entry in found:
                del waiting[entry]
                waiting[entry] = now + habits.every
            if found:
                yield habits, found


def _subject(principal: Principal) -> str:
    return principal.token_id or principal.subject


def _loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _full(message: str, key: str) -> TooManyClients:
    return TooManyClients(
        message, retry_after=RETRY_AFTER, hint=f"try again in {RETRY_AFTER} s, or raise {key}", limit=key
    )
