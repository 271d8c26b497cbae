"""What is sent for an event: the body in the endpoint's format, and the headers. Pure.

    envelope            the envelope of server-sent events, with `event`, `data` and the data's members at the top
    seed                {"event": "NoteUpdated", and the data's members}
    standard            {"type": "note.updated", "timestamp": …, "data": {…}}, as Standard Webhooks suggests
    cloudevents         CloudEvents 1.0, structured: one JSON document
    cloudevents-binary  CloudEvents 1.0, binary: attributes in headers, the data as it is

The id of a message follows from the event's id, so it is the same at every attempt, and after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from appliance.auth.signing import body_signature, standard_signature
from appliance.clock import MICROSECONDS, stamp
from appliance.egress.envelope import ENVELOPE, envelope
from appliance.egress.webhooks.endpoint import Format
from appliance.model.catalog import View
from appliance.model.event import Event
from appliance.model.tracing import TRACEPARENT, continued, label_of

__all__ = ["Message", "headers", "message", "message_id"]

JSON = "application/json"
TOP = ENVELOPE | {"event", "data"}  # names of ours at the top of an envelope
SAFE = "!#$&'()*+,/:;=?@[]~"  # printable, and kept as it is in a header


@dataclass(frozen=True, slots=True)
class Message:
    """A body, and what must stand in the headers because of its format."""

    id: str
    type: str  # "NoteUpdated"
    body: bytes
    content_type: str = JSON
    attributes: tuple[tuple[str, str], ...] = ()
    trace: str = ""  # the event's; "": it belongs to none


def message_id(event_id: str) -> str:
    """Without a dot, since a signature is over id, time and body joined by dots."""
    return "msg_" + event_id.replace("-", "")


def message(event: Event, view: View, format: Format, source: str) -> Message:
    """What to send for `event`.

    Args:
        source: of CloudEvents: a URI reference that names who tells it.
    """
    id, name, trace = message_id(event.id), view.type.name, label_of(event.metadata)
    match format:
        case "seed":
            text = f'{{"event":{_quoted(name)}{_members(view, frozenset({"type", "event"}))}}}'
        case "standard":
            text = f'{{"type":{_quoted(view.type.dotted)},"timestamp":"{stamp(event.time)}","data":{event.data}}}'
        case "cloudevents":
            attributes = {"specversion": "1.0", **_attributes(event, view, source), "datacontenttype": JSON}
            text = f'{_quoted(attributes)[:-1]},"data":{event.data}}}'
            return Message(id, name, text.encode(), "application/cloudevents+json", trace=trace)
        case "cloudevents-binary":
            pairs = {"specversion": "1.0", **_attributes(event, view, source)}.items()
            attributes_of = tuple((f"ce-{key}", _header(value)) for key, value in pairs)
            return Message(id, name, event.data.encode(), JSON, attributes_of, trace)
        case _:
            data = f'{{"type":{_quoted(name)}{_members(view, frozenset({"type"}))}}}'
            top = f',"event":{_quoted(name)},"data":{data}{_members(view, TOP)}}}'
            text = envelope(event, view, "dotted")[:-1] + top
    return Message(id, name, text.encode(), trace=trace)


def headers(
    message: Message, secrets: Sequence[str], *, webhook: str, delivery: str, now_us: int, version: str
) -> list[tuple[str, str]]:
    """All headers but Host, of one attempt.

    Args:
        secrets: to sign with, newest first.
        now_us: of this attempt, microseconds since 1970.
    """
    seconds = now_us // MICROSECONDS
    old = body_signature(secrets[0], message.body)
    name = _header(message.type)
    return [
        ("content-type", message.content_type),
        ("user-agent", f"appliance-webhook/{version}"),
        ("webhook-id", message.id),
        ("webhook-timestamp", str(seconds)),
        ("webhook-signature", standard_signature(secrets, message.id, seconds, message.body)),
        ("idempotency-key", message.id),
        ("x-matric-signature", old),
        ("x-fortemi-signature", old),
        ("x-matric-event", name),
        ("x-fortemi-event", name),
        ("x-matric-timestamp", str(seconds)),
        ("x-webhook-id", webhook),
        ("x-webhook-delivery", delivery),
        *message.attributes,
        *([(TRACEPARENT, continued(message.trace, _span(delivery)))] if message.trace else ()),
    ]


def _span(delivery: str) -> str:
    """A delivery as a step of a trace: the random end of its id, so that all its attempts are one step."""
    return delivery.replace("-", "")[-16:]


def _attributes(event: Event, view: View, source: str) -> dict[str, str]:
    return {
        "id": event.id,
        "source": source,
        "type": view.type.dotted,
        "subject": event.stream,
        "time": stamp(event.time),
    }


def _members(view: View, ours: frozenset[str]) -> str:
    """The members of the data but for those with names of ours, each behind a comma."""
    return "".join(f",{_quoted(name)}:{bytes(raw).decode()}" for name, raw in view.fields.items() if name not in ours)


def _quoted(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _header(text: str) -> str:
    """Percent-encoded where a header cannot hold it. Source: CloudEvents 1.0, HTTP binding, section 3.1.3.2."""
    return quote(text, safe=SAFE + " ")
