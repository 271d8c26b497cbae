"""A channel's messages as ready frames. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from appliance.clock import stamp
from appliance.egress.broadcast.protocol import gap
from appliance.egress.memo import Plain
from appliance.model.channels import ORIGIN
from appliance.model.event import Event
from appliance.model.frames import text_frame
from appliance.model.topic import Lost

__all__ = ["ChannelDialect", "mark_of"]


class _Said(msgspec.Struct):
    origin: Any = msgspec.field(name=ORIGIN, default=None)


_metadata = msgspec.json.Decoder(_Said).decode


@dataclass(frozen=True)
class ChannelDialect(Plain):
    """One for each channel: what is gone of a channel is told by its name.

    A reader that falls behind reads on from the log and misses nothing, so nobody is told that it lagged.
    """

    channel: str
    _head: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_head", f'{{"channel":{_text(self.channel)},"event":')

    def encode(self, event: Event) -> bytes:
        said = _origin(event.metadata)
        origin = f',"origin":{_text(said)}' if said else ""
        return text_frame(
            f'{self._head}{_text(event.type)},"payload":{event.data},{mark_of(event.id)}'
            f',"offset":{event.position},"ts":"{stamp(event.time)}"{origin}}}'.encode()
        )

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)

    def gap(self, lost: Lost) -> bytes:
        return gap(self.channel, asked=lost.asked, next=lost.oldest)


def mark_of(id: str) -> str:
    """By what the frame of a message is told from all others."""
    return f'"id":{_text(id)}'


def _origin(metadata: str | None) -> str:
    if metadata is None or f'"{ORIGIN}"' not in metadata:
        return ""
    try:
        said = _metadata(metadata).origin
    except msgspec.MsgspecError:  # whatever the message-store API was given
        return ""
    return said if isinstance(said, str) else ""


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
