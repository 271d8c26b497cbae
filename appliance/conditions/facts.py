"""What a condition is asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec

from appliance.clock import stamp
from appliance.conditions.errors import EvaluationError
from appliance.model.catalog import View
from appliance.model.event import Event

__all__ = ["ABOUT", "Facts", "facts_of"]

ABOUT: Final = (
    "id", "type", "event_type", "entity_type", "entity_id", "user_id", "tenant_id", "memory", "timestamp", "stream",
    "position", "seq",
)  # fmt: skip

UPDATES = ("updated", "update", "changed")

Read = Callable[[], Mapping[str, Any]]


class Facts:
    """An event, looked into as far as somebody asks, and each part once.

    Args:
        data: its data.
        about: what stands around it, by the names in `ABOUT`.
        update: it says that something existing has changed. Without `changes` it cannot be told then what was.
    """

    def __init__(self, data: Read, about: Read, *, update: bool) -> None:
        self._data = data
        self._about = about
        self.update = update

    @cached_property
    def data(self) -> Mapping[str, Any]:
        return self._data()

    @cached_property
    def event(self) -> Mapping[str, Any]:
        return self._about()

    @cached_property
    def changes(self) -> Mapping[str, Any] | None:
        """By field; None: they were not tracked."""
        found = self.data.get("changes")
        return found if isinstance(found, dict) else None

    @cached_property
    def old(self) -> Mapping[str, Any]:
        """What was: given as a whole, or put together from the changes."""
        return self._side("old", {})

    @cached_property
    def new(self) -> Mapping[str, Any]:
        """What is."""
        return self._side("new", self.data)

    def _side(self, side: str, otherwise: Mapping[str, Any]) -> Mapping[str, Any]:
        given = self.data.get(side)
        if isinstance(given, dict):
            return given
        if self.changes is None:
            return otherwise
        changed = {name: one[side] for name, one in self.changes.items() if isinstance(one, dict) and side in one}
        return {**self.data, **changed}


def facts_of(event: Event, view: View) -> Facts:
    """What can be asked about an event of the log."""

    def data() -> Mapping[str, Any]:
        try:
            return _object(event.data)
        except (msgspec.MsgspecError, RecursionError):
            raise EvaluationError("the data of the event cannot be read") from None

    def about() -> Mapping[str, Any]:
        return {
            "id": event.id,
            "type": event.type,
            "event_type": view.type.dotted,
            "entity_type": view.entity or None,
            "entity_id": view.entity_id or None,
            "user_id": view.actor.get("id"),
            "tenant_id": view.memory or None,
            "memory": view.memory or None,
            "timestamp": stamp(event.time),
            "stream": event.stream,
            "position": event.position,
            "seq": event.global_position,
        }

    return Facts(data, about, update=view.type.dotted.rpartition(".")[2] in UPDATES)


_object = msgspec.json.Decoder(dict[str, Any]).decode
