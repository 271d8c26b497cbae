"""How events look to clients of the eventing streams, as one line of JSON. Pure.

Bare, on the WebSocket: the members of the event's data, with our own beside them.

    {"type":"NoteUpdated","note_id":"n1","tags":[],"timestamp":"2026-01-02T03:04:05.678901Z","seq":7,"event_id":"…"}

The envelope, on server-sent events and webhooks: what the event is, who caused it, what it is about, and its data
whole under `payload`. In the pascal dialect the members of the data stand at the top as well, for clients that expect
them there.

Names of ours are always ours: a member of the data with such a name is left out where it would stand beside ours, and
is found under `payload` (there only `type` is ours). The text of the data goes over as it is stored: numbers keep all
their digits.
"""

from __future__ import annotations

import msgspec

from appliance.clock import stamp
from appliance.model.catalog import View
from appliance.model.event import Event

__all__ = ["BARE", "ENVELOPE", "bare", "envelope"]

BARE = frozenset({"type", "timestamp", "seq", "event_id", "ephemeral", "memory"})
ENVELOPE = BARE | {
    "event_type",
    "occurred_at",
    "tenant_id",
    "actor",
    "entity_type",
    "entity_id",
    "correlation_id",
    "causation_id",
    "payload_version",
    "payload",
}
TAG = frozenset({"type"})
LINE_ENDS = tuple((end, f"\\u{ord(end):04x}") for end in "\x85\u2028\u2029")
SYSTEM = {"kind": "system"}  # who caused what nobody claims


def bare(event: Event, view: View) -> str:
    """An event as its data, tagged and stamped."""
    passing = ',"ephemeral":true' if event.ephemeral else ""
    memory = f',"memory":{_quoted(view.memory)}' if view.memory else ""
    return _line(
        f'{{"type":{_quoted(view.type.name)}{_members(event, view, BARE)},"timestamp":"{stamp(event.time)}"'
        f',"seq":{event.global_position},"event_id":{_quoted(event.id)}{passing}{memory}}}'
    )


def envelope(event: Event, view: View, names: str) -> str:
    """An event with everything that is known of it.

    Args:
        names: "pascal": the members of its data stand at the top too; "dotted": only under `payload`.
    """
    time = stamp(event.time)
    name = _quoted(view.type.name)
    head = (
        f'{{"event_id":{_quoted(event.id)},"event_type":{_quoted(view.type.dotted)},"occurred_at":"{time}"'
        f"{_labels(view)}"
    )
    top = f',"type":{name}{_members(event, view, ENVELOPE)}' if names == "pascal" else ""
    passing = ',"ephemeral":true' if event.ephemeral else ""
    return _line(
        f'{head},"payload_version":{view.type.version},"payload":{{"type":{name}{_members(event, view, TAG)}}}'
        f'{top},"timestamp":"{time}","seq":{event.global_position}{passing}}}'
    )


def _labels(view: View) -> str:
    """What is said of the event, each behind a comma."""
    said: dict[str, object] = {}
    if view.memory:
        said["memory"] = view.memory
    said["actor"] = view.actor or SYSTEM
    if view.entity:
        said["entity_type"] = view.entity
    if view.entity_id:
        said["entity_id"] = view.entity_id
    if view.correlation:
        said["correlation_id"] = view.correlation
    if view.causation:
        said["causation_id"] = view.causation
    return f",{_quoted(said)[1:-1]}"


def _members(event: Event, view: View, ours: frozenset[str]) -> str:
    """The members of the data but for those with names of ours, each behind a comma."""
    fields = view.fields
    if not fields:
        return ""
    if ours.isdisjoint(fields) and event.data.startswith("{") and event.data.endswith("}"):
        text = f",{event.data[1:-1]}"
    else:
        text = "".join(f",{_quoted(name)}:{_raw(raw)}" for name, raw in fields.items() if name not in ours)
    for name, other in view.type.aliases:
        if name in fields and other not in fields:
            text += f",{_quoted(other)}:{_raw(fields[name])}"
    return text


def _quoted(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _raw(part: msgspec.Raw) -> str:
    return bytes(part).decode()


def _line(text: str) -> str:
    """JSON that no reader takes for more than one line.

    A line end can only stand between two tokens; those of JavaScript of old, and of readers that split text as
    Python does, only inside a text.
    """
    if "\n" in text or "\r" in text:
        text = text.replace("\n", " ").replace("\r", " ")
    if not text.isascii():
        for end, escaped in LINE_ENDS:
            if end in text:
                text = text.replace(end, escaped)
    return text
