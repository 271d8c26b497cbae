"""What became of an event at each webhook, or why it was not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.clock import MICROSECONDS, stamp
from appliance.egress.webhooks.endpoint import Delivery, Endpoint
from appliance.egress.webhooks.entry import Entry, visible
from appliance.egress.webhooks.wanted import Wanted
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.legs import Leg, Why, since_accepted
from appliance.model.principal import ADMIN, Principal
from appliance.resilience.breaker import State
from appliance.world import World

__all__ = ["webhooks_why"]


class _Store(Protocol):
    async def deliveries(self, endpoint: Endpoint, limit: int | None = None) -> list[Delivery]: ...


def webhooks_why(entries: Callable[[int], list[Entry]], store: _Store, catalog: Catalog, world: World) -> Why:
    """The webhooks' part of the answer. They are an admin's to see.

    Args:
        entries: of a namespace, by its key.
    """

    async def why(who: Principal, event: Event) -> list[Leg]:
        if not who.may(ADMIN):
            return []
        seen = [entry for entry in entries(event.namespace) if visible(who, entry.endpoint)]
        return [await _leg(entry, event, store, catalog, world) for entry in seen]

    return why


async def _leg(entry: Entry, event: Event, store: _Store, catalog: Catalog, world: World) -> Leg:
    endpoint, courier = entry.endpoint, entry.courier
    name = endpoint.name or endpoint.shown
    delivery = await _delivery(entry, event, store)
    if delivery is not None:
        return _delivered(name, entry, event, delivery, world)
    wanted = Wanted.of(endpoint, catalog) if courier is None else courier.wanted
    if reason := wanted.misses(event):
        return Leg("webhook", name, "skipped", reason)
    read = entry.cursor.position if courier is None else courier.read
    if event.global_position > read:
        ahead = event.global_position - read
        behind = f"{ahead} event{'' if ahead == 1 else 's'} to look at first"
        return Leg("webhook", name, "waiting", behind if endpoint.active else f"not active: {endpoint.reason}")
    if event.time < endpoint.created:
        return Leg("webhook", name, "skipped", "it was made after the event")
    return Leg("webhook", name, "done", "it is over; what came of it is not kept any more")


async def _delivery(entry: Entry, event: Event, store: _Store) -> Delivery | None:
    if entry.courier is not None:
        return await entry.courier.delivery(event.id)
    kept = await store.deliveries(entry.endpoint)
    return next((one for one in kept if one.event == event.id), None)


def _delivered(name: str, entry: Entry, event: Event, delivery: Delivery, world: World) -> Leg:
    said = str(delivery.status) if delivery.status else delivery.error or "sent"
    tries = f" after {delivery.attempts} attempts" if delivery.attempts > 1 else ""
    if delivery.state not in ("succeeded", "failed"):
        return Leg("webhook", name, "waiting", _waiting(entry, delivery, said, world), id=delivery.id)
    ended = delivery.at + delivery.ms * 1000
    at, after = stamp(ended), since_accepted(event, ended)
    if delivery.state == "succeeded":
        return Leg("webhook", name, "done", f"{said}{tries}", at, after, delivery.id)
    return Leg("webhook", name, "failed", f"{said}{tries}; put on the shelf of dead letters", at, after, delivery.id)


def _waiting(entry: Entry, delivery: Delivery, said: str, world: World) -> str:
    if not entry.endpoint.active or entry.courier is None:
        return f"not active: {entry.endpoint.reason}"
    now, breaker = world.now(), entry.courier.breaker
    if breaker.state is State.OPEN and breaker.wait(now):
        return f"its circuit is open, asked again in {breaker.wait(now):.0f} s"
    if delivery.due is None:
        return "on its way"
    return f"{said}, next attempt in {max(0.0, (delivery.due - world.wall_us()) / MICROSECONDS):.0f} s"
