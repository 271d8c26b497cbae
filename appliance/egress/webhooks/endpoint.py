"""What is kept of webhooks: endpoints, how far each has come, and deliveries. Pure.

Times are microseconds since 1970. An endpoint's URL and secrets are kept sealed (see `vault`): both may open doors
elsewhere.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from appliance.clock import stamp
from appliance.model.event import Event
from appliance.model.letters import Letter

__all__ = [
    "FORMATS",
    "KIND",
    "Cursor",
    "Delivery",
    "Endpoint",
    "Format",
    "Place",
    "Secret",
    "Signature",
    "State",
    "begun",
    "delivery_row",
    "endpoint_row",
    "good_secrets",
    "letter_of",
    "shown_url",
    "signature_of",
]

KIND = "webhook"  # of dead letters

Signature = Literal["v1", "v1a"]  # HMAC with a shared secret; ed25519 with a key pair of ours
Format = Literal["envelope", "seed", "standard", "cloudevents", "cloudevents-binary"]
FORMATS: tuple[Format, ...] = ("envelope", "seed", "standard", "cloudevents", "cloudevents-binary")
State = Literal["pending", "retrying", "succeeded", "failed"]


class Secret(msgspec.Struct, frozen=True):
    """What requests are signed with."""

    text: str
    until: int | None = None  # None: the present one


class Place(msgspec.Struct, frozen=True):
    """The part of an endpoint that is sealed."""

    url: str
    secrets: tuple[Secret, ...]  # newest first


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A URL that is told of events."""

    id: str
    namespace: int
    sealed: str  # a `Place`, encrypted, in base64
    shown: str  # the URL as people may see it
    kind: str = "external"  # or local_or_private
    name: str = ""
    events: tuple[str, ...] = ()  # as they were asked for; empty: all
    memories: tuple[str, ...] | None = None  # it is shown; "": events without one; None: all
    format: Format = "envelope"
    max_retries: int = 4
    concurrency: int = 4
    rate: int = 0  # deliveries a minute; 0: no limit
    ordered: bool = False  # per stream
    active: bool = True
    reason: str = ""  # why it is not active
    created: int = 0
    updated: int = 0
    condition: str = ""  # canonical; empty: whatever happens
    public_key: str = ""  # what receivers verify with; empty: with the secret


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an endpoint has come: everything up to `position` is settled.

    `lap` rises when it goes back: deliveries of a lap before do not count as done then.
    """

    position: int
    lap: int = 0
    failures: int = 0  # deliveries that failed for good, in a row
    triggered: int | None = None  # the last success
    down: int | None = None  # since when the receiver does not answer


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event for one endpoint."""

    id: str
    webhook: str
    number: int  # rises with each delivery of the endpoint
    event: str  # id; empty: a test
    type: str
    position: int
    stream: str = ""
    lap: int = 0
    again: bool = False  # asked for by a person: does not move the cursor
    state: State = "pending"
    attempts: int = 0
    due: int | None = None  # next attempt
    at: int = 0  # last attempt
    status: int | None = None
    error: str = ""  # class
    answer: str = ""  # what the receiver said, cut and scrubbed
    ms: int = 0  # the last attempt took


def begun(endpoint: Endpoint, event: Event, id: str, number: int, *, lap: int = 0, again: bool = False) -> Delivery:
    """A delivery that was not tried yet."""
    return Delivery(id, endpoint.id, number, event.id, event.type, event.global_position, event.stream, lap, again)


def letter_of(delivery: Delivery, id: str, now_us: int) -> Letter:
    """What is put on the shelf for a delivery that failed for good."""
    return Letter(
        id,
        KIND,
        delivery.webhook,
        delivery.event,
        delivery.type,
        delivery.position,
        delivery.error,
        now_us,
        delivery.attempts,
        delivery.status,
        delivery.id,
        detail=delivery.answer,
    )


def signature_of(endpoint: Endpoint) -> Signature:
    return "v1a" if endpoint.public_key else "v1"


def good_secrets(place: Place, now_us: int) -> tuple[str, ...]:
    """Those to sign with, newest first."""
    return tuple(secret.text for secret in place.secrets if secret.until is None or now_us < secret.until)


def shown_url(url: str) -> str:
    """A URL without what may be secret in it: user, password, and the values of its query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    names = [quote(name, safe="") for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = "&".join(f"{name}=(hidden)" for name in names)
    return f"{parts.scheme}://{host}{parts.path}{f'?{query}' if query else ''}"


def endpoint_row(endpoint: Endpoint, cursor: Cursor) -> dict[str, object]:
    """An endpoint as clients see it."""
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.shown,
        "url_class": endpoint.kind,
        "events": list(endpoint.events),
        "memories": None if endpoint.memories is None else list(endpoint.memories),
        "condition": endpoint.condition,
        "format": endpoint.format,
        "is_active": endpoint.active,
        "reason": endpoint.reason,
        "secret_set": True,
        "signature": signature_of(endpoint),
        "public_key": endpoint.public_key or None,
        "max_retries": endpoint.max_retries,
        "concurrency": endpoint.concurrency,
        "rate": endpoint.rate,
        "ordered": endpoint.ordered,
        "created_at": stamp(endpoint.created),
        "updated_at": stamp(endpoint.updated),
        "last_triggered_at": _time(cursor.triggered),
        "failure_count": cursor.failures,
        "position": cursor.position,
    }


def delivery_row(delivery: Delivery, payload: object = None) -> dict[str, object]:
    """A delivery as clients see it."""
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook,
        "event_id": delivery.event or None,
        "event_type": delivery.type,
        "seq": delivery.position,
        "payload": payload,
        "state": delivery.state,
        "success": delivery.state == "succeeded",
        "attempt": delivery.attempts,
        "status_code": delivery.status,
        "response_body": delivery.answer or None,
        "error_class": delivery.error or None,
        "duration_ms": delivery.ms,
        "delivered_at": _time(delivery.at or None),
        "next_attempt_at": _time(delivery.due),
    }


def _time(micros: int | None) -> str | None:
    return None if micros is None else stamp(micros)
