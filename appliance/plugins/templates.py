"""Stream names with holes for an event's fields. Pure."""

from __future__ import annotations

import string
from dataclasses import dataclass, fields
from itertools import pairwise
from uuid import UUID

from appliance.api import Misdeclared, Rejected
from appliance.config.strict import closest
from appliance.model.names import category_of

__all__ = ["StreamTemplate"]

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

    @property
    def subject(self) -> str:
        """The field that says what an event is about: the one in `order-{order_id}`; "": no single one does."""
        holes = [name for _, name in self.parts if name]
        return holes[0] if len(holes) == 1 and self.text == f"{self.category}-{{{holes[0]}}}" else ""

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


def _part_of_name(event: str, field: str, value: object, ending: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise Rejected(f"{event}.{field} is part of a stream name and must be a text, a whole number or a UUID")
    text = str(value)
    if not text or len(text) > LONGEST_VALUE or not text.isprintable():
        raise Rejected(f"{event}.{field} is part of a stream name: 1 to {LONGEST_VALUE} printable characters")
    if ending and ending in text:
        raise Rejected(f'{event}.{field} ends at "{ending}" in its stream name and may not contain it')
    return text
