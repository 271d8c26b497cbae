"""What goes over `/ws/broadcast`, in and out. Pure.

    ← {"subscribe":["order","contact"]}
    ← {"unsubscribe":["contact"]}
    → {"channel":"order","event":"item_added","payload":{…},"id":"…","offset":41,"ts":"…"}

Clients dispatch on a top-level `channel` alone, whatever else a frame holds. So nothing but messages may have one: all
else we say has a `type`, and names channels under `channels`. A client that knows only messages never needs to know
the rest, and asks for none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.errors import Rejected
from appliance.model.frames import text_frame, timed_ping

__all__ = ["Ask", "BadFrame", "acknowledged", "beat", "error", "gap", "subscribe_error", "understood", "welcome"]

FARTHEST = 2**53 - 1  # what every JSON reader holds exactly
LONGEST_TAG = 200  # characters of an `ack`

Tag = str | int | bool


class BadFrame(Rejected):
    """A frame that asks for nothing we know."""

    code = "bad_frame"


@dataclass(frozen=True, slots=True)
class Ask:
    """What one frame of a client asks for: sets of channels, in the order in which they were named."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    since: Mapping[str, int] | None = None  # offset last seen, by channel; None: it does not speak of offsets
    ack: Tag | None = None  # what it wants to hear its answer by; None: it wants none

    @property
    def answered(self) -> bool:
        """Whether it expects to be told where its subscriptions begin."""
        return self.since is not None or self.ack is not None


class _Frame(msgspec.Struct):
    subscribe: Any = None
    unsubscribe: Any = None
    since: Any = None
    ack: Any = None


_decode = msgspec.json.Decoder(_Frame).decode
_encode = msgspec.json.encode


def understood(text: str | bytes) -> Ask:
    """What a frame asks for. Both keys in one frame: subscribed first, then unsubscribed, so that the latter wins.

    Raises:
        BadFrame: not a JSON object, or an extra of ours is wrong in it.
    """
    try:
        frame = _decode(text)
    except (ValueError, RecursionError) as wrong:
        raise BadFrame(
            "a frame is one JSON object", hint='send {"subscribe": ["order"]} or {"unsubscribe": ["order"]}'
        ) from wrong
    leaving = _names(frame.unsubscribe)
    coming = tuple(name for name in _names(frame.subscribe) if name not in leaving)
    return Ask(coming, leaving, _since(frame.since), _tag(frame.ack))


def welcome(connection: str, *, every: float, deadline: float) -> bytes:
    """The first frame: who the client is here, and when to give us up.

    Args:
        every: seconds between two pings.
        deadline: seconds without a frame from us after which the link is dead.
    """
    return _say("welcome", connection_id=connection, ping_every_s=every, ping_deadline_s=deadline)


def acknowledged(ask: Ask, channels: Sequence[str], offsets: Mapping[str, int]) -> bytes:
    """The answer for those who asked for one.

    Args:
        channels: those of the channels asked for that are subscribed now.
        offsets: of those that begin here: every message behind this offset comes. -1: from the first one on.
    """
    tag = {} if ask.ack is None else {"ack": ask.ack}
    said = b""
    if ask.subscribe:
        said += _say("subscribed", channels=channels, offsets=offsets, **tag)
    if ask.unsubscribe:
        said += _say("unsubscribed", channels=ask.unsubscribe, **tag)
    return said


def subscribe_error(channels: Sequence[str], code: str, message: str) -> bytes:
    """These channels are not subscribed; all else is as it was."""
    return _say("subscribe_error", channels=channels, code=code, message=message)


def gap(channel: str, *, asked: int, next: int) -> bytes:
    """Messages are gone that a client asked for: it should read the present state anew.

    Args:
        asked: first offset wanted.
        next: the first that can still come.
    """
    return _say("gap", channels=[channel], asked=asked, next=next)


def error(code: str, message: str, **facts: object) -> bytes:
    """Something is wrong with what the client sent; the connection stays."""
    return _say("error", code=code, message=message, **facts)


def beat(now: float) -> bytes:
    """A ping for the library at the other end, and one that a script sees, which has no other way to miss it."""
    return timed_ping(now) + _PING


def _say(type: str, **fields: object) -> bytes:
    return text_frame(_encode({"type": type, **fields}))


_PING = _say("ping")


def _names(value: object) -> tuple[str, ...]:
    """What is no list is ignored, and in a list what is no name."""
    if not isinstance(value, list):
        return ()
    return tuple(dict.fromkeys(name for name in value if isinstance(name, str) and name))


def _since(value: object) -> dict[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(_is_offset(offset) for offset in value.values()):
        raise BadFrame("since is an object of offsets", hint='send {"subscribe": ["order"], "since": {"order": 41}}')
    return value


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= FARTHEST


def _tag(value: object) -> Tag | None:
    if value is None or value is False:
        return None
    if not isinstance(value, str | int) or len(str(value)) > LONGEST_TAG:
        raise BadFrame(f"ack is true, a number, or a text of up to {LONGEST_TAG} characters")
    return value
