"""An endpoint as the running service knows it."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from appliance.egress.webhooks.courier import Courier
from appliance.egress.webhooks.endpoint import Cursor, Endpoint, endpoint_row
from appliance.errors import NotFound
from appliance.model.principal import Principal

__all__ = ["Entry", "no_such_webhook", "visible"]


@dataclass(slots=True)
class Entry:
    """An endpoint and, while it is active, its courier."""

    endpoint: Endpoint
    cursor: Cursor
    courier: Courier | None = None
    scope: trio.CancelScope | None = None

    def row(self) -> dict[str, object]:
        courier = self.courier
        cursor = self.cursor if courier is None else courier.cursor
        beside = {
            "circuit": "closed" if courier is None else courier.breaker.state.value,
            "waiting": 0 if courier is None else courier.waiting,
            "condition_errors": 0 if courier is None else courier.wanted.unanswered,
            "condition_error": (None if courier is None else courier.wanted.trouble) or None,
        }
        return endpoint_row(self.endpoint, cursor) | beside


def no_such_webhook(id: str) -> NotFound:
    return NotFound(f"there is no webhook {id}", hint="appliance webhook list shows them", webhook=id)


def visible(caller: Principal, endpoint: Endpoint) -> bool:
    """Who is bound to memories has nothing to do with an endpoint that is shown more than them."""
    return not caller.memories or (endpoint.memories is not None and caller.memories.issuperset(endpoint.memories))
