"""The office of the couriers: one for each endpoint that is active, begun and ended as endpoints change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ClassVar, Protocol

import msgspec
import structlog
import trio
from msgspec.structs import replace

from appliance.auth.signing import public_key
from appliance.auth.vault import Sealed, Vault
from appliance.egress.webhooks import occasions
from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.courier import Courier, EventLog, Office
from appliance.egress.webhooks.endpoint import KIND, Cursor, Delivery, Endpoint, Place, Secret, begun, shown_url
from appliance.egress.webhooks.entry import Entry, no_such_webhook
from appliance.egress.webhooks.figures import Figures
from appliance.egress.webhooks.places import Places
from appliance.egress.webhooks.sender import Resolve, Sender
from appliance.egress.webhooks.store import Log, Store, keep
from appliance.egress.webhooks.trial import trial
from appliance.egress.webhooks.wanted import Wanted, canonical
from appliance.egress.webhooks.wishes import Change, New, Rotation, wanted_types
from appliance.errors import ApplianceError, Conflict, NotFound
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event
from appliance.model.letters import Letter, Shelf
from appliance.resilience.turns import Turns
from appliance.world import World

__all__ = ["Webhooks"]

log = structlog.get_logger("webhooks")

POLITE = 5.0  # seconds that what is on its way may take when an endpoint changes
CARRY = 30.0  # seconds for a change, whoever waits for it
MOST_ENDPOINTS = 1000  # of a namespace
PAUSED = "paused"


class Webhooks:
    """A supervised service.

    Args:
        log: what `EventLog` and the store's `Log` ask for, in one.
        emit: writes an event of ours into a namespace, by its key.
        source: of a namespace's events in CloudEvents.
        scrub: takes out of a receiver's answer what nobody should keep.
        schedule: seconds before each retry.
    """

    name: ClassVar[str] = "webhooks"

    def __init__(
        self,
        log: _Log,
        catalog: Catalog,
        world: World,
        guard: Guard,
        vault: Vault,
        resolve: Resolve,
        shelf: Shelf,
        *,
        emit: Callable[[int, Draft], Awaitable[None]],
        source: Callable[[int], str],
        scrub: Callable[[str], str],
        timeout: float,
        schedule: Sequence[float],
        concurrency: int,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._world = world
        self._guard = guard
        self._places = Places(guard, vault, world.secret)
        self._resolve = resolve
        self._shelf = shelf
        shelf.serve(KIND, self._retry)
        self._emit = emit
        self._timeout = timeout
        self._concurrency = concurrency
        self.store = Store(log)
        self._office = Office(
            log, self.store, catalog, world, tuple(schedule), source, scrub, self._failed, self._disable
        )
        self._entries: dict[str, Entry] = {}
        self._nursery: trio.Nursery | None = None
        self._turns = Turns(limit=CARRY)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.store.run)
                self._entries = {one.id: Entry(one, cursor) for one, cursor in await self.store.endpoints()}
                self._nursery = nursery
                self._turns.begin(nursery)
                for entry in self._entries.values():
                    self._begin(entry)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._turns.end()

    async def drain(self) -> None:
        """Begin no more attempts; those on their way have until the grace is over."""
        couriers = [entry.courier for entry in self._entries.values() if entry.courier is not None]
        async with trio.open_nursery() as nursery:
            for courier in couriers:
                nursery.start_soon(courier.stop)

    def ring(self, events: Iterable[Event]) -> None:
        """There are new events in the log. Waits for nobody."""
        if not self._entries:
            return
        spaces = {event.namespace for event in events}
        for entry in self._entries.values():
            if entry.courier is not None and entry.endpoint.namespace in spaces:
                entry.courier.wake()

    def waits_for(self) -> str:
        return f"{self.couriers} couriers, {self.waiting} deliveries on their way"

    @property
    def couriers(self) -> int:
        """Endpoints that are active."""
        return sum(entry.courier is not None for entry in self._entries.values())

    @property
    def waiting(self) -> int:
        """Deliveries begun and not settled."""
        return sum(entry.courier.waiting for entry in self._entries.values() if entry.courier is not None)

    @property
    def figures(self) -> Figures:
        """What was counted since the start."""
        return self._office.figures

    # -- asking -----------------------------------------------------------------------------

    def entries(self, namespace: int) -> list[Entry]:
        """Newest first."""
        found = [entry for entry in self._entries.values() if entry.endpoint.namespace == namespace]
        return sorted(found, key=lambda entry: (entry.endpoint.created, entry.endpoint.id), reverse=True)

    def endpoints(self, namespace: int) -> list[Endpoint]:
        """Newest first."""
        return [entry.endpoint for entry in self.entries(namespace)]

    def row(self, namespace: int, id: str) -> dict[str, object]:
        """Raises NotFound."""
        return self._entry(namespace, id).row()

    def endpoint(self, namespace: int, id: str) -> Endpoint:
        """Raises NotFound."""
        return self._entry(namespace, id).endpoint

    def tells(self, endpoint: Endpoint, event: Event) -> bool:
        """Whether the endpoint is one for this event."""
        return Wanted.of(endpoint, self._catalog).passes(event)

    # -- changing ---------------------------------------------------------------------------

    async def create(self, namespace: int, wish: New, memories: tuple[str, ...] | None) -> tuple[str, str]:
        """A new endpoint, told of what happens from now on. Returns its id, and its secret, shown this once.

        Raises:
            TargetRefused: webhooks may not go there.
            Rejected: something else cannot be.
        """
        kind = self._places.kind(wish.url)
        wanted_types(self._catalog, wish.events)  # raises
        secret = self._places.secret(wish.secret, wish.signature)
        if len(self.endpoints(namespace)) >= MOST_ENDPOINTS:
            raise Conflict(f"a namespace has {MOST_ENDPOINTS} webhooks at most", hint="delete some")
        id, now = self._world.new_id(), self._world.wall_us()
        endpoint = Endpoint(
            id,
            namespace,
            self._places.seal(id, Place(wish.url, (Secret(secret),))),
            shown_url(wish.url),
            kind,
            wish.name,
            wish.events,
            memories,
            wish.format,
            self._retries(wish.max_retries),
            wish.concurrency or self._concurrency,
            wish.rate,
            wish.ordered,
            wish.is_active,
            "" if wish.is_active else PAUSED,
            now,
            now,
            canonical(wish.condition),
            public_key(secret),
        )
        log.info("webhook created", webhook=id)

        async def carry() -> None:
            entry = Entry(endpoint, Cursor(self._log.head_position(namespace)))
            await self.store.save([keep(namespace, endpoint), keep(namespace, entry.cursor, id=id)])
            self._entries[id] = entry
            self._begin(entry)

        await self._turns.take(carry)
        return id, secret

    async def change(self, namespace: int, id: str, wish: Change) -> None:
        """Raises what `create` raises, and NotFound."""
        entry = self._entry(namespace, id)
        given = {name: value for name, value in msgspec.structs.asdict(wish).items() if value is not msgspec.UNSET}
        kind = self._places.kind(given["url"]) if "url" in given else entry.endpoint.kind
        wanted_types(self._catalog, given.get("events", ()))
        new = {name: value for name, value in given.items() if name not in ("url", "secret", "is_active")}
        if "condition" in new:
            new["condition"] = canonical(new["condition"])
        if "max_retries" in new:
            new["max_retries"] = self._retries(new["max_retries"])
        if "is_active" in given:
            new |= {"active": given["is_active"], "reason": "" if given["is_active"] else PAUSED}
        if "url" in given or "secret" in given:
            new["sealed"] = self._places.replaced(entry.endpoint, given)
        if "secret" in given:
            new["public_key"] = public_key(given["secret"])
        if "url" in given:
            new |= {"shown": shown_url(given["url"]), "kind": kind}
        await self._turns.take(lambda: self._restarted(entry, new, forgive=bool(given.get("is_active"))))

    async def rotate(self, namespace: int, id: str, wish: Rotation) -> str:
        """A new secret, returned this once; those before stay good for the overlap.

        Raises:
            Conflict: too many are good still.
        """
        entry = self._entry(namespace, id)
        sealed, secret = self._places.rotated(entry.endpoint, wish, self._world.wall_us())
        await self._turns.take(lambda: self._restarted(entry, {"sealed": sealed, "public_key": public_key(secret)}))
        return secret

    async def delete(self, namespace: int, id: str) -> None:
        """It and all that is kept of it. Raises NotFound."""
        entry = self._entry(namespace, id)

        async def carry() -> None:
            await self._end(entry)
            await self._shelf.forget(namespace, KIND, id)
            await self.store.delete(entry.endpoint)
            self._entries.pop(id, None)

        await self._turns.take(carry)

    async def rewind(self, namespace: int, id: str, since: int) -> None:
        """Go through everything again from a position on. Raises NotFound."""
        entry = self._entry(namespace, id)

        async def carry() -> None:
            await self._end(entry)
            position = min(since - 1, self._log.head_position(namespace))
            entry.cursor = replace(entry.cursor, position=position, lap=entry.cursor.lap + 1)
            await self.store.save([keep(namespace, entry.cursor, id=id)])
            self._begin(entry)

        await self._turns.take(carry)

    async def again(self, namespace: int, id: str, events: Sequence[Event]) -> list[Delivery]:
        """Bring these events once more, beside everything else. Raises NotFound."""
        entry = self._entry(namespace, id)
        deliveries = [
            begun(entry.endpoint, event, self._world.new_id(), self.store.number(self._world.wall_us()), again=True)
            for event in events
        ]

        async def carry() -> None:
            await self.store.save([keep(namespace, delivery) for delivery in deliveries])
            if entry.courier is not None:
                for delivery in deliveries:
                    entry.courier.add(delivery)

        await self._turns.take(carry)
        return deliveries

    async def test(self, namespace: int, id: str) -> Delivery:
        """Send a test event now, also to one that is paused, once. Returns what came of it."""
        endpoint = self._entry(namespace, id).endpoint
        sender = self._sender(endpoint)
        try:
            delivery = await trial(self._office, sender, endpoint, self._places.open(endpoint))
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await sender.aclose()
        await self.store.save([keep(namespace, delivery)])
        return delivery

    # -- inside -----------------------------------------------------------------------------

    def _entry(self, namespace: int, id: str) -> Entry:
        entry = self._entries.get(id)
        if entry is None or entry.endpoint.namespace != namespace:
            raise no_such_webhook(id)
        return entry

    def _retries(self, given: int | None) -> int:
        most = len(self._office.schedule)
        return most if given is None else min(given, most)

    def _sender(self, endpoint: Endpoint) -> Sender:
        return Sender(self._guard, self._resolve, connections=endpoint.concurrency, timeout=self._timeout)

    def _begin(self, entry: Entry) -> None:
        if not entry.endpoint.active or self._nursery is None:
            return
        endpoint = entry.endpoint
        try:
            place = self._places.open(endpoint)
        except Sealed as trouble:
            log.warning("webhook cannot be read", webhook=endpoint.id, hint=trouble.hint)
            entry.endpoint = replace(endpoint, active=False, reason=trouble.message)
            return
        wanted = Wanted.of(endpoint, self._catalog)
        entry.courier = Courier(endpoint, place, entry.cursor, wanted, self._sender(endpoint), self._office)
        entry.scope = trio.CancelScope()
        self._nursery.start_soon(self._keep, entry, entry.courier, entry.scope, name=f"courier/{endpoint.id}")

    async def _keep(self, entry: Entry, courier: Courier, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await courier.run()
            except* NotFound:
                log.info("webhook ends with its namespace", webhook=entry.endpoint.id)
                self._entries.pop(entry.endpoint.id, None)

    async def _end(self, entry: Entry) -> None:
        """Stop its courier: politely at first."""
        courier, scope = entry.courier, entry.scope
        entry.courier = entry.scope = None
        if courier is None or scope is None:
            return
        with trio.move_on_after(POLITE):
            await courier.stop()
        entry.cursor = courier.cursor
        scope.cancel()

    async def _restarted(self, entry: Entry, new: dict[str, object], *, forgive: bool = False) -> None:
        await self._end(entry)
        endpoint = replace(entry.endpoint, **new, updated=self._world.wall_us())
        if forgive:
            entry.cursor = replace(entry.cursor, failures=0)
        cursor = keep(endpoint.namespace, entry.cursor, id=endpoint.id)
        await self.store.save([keep(endpoint.namespace, endpoint), cursor])
        entry.endpoint = endpoint
        self._begin(entry)

    async def _retry(self, namespace: int, letter: Letter) -> bool:
        event = await self._log.find(namespace, letter.event)
        if event is None or letter.source not in self._entries:
            return False
        await self.again(namespace, letter.source, [event])
        return True

    async def _failed(self, endpoint: Endpoint, delivery: Delivery) -> None:
        await self._tell(endpoint, occasions.failed(delivery))

    async def _disable(self, endpoint: Endpoint, reason: str) -> None:
        """Called by its own courier, which cannot wait for its own end."""
        entry = self._entries.get(endpoint.id)
        if entry is None or entry.courier is None or self._nursery is None:
            return
        log.warning("webhook disabled", webhook=endpoint.id, reason=reason)

        async def carry() -> None:
            if entry.endpoint.active:
                await self._restarted(entry, {"active": False, "reason": reason})
                await self._tell(endpoint, occasions.disabled(endpoint, reason))

        self._nursery.start_soon(self._quietly, carry)

    async def _quietly(self, change: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._turns.take(change)
        except ApplianceError as error:  # the next failure asks for it again
            log.warning("webhook not disabled", error=error.message)

    async def _tell(self, endpoint: Endpoint, draft: Draft) -> None:
        try:
            await self._emit(endpoint.namespace, draft)
        except ApplianceError as error:  # the shelf and the endpoint's row say the same
            log.warning("not told", webhook=endpoint.id, event=draft.type, error=error.message)


class _Log(EventLog, Log, Protocol):
    """The log, as this room needs it."""
