"""What clients of the eventing WebSocket may say. Pure: text in, a command out."""

from __future__ import annotations

from enum import Enum

import msgspec

from appliance.egress.filters import Wish, checked, type_names
from appliance.errors import Rejected
from appliance.model.catalog import Catalog

__all__ = ["Command", "understood", "wanted"]


class Command(Enum):
    """What a message is there for."""

    REFRESH = "refresh"  # tell me the state of the job queue
    SUBSCRIBE = "subscribe"  # show me only this from now on; see `wanted`
    UNSUBSCRIBE = "unsubscribe"  # no more events; the connection stays


class _Message(msgspec.Struct):
    type: Command


class _Subscribe(msgspec.Struct, forbid_unknown_fields=True):
    """An unknown member is refused: a filter with a slip would show too much."""

    type: str
    types: tuple[str, ...] | None = None  # None: all; empty: refused, as on server-sent events
    memory: str | None = None
    entity_id: str | None = None
    since: str | int | None = None  # the last event seen: its `event_id` or `seq`


_command = msgspec.json.Decoder(_Message).decode
_subscription = msgspec.json.Decoder(_Subscribe).decode


def understood(message: str | bytes) -> Command:
    """The command in a message.

    Raises:
        Rejected: it holds none.
    """
    if message == Command.REFRESH.value:  # bare, as the oldest clients send it
        return Command.REFRESH
    try:
        return _command(message).type
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Rejected(
            "this is no command",
            hint='send {"type":"refresh"}, {"type":"subscribe",…} or {"type":"unsubscribe"}',
        ) from error


def wanted(message: str | bytes, catalog: Catalog) -> tuple[Wish, str]:
    """What a subscription asks for, and the last event its client has seen (empty: none).

    Raises:
        Rejected: it is written wrong, or can match nothing.
    """
    try:
        asked = _subscription(message)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Rejected(
            f"this is no subscription: {error}", hint="it may have types, memory, entity_id and since"
        ) from error
    if asked.types is not None and not asked.types:
        checked("types", "")
    wish = Wish(
        type_names(catalog, asked.types or ()),
        None if asked.memory is None else checked("memory", asked.memory.strip()),
        None if asked.entity_id is None else checked("entity_id", asked.entity_id.strip()),
    )
    return wish, "" if asked.since is None else str(asked.since).strip()
