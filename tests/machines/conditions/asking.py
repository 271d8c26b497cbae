"""Facts made of plain values, for tests of conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.conditions import Facts, compile

__all__ = ["explained", "facts", "holds"]


def facts(data: Mapping[str, Any] | None = None, *, update: bool = False, **event: Any) -> Facts:
    return Facts(lambda: data or {}, lambda: event, update=update)


def holds(text: str, data: Mapping[str, Any] | None = None, *, strict: bool = True, update: bool = False) -> bool:
    return compile(text, strict=strict).holds(facts(data, update=update))


def explained(text: str, data: Mapping[str, Any] | None = None, *, strict: bool = True, update: bool = False) -> str:
    return compile(text, strict=strict).explain(facts(data, update=update))
