"""Broadcast channels: how they lie in the log, and where those who write to them meet those who listen. Pure.

The messages of channel `order` are the stream `channel-order`: the name of an event is its type, its payload is the
data, and the place in the stream is the offset. So a channel has a history, and no message is shown before it is on
disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from appliance.errors import Rejected
from appliance.model.principal import Principal

__all__ = [
    "CATEGORY",
    "LONGEST_CHANNEL",
    "ORIGIN",
    "May",
    "Seating",
    "by_scope",
    "channel_of",
    "check_channel",
    "is_channel",
    "stream_of",
]

CATEGORY = "channel"
LONGEST_CHANNEL = 200  # characters of a name
ORIGIN = "origin"  # member of a message's metadata: what its writer calls itself

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters, which are no UTF-8

May = Callable[[Principal, str, str], bool]  # whether a caller may `read` or `write` (a scope) a channel


class Seating(Protocol):
    """Who listens where, as those who write to channels need to know it."""

    def count(self, namespace: int, channel: str) -> int:
        """Connections that listen to the channel now."""
        ...

    def hide(self, namespace: int, connection: str, channel: str, event_id: str) -> None:
        """Keep a message that is about to be written from a connection; one that does not listen is left alone."""
        ...

    def unhide(self, connection: str, event_id: str) -> None:
        """That message will not come."""
        ...


def by_scope(principal: Principal, channel: str, scope: str) -> bool:
    """The rule unless there is another: who has the scope has it for all channels."""
    return principal.may(scope)


def stream_of(channel: str) -> str:
    return f"{CATEGORY}-{channel}"


def channel_of(stream: str) -> str:
    """The channel whose messages a stream of the category holds."""
    return stream.removeprefix(f"{CATEGORY}-")


def is_channel(name: str) -> bool:
    """Whether a channel can have this name."""
    return 0 < len(name) <= LONGEST_CHANNEL and _CONTROL.search(name) is None


def check_channel(name: str) -> str:
    """Raises Rejected: no channel can have this name."""
    if not is_channel(name):
        raise Rejected(
            f"a channel has 1 to {LONGEST_CHANNEL} characters, none of them a control character",
            hint='name the channel as it is subscribed, for example "order"',
        )
    return name
