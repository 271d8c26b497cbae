"""What is written down of an event, and of a connection: names, ids and numbers, never what anybody wrote. Pure.

    {"event": "event", "event.type": "JobCompleted", "event.id": "…", "event.position": 7, "event.job_id": "…",
     "event.duration_ms": 1234, "subsystem": "events"}

Ids are no secrets; a member of the data that should hold one and holds something else is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from appliance.model.event import Event
from appliance.model.tracing import label_of, trace_id
from appliance.telemetry.redact import scrubbed

__all__ = ["Facts", "Level", "connection_record", "event_record", "facts", "level_of"]

Level = Literal["debug", "info", "warning"]

SUBSYSTEM = "events"

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NONE = re.compile(r"ns_|mm_[a-z]+_|whsec_|eyJ|(?:\d{1,3}\.){3}\d")  # secrets and addresses that look like an id


class Facts(msgspec.Struct, frozen=True):
    """The members of an event's data that telemetry understands; anything may stand in them."""

    job_id: Any = None
    job_type: Any = None
    note_id: Any = None
    duration_ms: Any = None
    total_jobs: Any = None
    running: Any = None
    pending: Any = None
    error: Any = None


_NOTHING = Facts()
_facts = msgspec.json.Decoder(Facts).decode


def facts(event: Event) -> Facts:
    """What is understood of its data; nothing, if that has another form."""
    try:
        return _facts(event.data)
    except msgspec.MsgspecError:
        return _NOTHING


def level_of(type: str) -> Level:
    """How much an event matters to whoever reads the log."""
    if type.endswith("Failed"):
        return "warning"
    return "debug" if type == "QueueStatus" else "info"


def event_record(event: Event) -> tuple[Level, dict[str, object]]:
    """The level and the fields of an event's line."""
    known = facts(event)
    said: dict[str, object] = {
        "subsystem": SUBSYSTEM,
        "event.type": _name(event.type) or "other",
        "event.id": event.id,
        "event.position": event.global_position,
        "event.job_id": _name(known.job_id),
        "event.job_type": _name(known.job_type),
        "event.note_id": _name(known.note_id),
        "event.duration_ms": _number(known.duration_ms),
        "event.error": _name(known.error),
        "trace_id": trace_id(label_of(event.metadata)) or None,
    }
    if event.type == "QueueStatus":
        said["event.queue_depth"] = _number(known.total_jobs)
    return level_of(event.type), {name: value for name, value in said.items() if value is not None}


def connection_record(
    *,
    opened: bool,
    id: str,
    transport: str,
    dialect: str,
    address: str,
    subject: str,
    seconds: float | None = None,
    reason: str = "",
) -> Mapping[str, object]:
    """The fields of the line about a connection that came or went. The user is the id of a token, never its text."""
    said: dict[str, object] = {
        "subsystem": SUBSYSTEM,
        "event.type": "ConnectionOpened" if opened else "ConnectionClosed",
        "connection_id": id,
        "transport": transport,
        "dialect": dialect,
        "client_ip": address,
    }
    if subject:
        said["user_id"] = scrubbed(subject)  # a token's name, which somebody chose
    if not opened:
        said |= {"duration_s": None if seconds is None else round(seconds, 3), "reason": reason or "left"}
    return said


def _name(value: object) -> str | None:
    if isinstance(value, str) and _ID.fullmatch(value) and _NONE.search(value) is None:
        return value
    return None


def _number(value: object) -> int | float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
