"""The AsyncAPI 3.0 document, made of the catalog and the live endpoints: what is declared is what is described.

Each event type is a schema once; what an endpoint adds to it (the stamp of the bare form, the envelope) is another,
and a message is both. Readers ignore members they do not know, so the schemas allow them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from appliance.model.catalog import Catalog
from appliance.model.http import Lane, Request, Response, Route
from appliance.model.types import EventType

__all__ = ["Live", "asyncapi_route", "document"]

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_ID: Json = {"type": "string", "format": "uuid"}
_STAMP: Json = {
    "type": "object",
    "description": "What stands beside the members of an event's data.",
    "required": ["type", "timestamp", "seq", "event_id"],
    "properties": {
        "type": _TEXT,
        "timestamp": _TIME,
        "seq": {
            "type": "integer",
            "minimum": 0,
            "description": "position in the log; of an ephemeral event that of the newest stored one",
        },
        "event_id": _ID,
        "ephemeral": {"const": True, "description": "stored nowhere"},
        "memory": _TEXT,
    },
}
_ENVELOPE: Json = {
    "type": "object",
    "required": ["event_id", "event_type", "occurred_at", "actor", "payload_version", "payload", "timestamp", "seq"],
    "properties": {
        **{name: value for name, value in _STAMP["properties"].items() if name != "type"},
        "event_type": _TEXT,
        "occurred_at": _TIME,
        "actor": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"enum": ["user", "agent", "system"]}, "id": _TEXT, "name": _TEXT},
        },
        "entity_type": _TEXT,
        "entity_id": _TEXT,
        "correlation_id": _TEXT,
        "causation_id": _TEXT,
        "payload_version": {"type": "integer", "minimum": 1},
        "payload": {"type": "object", "required": ["type"]},
    },
}

Form = Literal["bare", "envelope"]


@dataclass(frozen=True, slots=True)
class Live:
    """An endpoint that says things by itself.

    `form`: how it shows the events of the catalog; None: not at all. `sends` and `receives`: what else it says, and
    what clients may say to it, as msgspec types.
    """

    name: str  # "eventing"
    address: str  # "/api/v1/ws"
    summary: str
    form: Form | None = None
    sends: tuple[type, ...] = ()
    receives: tuple[type, ...] = ()


def document(catalog: Catalog, live: Sequence[Live], *, title: str = "appliance", version: str = "0") -> Json:
    """The document, as plain values."""
    schemas = _schemas(catalog, live)
    messages: Json = {}
    channels: Json = {}
    operations: Json = {}
    for endpoint in live:
        said = _events_of(endpoint, catalog, schemas) | {
            f"{endpoint.name}.{one.__name__}": _plain(one) for one in endpoint.sends
        }
        heard = {f"{endpoint.name}.{one.__name__}": _plain(one) for one in endpoint.receives}
        messages |= said | heard
        channels[endpoint.name] = {
            "address": endpoint.address,
            "summary": endpoint.summary,
            "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in (*said, *heard)},
        }
        for action, keys in (("send", said), ("receive", heard)):
            if keys:
                operations[f"{action}.{endpoint.name}"] = _operation(endpoint.name, action, keys)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def asyncapi_route(catalog: Catalog, describe: Callable[[], Json]) -> Route:
    """`GET /asyncapi.json`. The document is made anew only when the catalog has changed."""
    known: tuple[EventType, ...] = ()
    body = b""

    def asyncapi(_: Request) -> Response:
        nonlocal known, body
        if catalog.types != known:
            known, body = catalog.types, msgspec.json.encode(describe())
        return Response(200, body)

    return Route(
        "GET", "/asyncapi.json", asyncapi, "The live streams, as AsyncAPI 3.0.", lane=Lane.FAST, tags=("operations",)
    )


def _schemas(catalog: Catalog, live: Sequence[Live]) -> Json:
    """By name: the shapes of all event types, what endpoints say and hear, and what they put around events."""
    shapes = [type.shape for type in catalog.types if type.shape is not None]
    words = [one for endpoint in live for one in (*endpoint.sends, *endpoint.receives)]
    _, components = msgspec.json.schema_components([*shapes, *words], ref_template="#/components/schemas/{name}")
    for schema in components.values():
        schema.pop("additionalProperties", None)
    for type in catalog.types:
        if type.shape is None:
            components[type.name] = {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"const": type.name}},
            }
    return {"Stamp": _STAMP, "Envelope": _ENVELOPE, **components}


def _events_of(endpoint: Live, catalog: Catalog, schemas: Json) -> Json:
    """The messages of an endpoint that shows events, by key."""
    if endpoint.form is None:
        return {}
    shown = _bare if endpoint.form == "bare" else _enveloped
    return {f"{endpoint.form}.{type.name}": shown(type, schemas) for type in catalog.types}


def _bare(type: EventType, schemas: Json) -> Json:
    return _event(type, type.name, {"allOf": [_ref("Stamp"), _ref(type.name)]})


def _enveloped(type: EventType, schemas: Json) -> Json:
    if type.spoken:  # no event: it comes as it is, and its name is that of the block
        schema = schemas[type.name]
        members = {name: value for name, value in schema["properties"].items() if name != "type"}
        required = [name for name in schema["required"] if name != "type"]
        return _event(type, type.dotted, {"type": "object", "required": required, "properties": members})
    about = {"event_type": {"const": type.dotted}, "payload": _ref(type.name)}
    return _event(type, type.dotted, {"allOf": [_ref("Envelope"), {"type": "object", "properties": about}]})


def _event(type: EventType, name: str, payload: Json) -> Json:
    message: Json = {"name": name, "title": type.name, "payload": payload}
    message |= {"x-dotted": type.dotted, "x-priority": type.priority.value, "x-stored": type.stored}
    return message | ({"x-entity": type.entity} if type.entity else {})


def _plain(said: type) -> Json:
    return {"name": said.__name__, "title": said.__name__, "payload": _ref(said.__name__)}


def _operation(name: str, action: str, keys: Json) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{key}"} for key in keys],
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
