"""Events as clients of the REST API write them, read and checked. Pure.

    {"type": "NoteUpdated", "note_id": "n1", "tags": []}                    the members of its data beside the type
    {"type": "order.placed", "data": {"total": 5}, "stream": "order-7"}     or together, under `data`

Beside them may stand `stream`, `event_id`, `memory`, `correlation_id` and `causation_id`. Without a stream an event
goes to that of the thing it is about: `note-n1`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.errors import Rejected, TooLarge
from appliance.ingress.jsontext import check, compact
from appliance.ingress.labels import labelled
from appliance.model.catalog import Catalog
from appliance.model.event import Draft
from appliance.model.principal import Principal
from appliance.model.types import EventType

__all__ = ["MOST_EVENTS", "Wanted", "wanted"]

MOST_EVENTS = 1000  # of one request

BESIDE = ("stream", "event_id", "memory", "correlation_id", "causation_id")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_text = msgspec.json.Decoder(str).decode
_text_or_number = msgspec.json.Decoder(str | int).decode


class Wanted(msgspec.Struct, frozen=True):
    """One event to be: what it is, and how it would be written."""

    type: EventType
    draft: Draft


def wanted(catalog: Catalog, principal: Principal, body: bytes) -> tuple[list[Wanted], bool]:
    """The events in a body, and whether they stood in an array.

    Raises:
        Malformed: not JSON.
        Rejected: no event, or not of the shape its type declares; the message names the place.
        Forbidden: an event is for a memory the caller is not bound to.
        TooLarge: too many.
    """
    check(body, unique_names=True)
    many = body.lstrip()[:1] == b"["
    try:
        entries = _objects(body) if many else [_object(body)]
    except msgspec.ValidationError as error:
        raise Rejected(f"this is no event: {error}", hint='send {"type": …}, or an array of such') from error
    if len(entries) > MOST_EVENTS:
        raise TooLarge(f"a request holds {MOST_EVENTS} events, this one has {len(entries)}", limit=MOST_EVENTS)
    if not entries:
        raise Rejected("there is no event in the array")
    return [_wanted(catalog, principal, entry, f"[{n}]" if many else "") for n, entry in enumerate(entries)], many


def _wanted(catalog: Catalog, principal: Principal, entry: Mapping[str, msgspec.Raw], place: str) -> Wanted:
    try:
        return _read(catalog, principal, entry)
    except Rejected as error:
        if place:
            raise type(error)(f"{place}: {error.message}", hint=error.hint, **error.facts) from error
        raise


def _read(catalog: Catalog, principal: Principal, entry: Mapping[str, msgspec.Raw]) -> Wanted:
    type = catalog.of(_word(entry, "type", needed=True))
    if type.spoken:
        raise Rejected(f"{type.name} is said by the appliance itself", hint="send an event of another type")
    data = _data(entry)
    catalog.check(type, data)
    stream = _word(entry, "stream") or _stream_of(type, _object(data))
    draft = labelled(
        Draft(stream, type.name, data, id=_word(entry, "event_id")),
        principal,
        memory=_word(entry, "memory"),
        correlation=_word(entry, "correlation_id"),
        causation=_word(entry, "causation_id"),
    )
    return Wanted(type, draft)


def _data(entry: Mapping[str, msgspec.Raw]) -> str:
    """The text of the event's data."""
    members = [(name, value) for name, value in entry.items() if name != "type" and name not in BESIDE]
    if "data" not in entry:
        return f"{{{','.join(f'{_quoted(name)}:{compact(value)}' for name, value in members)}}}"
    if len(members) > 1:
        others = ", ".join(name for name, _ in members if name != "data")
        raise Rejected(f"beside data there is {others}", hint="put all members into data, or none")
    data = compact(entry["data"])
    if not data.startswith("{"):
        raise Rejected("data is no object")
    return data


def _stream_of(type: EventType, fields: Mapping[str, msgspec.Raw]) -> str:
    """`note-n1` for an event about note n1; only the category for one that is about nothing in particular."""
    kind = type.entity or type.dotted.partition(".")[0]
    id = _id_in(fields, type.field or f"{kind}_id")
    return f"{kind}-{id}" if id else kind


def _id_in(fields: Mapping[str, msgspec.Raw], name: str) -> str:
    try:
        return str(_text_or_number(fields[name])) if name in fields else ""
    except msgspec.ValidationError:
        return ""


def _word(entry: Mapping[str, msgspec.Raw], name: str, *, needed: bool = False) -> str:
    if name not in entry:
        if needed:
            raise Rejected(f"{name} is missing", hint='an event is at least {"type": "NoteUpdated"}')
        return ""
    try:
        word = _text(entry[name])
    except msgspec.ValidationError as error:
        raise Rejected(f"{name} is no text") from error
    if not word:
        raise Rejected(f"{name} is empty", hint="leave it out, or say something")
    return word


def _quoted(name: str) -> str:
    return msgspec.json.encode(name).decode()
