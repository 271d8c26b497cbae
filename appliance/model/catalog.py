"""The registry of event types: which there are, what an event of each is about, and whether data has its shape.

It is generic. The core declares events of jobs, of the queue and of connections; plugins declare theirs. An event
whose type nobody declared is understood as well: its dotted name comes from its name, what it is about from its stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Union

import msgspec

from appliance.errors import Rejected
from appliance.model.event import Event
from appliance.model.occasions import CORE
from appliance.model.types import EventType, derived

__all__ = ["Catalog", "UnknownType", "View"]

MOST_DERIVED = 10_000  # types remembered that nobody declared: their names come from outside


class UnknownType(Rejected):
    """No event type of this name is declared, or it has no shape to hold data against."""


class View(msgspec.Struct, frozen=True):
    """What an event means: its type, its labels, and the members of its data as they are written."""

    type: EventType
    memory: str  # "": none
    actor: Mapping[str, str]  # kind, and perhaps id and name; empty: not said
    correlation: str  # "": not said
    causation: str  # "": not said
    entity: str  # "": about nothing in particular
    entity_id: str  # "": none
    fields: Mapping[str, msgspec.Raw]

    @property
    def key(self) -> str:
        """Under which events of this kind replace each other; empty: they do not."""
        return self._filled(self.type.merge)

    @property
    def settles(self) -> str:
        """The key whose newest event must be out before this one; empty: none."""
        return self._filled(self.type.settles)

    def _filled(self, key: str) -> str:
        if not key:
            return ""
        whole = key.replace("{id}", self.entity_id)
        return f"{whole}@{self.memory}" if self.memory else whole


class _Labels(msgspec.Struct):
    memory: Any = ""
    actor: Any = None
    correlation: Any = msgspec.field(name="correlationId", default="")
    causation: Any = msgspec.field(name="causationId", default="")


class _Tag(msgspec.Struct):
    type: str


_NO_LABELS = _Labels()
_labels = msgspec.json.Decoder(_Labels).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_tag = msgspec.json.Decoder(_Tag).decode
_text = msgspec.json.Decoder(str | int).decode


class Catalog:
    """Every event type there is.

    Args:
        types: those known from the start.
    """

    def __init__(self, types: Iterable[EventType] = CORE) -> None:
        self._declared: dict[str, EventType] = {}
        self._dotted: dict[str, EventType] = {}
        self._owners: dict[str, str] = {}
        self._derived: dict[str, EventType] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._last: tuple[Event, View] | None = None
        for type in types:
            self.declare(type)

    @property
    def types(self) -> tuple[EventType, ...]:
        """The declared ones, in the order of their declaration."""
        return tuple(self._declared.values())

    def declare(self, type: EventType, owner: str = "") -> None:
        """Make a type known, or let its owner change it. Several may declare the same type, if they do it alike.

        Args:
            owner: a plugin's name; empty: the core.

        Raises:
            Rejected: another type has its name or its dotted name.
        """
        for taken in (self._declared.get(type.name), self._dotted.get(type.dotted)):
            if taken is None or (taken.name == type.name and self._owners[taken.name] == owner):
                continue
            if _alike(taken, type):
                return
            whose = self._owners[taken.name]
            raise Rejected(
                f"event type {taken.name} is declared already, by {f'plugin {whose}' if whose else 'the appliance'}",
                hint="declare it with the same stream and fields, or give it another name",
            )
        if (before := self._declared.get(type.name)) is not None:
            del self._dotted[before.dotted]
        self._owners[type.name] = owner
        self._declared[type.name] = self._dotted[type.dotted] = type
        self._derived.clear()
        self._decoder = self._last = None

    def find(self, name: str) -> EventType | None:
        """The declared type of this name, in either spelling."""
        return self._declared.get(name) or self._dotted.get(name)

    def of(self, name: str) -> EventType:
        """The type of this name; one that nobody declared is made up."""
        found = self.find(name) or self._derived.get(name)
        if found is None:
            if len(self._derived) >= MOST_DERIVED:
                self._derived.clear()
            found = self._derived[name] = derived(name)
        return found

    def view(self, event: Event) -> View:
        """What an event means. Remembers the last one: all audiences share one look into its JSON."""
        last = self._last
        if last is not None and last[0] is event:
            return last[1]
        view = self._look(event)
        self._last = event, view
        return view

    def decode(self, data: str | bytes) -> Any:
        """The object that JSON with a `type` stands for, an instance of the type's shape.

        Raises:
            UnknownType: the type is not declared, or has no shape.
            Rejected: this is no such event; the message names the place.
        """
        try:
            name = _tag(data).type
        except msgspec.MsgspecError as error:
            raise Rejected(f"this is no event: {error}", hint='an event is an object with a "type"') from error
        type = self._shaped(name)
        if name != type.name:
            data = msgspec.json.encode({**_fields(data), "type": type.name})
        return self._conforming(type, data)

    def check(self, type: EventType, data: str) -> None:
        """Whether `data`, an object without `type`, has the shape of a type; any has, of a type without one.

        Raises:
            Rejected: it has not; the message names the place.
        """
        if type.shape is not None:
            rest = data[1:]
            self._conforming(type, f'{{"type":"{type.name}"{"" if rest == "}" else ","}{rest}')

    def _conforming(self, type: EventType, data: str | bytes) -> Any:
        if self._decoder is None:
            shapes = tuple(known.shape for known in self._declared.values() if known.shape is not None)
            self._decoder = msgspec.json.Decoder(Union[shapes])  # noqa: UP007 - made at run time
        try:
            return self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise Rejected(f"{type.name}: {error}", hint=_hint(type, data)) from error

    def _shaped(self, name: str) -> EventType:
        type = self.find(name)
        if type is not None and type.shape is not None:
            return type
        near = get_close_matches(name, [*self._declared, *self._dotted], 1)
        hint = f'did you mean "{near[0]}"?' if near else "`GET /asyncapi.json` lists the types"
        raise UnknownType(f"there is no event type {name[:100]!r}", hint=hint)

    def _look(self, event: Event) -> View:
        type = self.of(event.type)
        fields = _members_of(event.data)
        labels = _labels_of(event.metadata)
        category, _, id = event.stream.partition("-")
        return View(
            type,
            _word(labels.memory),
            _actor(labels.actor),
            _word(labels.correlation),
            _word(labels.causation),
            type.entity if type.declared else category,
            _id_in(fields, type.field) if type.declared else id,
            fields,
        )


def _alike(one: EventType, other: EventType) -> bool:
    """Whether two declarations say the same, each with a class of its own."""
    bare = [msgspec.structs.replace(type, shape=None) for type in (one, other)]
    schemas = [type.shape and msgspec.json.schema(type.shape) for type in (one, other)]
    return bare[0] == bare[1] and schemas[0] == schemas[1]


def _members_of(data: str) -> Mapping[str, msgspec.Raw]:
    try:
        return _fields(data)
    except msgspec.MsgspecError:
        return {}


def _labels_of(metadata: str | None) -> _Labels:
    if metadata is None:
        return _NO_LABELS
    try:
        return _labels(metadata)
    except msgspec.MsgspecError:
        return _NO_LABELS


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _actor(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    known = {name: value[name] for name in ("kind", "id", "name") if isinstance(value.get(name), str)}
    return known if known.get("kind") in ("user", "agent", "system") else {}


def _id_in(fields: Mapping[str, msgspec.Raw], name: str) -> str:
    if not name or name not in fields:
        return ""
    try:
        return str(_text(fields[name]))
    except msgspec.DecodeError:
        return ""


def _hint(type: EventType, data: str | bytes) -> str:
    """What may stand in an event of this type, or the name that a wrong one comes near to."""
    assert type.shape is not None
    known = type.shape.__struct_encode_fields__
    for name in _fields(data).keys() - {"type", *known}:
        if near := get_close_matches(name, known, 1):
            return f'did you mean "{near[0]}"?'
    return f"its members are {', '.join(known)}" if known else "it has no members"
