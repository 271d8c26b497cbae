"""What is known of a kind of event before one happens: names, what it is about, how it may be treated, its shape."""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from typing import Annotated, Any, get_type_hints

import msgspec

__all__ = ["EventType", "Id", "Priority", "Shape", "derived", "tagged"]

_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

LONGEST_ID = 200  # characters


class Priority(Enum):
    """How an event may be treated on its way to many readers."""

    CRITICAL = "critical"  # never merged, never dropped on purpose
    NORMAL = "normal"  # in order
    LOW = "low"  # the newest of a moment is enough


class Shape(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=True,
    forbid_unknown_fields=True,
):
    """Base of the members an event's data must have; the name of the class is the value of `type`.

    A member that may be missing has the type `X | UnsetType` and the default `UNSET`: it is left out, never null.
    """


class EventType(msgspec.Struct, frozen=True):
    """A kind of event.

    `merge` and `settles` are keys in which `{id}` stands for the entity's id. Events with one `merge` key replace
    each other while a reader is given only the newest; an event that `settles` a key comes after its newest one.
    """

    name: str  # "NoteUpdated", as it is written and stored
    dotted: str  # "note.updated"
    entity: str = ""  # the kind of thing it is about; empty: about none
    field: str = ""  # the member of its data that holds that thing's id; empty: it has none
    priority: Priority = Priority.CRITICAL
    stored: bool = True  # False: told to whoever listens, and forgotten
    merge: str = ""
    shape: type[msgspec.Struct] | None = None  # None: any object
    settles: str = ""
    aliases: tuple[tuple[str, str], ...] = ()  # (member, second name it is also shown under)
    version: int = 1  # rises when the shape changes so that old readers would go wrong
    spoken: bool = False  # said by an endpoint to one client; nobody can send it
    declared: bool = True  # False: made up from the name of an event that was met; about its stream


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]  # of a thing; usually a UUID in lower case


def derived(name: str) -> EventType:
    """The type of an event nobody declared: `OrderPlaced` is also `order.placed`."""
    dotted = name.lower() if "." in name else _HUMPS.sub(".", name).lower()
    return EventType(name, dotted, priority=Priority.CRITICAL, declared=False)


def tagged(cls: type) -> type[msgspec.Struct] | None:
    """The shape of a dataclass's instances; None where a field has the name of the tag.

    Raises:
        NameError: a type is named that cannot be found.
    """
    fields = dataclasses.fields(cls)
    if any(field.name == Shape.__struct_config__.tag_field for field in fields):
        return None
    hints = get_type_hints(cls, include_extras=True)
    members: list[Any] = [_member(field, hints[field.name]) for field in fields]
    return msgspec.defstruct(cls.__name__, members, bases=(Shape,), tag=cls.__name__, kw_only=True, frozen=True)


def _member(field: dataclasses.Field[Any], hint: Any) -> tuple[Any, ...]:
    if field.default is not dataclasses.MISSING:
        return field.name, hint, field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.name, hint, msgspec.field(default_factory=field.default_factory)
    return field.name, hint
