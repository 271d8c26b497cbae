"""Who listens to which channel. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from appliance.egress.broadcast.sieve import Sieve

__all__ = ["Seat", "Seats"]


@dataclass(eq=False, slots=True)
class Seat:
    """A connection's."""

    id: str
    namespace: int
    outlet: Sieve
    channels: dict[str, None] = field(default_factory=dict)  # an ordered set


class Seats:
    """All connections: `model.channels.Seating`."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}
        self._connections: Counter[int] = Counter()  # by namespace
        self._listeners: dict[int, dict[str, int]] = {}  # by namespace and channel

    @contextmanager
    def taken(self, seat: Seat) -> Iterator[None]:
        """For as long as the connection lasts."""
        self._seats[seat.id] = seat
        self._connections[seat.namespace] += 1
        try:
            yield
        finally:
            for channel in list(seat.channels):
                self.leave(seat, channel)
            del self._seats[seat.id]
            self._connections[seat.namespace] -= 1

    def join(self, seat: Seat, channel: str) -> None:
        """It listens to the channel from now on, if it does not yet."""
        if channel not in seat.channels:
            seat.channels[channel] = None
            listeners = self._listeners.setdefault(seat.namespace, {})
            listeners[channel] = listeners.get(channel, 0) + 1

    def leave(self, seat: Seat, channel: str) -> None:
        """It does not listen to the channel any more."""
        if channel in seat.channels:
            del seat.channels[channel]
            listeners = self._listeners[seat.namespace]
            listeners[channel] -= 1
            if not listeners[channel]:
                del listeners[channel]

    def connections(self, namespace: int) -> int:
        return self._connections[namespace]

    def channels(self, namespace: int) -> list[str]:
        """Those somebody listens to."""
        return list(self._listeners.get(namespace, ()))

    def count(self, namespace: int, channel: str) -> int:
        return self._listeners.get(namespace, {}).get(channel, 0)

    def hide(self, namespace: int, connection: str, channel: str, event_id: str) -> None:
        seat = self._seats.get(connection)
        if seat is not None and seat.namespace == namespace and channel in seat.channels:
            seat.outlet.hide(event_id)

    def unhide(self, connection: str, event_id: str) -> None:
        seat = self._seats.get(connection)
        if seat is not None:
            seat.outlet.unhide(event_id)
