"""What dialects share: encode an event once, however many audiences it concerns, and say nothing more."""

from __future__ import annotations

from collections.abc import Callable

from appliance.model.event import Event
from appliance.model.topic import Lost

__all__ = ["Plain", "once"]


class Plain:
    """A dialect that shows stored events only, and has no words for anything else."""

    transport = "websocket"
    window = 0.0

    def key(self, event: Event) -> str:
        return ""

    def settles(self, event: Event) -> str:
        return ""

    def lagged(self, missed: int) -> bytes:
        return b""

    def gap(self, lost: Lost) -> bytes:
        return b""


def once(encode: Callable[[Event], bytes]) -> Callable[[Event], bytes]:
    """Remembers the last event: audiences are served event by event, so one memory is enough."""
    last: Event | None = None
    data = b""

    def encode_once(event: Event) -> bytes:
        nonlocal last, data
        if event is not last:
            last, data = event, encode(event)
        return data

    return encode_once
