"""Webhooks and deliveries for tools that may know that something is there, and not what: `?redact=true`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["redacted_delivery", "redacted_endpoint"]

PLAIN = ("id", "is_active", "url_class", "secret_set", "max_retries", "failure_count")
DATES = ("created_at", "updated_at", "last_triggered_at")
SECRET = re.compile(r"pass(word|wd)|secret|token|api_?key|credential|authorization", re.IGNORECASE)
HIDDEN = "(hidden)"  # stands in a shown URL for what may be secret


def redacted_endpoint(row: Mapping[str, Any]) -> dict[str, object]:
    """Of the row that everybody else is shown."""
    url = str(row["url"])
    kept = {name: row[name] for name in (*PLAIN, *DATES)}
    return kept | {"url_len": len(url), "url_secret_candidate": HIDDEN in url, "event_count": len(row["events"])}


def redacted_delivery(row: Mapping[str, Any]) -> dict[str, object]:
    """Of the row that everybody else is shown."""
    payload = b"" if row["payload"] is None else msgspec.json.encode(row["payload"])
    return {
        "id": row["id"],
        "webhook_id": row["webhook_id"],
        "event_type_len": len(row["event_type"]),
        "payload_class": "json" if payload else "empty",
        "payload_len": len(payload),
        "payload_secret_candidate": SECRET.search(payload.decode()) is not None,
        "status_code": row["status_code"],
        "response_body_len": len(row["response_body"] or ""),
        "delivered_at": row["delivered_at"],
        "success": row["success"],
    }
