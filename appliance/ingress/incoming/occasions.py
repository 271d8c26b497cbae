"""The event that a webhook becomes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.ingress.incoming.receiver import Receiver
from appliance.ingress.jsontext import compact
from appliance.model.event import Draft
from appliance.model.types import EventType, Id, Shape

__all__ = ["TYPE", "IncomingWebhookReceived", "received"]


class IncomingWebhookReceived(Shape, frozen=True, kw_only=True):
    """Another system told us something, and proved who it is."""

    receiver_id: Id
    slug: str
    provider: str
    schema_ref: str
    key: str  # by which its sender names it; "": it does not
    headers: dict[str, str]  # those that the receiver keeps
    payload: Any


TYPE = EventType(
    "IncomingWebhookReceived",
    "incoming_webhook.received",
    "incoming_webhook",
    "receiver_id",
    shape=IncomingWebhookReceived,
)


def received(receiver: Receiver, id: str, key: str, headers: Mapping[str, str], body: bytes) -> Draft:
    """The draft for a checked body, which stays as its sender wrote it.

    Args:
        id: for the event.
    """
    data = {
        "receiver_id": receiver.id,
        "slug": receiver.slug,
        "provider": receiver.provider,
        "schema_ref": receiver.schema_ref,
        "key": key,
        "headers": {name: headers[name] for name in receiver.headers if name in headers},
        "payload": msgspec.Raw(compact(msgspec.Raw(body)).encode()),
    }
    return Draft(f"incoming_webhook-{receiver.slug}", TYPE.name, msgspec.json.encode(data).decode(), id=id)
