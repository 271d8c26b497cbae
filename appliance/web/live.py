"""The live endpoints as AsyncAPI describes them: what each says beside the events of the catalog, and what it hears.

The classes are for description only, and a test holds them against what the endpoints really say and take.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from appliance.web.asyncapi import Live

__all__ = ["ENDPOINTS"]


class _Stamped(msgspec.Struct, tag_field="type", kw_only=True):
    timestamp: str
    seq: int
    event_id: str
    ephemeral: Literal[True]


class Refresh(msgspec.Struct, tag_field="type", tag="refresh"):
    """Tell me the state of the job queue."""


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe", forbid_unknown_fields=True):
    """From now on show me only this."""

    types: list[str] | UnsetType = UNSET  # "note", "note.updated", "NoteUpdated"
    memory: str | UnsetType = UNSET
    entity_id: str | UnsetType = UNSET
    since: str | int | UnsetType = UNSET  # the `seq` or `event_id` last seen


class Unsubscribe(msgspec.Struct, tag_field="type", tag="unsubscribe"):
    """No more events; the connection stays."""


class Subscribed(_Stamped, tag=True, kw_only=True):
    """What is shown from now on."""

    types: list[str] | UnsetType = UNSET
    memory: str | UnsetType = UNSET
    entity_id: str | UnsetType = UNSET


class Unsubscribed(_Stamped, tag=True, kw_only=True):
    """Nothing is shown from now on."""


class Error(_Stamped, tag=True, kw_only=True):
    """A command was not understood, or not allowed."""

    code: str
    message: str
    hint: str


class Connected(msgspec.Struct, tag_field="type", tag=True):
    """The first block: nothing written behind `seq` is missed."""

    dialect: Literal["pascal", "dotted"]
    seq: int


class Closing(msgspec.Struct, tag_field="type", tag=True):
    """The last block: come back after `retry_ms`."""

    reason: str
    retry_ms: int


class ChannelsAsked(msgspec.Struct, kw_only=True):
    """Channels a client wants to hear, or no longer."""

    subscribe: list[str] | UnsetType = UNSET
    unsubscribe: list[str] | UnsetType = UNSET
    since: dict[str, int] | UnsetType = UNSET  # offset last seen, by channel
    ack: str | int | bool | UnsetType = UNSET


class ChannelMessage(msgspec.Struct, kw_only=True):
    """Something was said in a channel."""

    channel: str
    event: str
    payload: Any
    id: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET
    ts: str | UnsetType = UNSET
    origin: str | UnsetType = UNSET  # what its sender called itself


class Welcome(msgspec.Struct, tag_field="type", tag="welcome"):
    """The first frame: who the client is here, and when to give us up."""

    connection_id: str
    ping_every_s: float
    ping_deadline_s: float


class ChannelsSubscribed(msgspec.Struct, tag_field="type", tag="subscribed", kw_only=True):
    """For a client that asked for an answer: every message behind these offsets comes."""

    channels: list[str]
    offsets: dict[str, int]
    ack: str | int | bool | UnsetType = UNSET


class ChannelsUnsubscribed(msgspec.Struct, tag_field="type", tag="unsubscribed", kw_only=True):
    channels: list[str]
    ack: str | int | bool | UnsetType = UNSET


class ChannelsRefused(msgspec.Struct, tag_field="type", tag="subscribe_error"):
    """These channels are not subscribed."""

    channels: list[str]
    code: str
    message: str


class Gap(msgspec.Struct, tag_field="type", tag="gap"):
    """Messages that were asked for are gone: read the present state anew."""

    channels: list[str]
    asked: int
    next: int


class ChannelError(msgspec.Struct, tag_field="type", tag="error"):
    """Something is wrong with what the client sent."""

    code: str
    message: str


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """A sign of life that a script can see."""


class StoredEvent(msgspec.Struct):
    """An event as it is stored."""

    id: str
    stream: str
    type: str
    position: int
    globalPosition: int
    data: dict[str, Any]
    metadata: dict[str, Any] | None
    time: str


class Poke(msgspec.Struct):
    """Something new is at this position."""

    stream: str
    position: int
    globalPosition: int


ENDPOINTS = (
    Live(
        "eventing",
        "/api/v1/ws",
        "Events as JSON over a WebSocket, with filters chosen while connected",
        "bare",
        sends=(Subscribed, Unsubscribed, Error),
        receives=(Refresh, Subscribe, Unsubscribe),
    ),
    Live(
        "events",
        "/api/v1/events",
        "Events in their envelopes as server-sent events, from the last one seen on",
        "envelope",
        sends=(Connected, Closing),
    ),
    Live(
        "broadcast",
        "/ws/broadcast",
        "Channels over a WebSocket",
        sends=(
            ChannelMessage,
            Welcome,
            ChannelsSubscribed,
            ChannelsUnsubscribed,
            ChannelsRefused,
            Gap,
            ChannelError,
            Ping,
        ),
        receives=(ChannelsAsked,),
    ),
    Live("tail", "/ws/tail", "Stored and new events over a WebSocket", sends=(StoredEvent,)),
    Live("pokes", "/subscribe", "Something new at a position, as server-sent events", sends=(Poke,)),
)
