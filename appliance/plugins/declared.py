"""What a plugin declares, checked as a whole before any of it runs. Pure."""

from __future__ import annotations

import inspect
import string
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec

from appliance.api import Misdeclared, Plugin, Rejected
from appliance.config.strict import closest
from appliance.config.units import duration
from appliance.model.event import Draft
from appliance.model.names import category_of
from appliance.model.types import EventType, derived, tagged

__all__ = ["OFFERS", "Declarations", "StreamTemplate", "asked", "examine", "seconds"]

OFFERS = frozenset({"ctx", "config", "log"})  # what services and panels may ask for, by name
LONGEST_VALUE = 200  # characters of a field inside a stream name


@dataclass(frozen=True, slots=True)
class StreamTemplate:
    """A stream name with holes for an event's fields: `order-{order_id}`.

    Two different sets of values never make the same name: a value may not contain the literal text that ends it.
    """

    text: str
    category: str
    parts: tuple[tuple[str, str], ...]  # (literal, name of the field after it; "" for none)

    @classmethod
    def of(cls, text: str, event: type) -> StreamTemplate:
        """Raises Misdeclared: not a name, or a hole that no field fills."""
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise Misdeclared(f"{event.__name__}: stream {text!r} is no template: {error}") from error
        known = [field.name for field in fields(event)]
        for _, name, spec, conversion in parsed:
            if name is not None and (name not in known or spec or conversion):
                raise Misdeclared(
                    f"{event.__name__} has no field {name!r} for stream {text!r}", hint=closest(name, known)
                )
        parts = tuple((literal, name or "") for literal, name, _, _ in parsed)
        if any(name and not literal for (_, name), (literal, _) in pairwise(parts)):
            raise Misdeclared(f"{event.__name__}: two fields of stream {text!r} touch", hint="put a dash between them")
        opening = parts[0][0] if parts else ""
        if not opening or opening.startswith("-") or (parts[0][1] and "-" not in opening):
            raise Misdeclared(
                f"{event.__name__}: stream {text!r} has no literal category",
                hint='begin with the kind of thing and a dash, as in "order-{order_id}"',
            )
        return cls(text, category_of(opening), parts)

    def fill(self, event: object) -> str:
        """The stream of this event.

        Raises:
            Rejected: a value is empty, no text, number or UUID, not printable, too long or ambiguous.
        """
        after = [literal for literal, _ in self.parts[1:]] + [""]
        names = []
        for (literal, name), ending in zip(self.parts, after, strict=True):
            names.append(literal)
            if name:
                names.append(_part_of_name(type(event).__name__, name, getattr(event, name), ending))
        return "".join(names)


@dataclass(frozen=True, slots=True)
class Declarations:
    """A plugin that may run."""

    plugin: Plugin
    streams: Mapping[type, StreamTemplate]
    retention: Mapping[str, float]  # category -> seconds

    @property
    def event_types(self) -> tuple[EventType, ...]:
        """Its events for the catalog. What an event is about is told by its stream: `order-{order_id}`."""
        return tuple(_event_type(cls, template) for cls, template in self.streams.items())

    def draft(self, event: object) -> Draft:
        """What to append for an instance of a declared event.

        Raises:
            Misdeclared: its class was not declared by this plugin.
            Rejected: its stream cannot be named, or JSON cannot hold it.
        """
        cls = type(event)
        template = self.streams.get(cls)
        if template is None:
            raise Misdeclared(
                f"plugin {self.plugin.name} emits {cls.__name__}, which it does not declare",
                hint="put @plugin.event(stream=…) above the class",
            )
        try:
            data = msgspec.json.encode(event).decode()
        except (TypeError, ValueError, RecursionError) as error:
            raise Rejected(f"{cls.__name__} holds something JSON cannot: {error}") from error
        return Draft(template.fill(event), cls.__name__, data)


def examine(plugin: Plugin) -> Declarations:
    """The checked declarations of `plugin`.

    Raises:
        Misdeclared: what is wrong, and how it would be right.
    """
    for name, service in plugin.services.items():
        asked(service.handler, OFFERS, f"service {name}")
    for title, panel in plugin.panels.items():
        asked(panel.handler, OFFERS, f"panel {title!r}")
    retention: dict[str, float] = {}
    streams: dict[type, StreamTemplate] = {}
    for event, door in plugin.events.items():
        template = streams[event] = StreamTemplate.of(door.stream, event)
        _refuse_inexpressible(event)
        if door.retention:
            kept = seconds(door.retention)
            if retention.setdefault(template.category, kept) != kept:
                raise Misdeclared(f"{event.__name__}: category {template.category} has two retentions")
    return Declarations(plugin, streams, retention)


def asked(handler: Callable[..., Awaitable[Any]], offers: frozenset[str], what: str) -> frozenset[str]:
    """The names of the arguments that `handler` asks for.

    Raises:
        Misdeclared: it is no async function, or asks for what is not on offer.
    """
    if not inspect.iscoroutinefunction(handler):
        raise Misdeclared(f"{what} is no async function", hint="write async def")
    wanted = inspect.signature(handler).parameters
    for name, parameter in wanted.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise Misdeclared(f"{what} takes {parameter}", hint=f"name what it wants: {', '.join(sorted(offers))}")
        if name not in offers and parameter.default is parameter.empty:
            raise Misdeclared(f'{what} asks for "{name}"', hint=closest(name, offers))
    return frozenset(wanted) & offers


def seconds(retention: str) -> float:
    """Raises Misdeclared: no duration as in "36h" or "2d", or none at all."""
    try:
        kept = duration(retention)
    except ValueError as error:
        raise Misdeclared(str(error)) from error
    if kept <= 0:
        raise Misdeclared(f'retention "{retention}" keeps nothing')
    return kept


def _event_type(cls: type, template: StreamTemplate) -> EventType:
    holes = [name for _, name in template.parts if name]
    field = holes[0] if len(holes) == 1 and template.text == f"{template.category}-{{{holes[0]}}}" else ""
    return EventType(cls.__name__, derived(cls.__name__).dotted, template.category, field, shape=tagged(cls))


def _part_of_name(event: str, field: str, value: object, ending: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise Rejected(f"{event}.{field} is part of a stream name and must be a text, a whole number or a UUID")
    text = str(value)
    if not text or len(text) > LONGEST_VALUE or not text.isprintable():
        raise Rejected(f"{event}.{field} is part of a stream name: 1 to {LONGEST_VALUE} printable characters")
    if ending and ending in text:
        raise Rejected(f'{event}.{field} ends at "{ending}" in its stream name and may not contain it')
    return text


def _refuse_inexpressible(event: type) -> None:
    try:
        msgspec.json.schema(event)
    except (TypeError, NameError) as error:
        reason = str(error).splitlines()[-1]
        raise Misdeclared(f"{event.__name__} has a field that JSON cannot hold: {reason}") from error
