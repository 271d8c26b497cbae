"""Encode an event once, however many audiences of a dialect it concerns."""

from __future__ import annotations

from collections.abc import Callable

from appliance.model.event import Event

__all__ = ["once"]


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
