"""Broadcast channels: how they lie in the log, and where those who write to them meet those who listen. Pure.

The messages of channel `order` are the stream `channel-order`: the name of an event is its type, its payload is the
data, and the place in the stream is the offset. So a channel has a history, and no message is shown before it is on
disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from appliance.errors import Rejected
from appliance.model.principal import ADMIN, READ, SCOPES, Principal

__all__ = [
    "CATEGORY",
    "LONGEST_CHANNEL",
    "ORIGIN",
    "ChannelRule",
    "May",
    "Seating",
    "by_scope",
    "channel_of",
    "check_channel",
    "is_channel",
    "ruled",
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


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """Who may do what in some channels: scopes, and names of tokens. Empty: who has the scope for it."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def allows(self, principal: Principal, scope: str) -> bool:
        """Whether the caller, who has the scope itself, may use it in these channels."""
        named = self.read if scope == READ else self.write
        return (
            not named
            or principal.may(ADMIN)
            or any(principal.may(name) if name in SCOPES else name == principal.subject for name in named)
        )


def ruled(rules: Mapping[str, ChannelRule]) -> May:
    """The rule of each channel.

    Args:
        rules: by channel, or by how its name begins and a star ("private-*"). The longest that fits is the one that
            counts; channels that none fits are as `by_scope` says.
    """
    beginnings = sorted((name for name in rules if name.endswith("*")), key=len, reverse=True)

    def may(principal: Principal, channel: str, scope: str) -> bool:
        rule = rules.get(channel) or next(
            (rules[name] for name in beginnings if channel.startswith(name[:-1])), ChannelRule()
        )
        return by_scope(principal, channel, scope) and rule.allows(principal, scope)

    return may


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
