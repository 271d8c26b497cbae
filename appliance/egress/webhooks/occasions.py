"""What webhooks themselves tell the log: that a delivery failed for good, and that an endpoint was disabled. Pure."""

from __future__ import annotations

import msgspec

from appliance.egress.webhooks.endpoint import Delivery, Endpoint
from appliance.model.event import Draft
from appliance.model.types import EventType, Id, Shape

__all__ = ["TYPES", "WebhookDisabled", "WebhookFailed", "disabled", "failed"]


class WebhookFailed(Shape, frozen=True, kw_only=True):
    """An event did not arrive, and is not tried again by itself."""

    webhook_id: Id
    delivery_id: Id
    event_id: str
    event_type: str
    error: str  # class
    attempts: int


class WebhookDisabled(Shape, frozen=True, kw_only=True):
    """An endpoint is told nothing any more, until a person resumes it."""

    webhook_id: Id
    reason: str


TYPES = (
    EventType("WebhookFailed", "webhook.failed", "webhook", "webhook_id", shape=WebhookFailed),
    EventType("WebhookDisabled", "webhook.disabled", "webhook", "webhook_id", shape=WebhookDisabled),
)


def failed(delivery: Delivery) -> Draft:
    """The event that tells of a delivery given up."""
    return _draft(
        "WebhookFailed",
        delivery.webhook,
        delivery_id=delivery.id,
        event_id=delivery.event,
        event_type=delivery.type,
        error=delivery.error,
        attempts=delivery.attempts,
    )


def disabled(endpoint: Endpoint, reason: str) -> Draft:
    """The event that tells of an endpoint given up."""
    return _draft("WebhookDisabled", endpoint.id, reason=reason)


def _draft(type: str, webhook: str, **fields: object) -> Draft:
    return Draft(f"webhook-{webhook}", type, msgspec.json.encode({"webhook_id": webhook, **fields}).decode())
