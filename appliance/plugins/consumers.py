"""The consumers of one plugin: each follows each namespace, while there is something to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from appliance.errors import NotFound
from appliance.model.catalog import Catalog
from appliance.model.event import Event, Namespace
from appliance.model.legs import Leg
from appliance.model.principal import WRITE, Principal
from appliance.model.state import StateChange
from appliance.plugins.declared import Declarations
from appliance.plugins.desk import Desk
from appliance.plugins.following import OWNER, Checkpoint, Follower
from appliance.plugins.handling import Handling
from appliance.storage.ports import Reader

__all__ = ["ConsumerStatus", "Consumers", "waiting"]

FAREWELL = 2.0  # seconds for the last checkpoints


class ConsumerStatus(msgspec.Struct, frozen=True):
    """A consumer at one moment, all namespaces together."""

    name: str
    events: tuple[str, ...]
    when: str
    lag: int  # events in the log that it has not dealt with
    done: int  # since the plugin began
    skipped: int  # by its condition
    failed: int  # dead letters


class Consumers:
    """Of one running plugin."""

    def __init__(self, handlings: Sequence[Handling], desk: Desk[Any]) -> None:
        self._handlings = handlings
        self._desk = desk
        self._followers: dict[tuple[str, int], Follower] = {}  # by name of the consumer, and namespace
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ready when each knows where it is; lasts until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                await self._load()
                self._nursery = nursery
                for follower in list(self._followers.values()):
                    nursery.start_soon(follower.run)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            with trio.CancelScope(shield=True), trio.move_on_after(FAREWELL):
                for follower in self._followers.values():
                    await follower.save()

    def ring(self, spaces: frozenset[int], types: frozenset[str]) -> None:
        """Events of these types were published in these namespaces. Waits for nobody."""
        if self._nursery is None:
            return
        for handling in self._handlings:
            for key in spaces:
                follower = self._followers.get((handling.consumer.door.name, key)) or self._new(handling, key)
                if follower is not None and follower.rang(types):
                    self._nursery.start_soon(follower.run)

    def status(self) -> tuple[ConsumerStatus, ...]:
        """How each one does."""
        found = []
        for one in self._handlings:
            door = one.consumer.door
            lag = sum(follower.lag for (name, _), follower in self._followers.items() if name == door.name)
            tally = one.tally
            found.append(
                ConsumerStatus(
                    door.name,
                    tuple(sorted(one.consumer.names)),
                    door.when,
                    lag,
                    tally["done"],
                    tally["skipped"],
                    tally["failed"],
                )
            )
        return tuple(found)

    def why(self, event: Event) -> list[Leg]:
        """What became of an event with each consumer that wants its type."""
        legs = []
        for one in self._handlings:
            follower = self._followers.get((one.consumer.door.name, event.namespace))
            in_hand = follower is not None and follower.in_hand(event.global_position)
            if (leg := one.leg(event, in_hand=in_hand)) is not None:
                legs.append(leg)
        return legs

    def again(self, name: str, space: Namespace, event: Event) -> bool:
        """Bring an event once more, beside everything else. False: there is no such consumer, or it does not run."""
        found = next((one for one in self._handlings if one.consumer.door.name == name), None)
        if found is None or self._nursery is None:
            return False
        self._nursery.start_soon(found.handle, space, event, trio.CapacityLimiter(1))
        return True

    # -- inside -----------------------------------------------------------------------------

    async def _load(self) -> None:
        """Where each one is; one that was never here begins as it was declared."""
        fresh: list[tuple[Namespace, StateChange]] = []
        for space in self._desk.ports.spaces():
            known = await self._checkpoints(space)
            for handling in self._handlings:
                name = handling.consumer.door.name
                position = known.get(self._key(name))
                if position is None:
                    position = self._begin(handling, space)
                    value = msgspec.json.encode(Checkpoint(position)).decode()
                    fresh.append((space, StateChange(space.key, OWNER, self._key(name), value)))
                self._followers[name, space.key] = self._follower(handling, space, position)
        for space, change in fresh:
            try:
                who = Principal(space, frozenset({WRITE}), subject=f"plugin:{self._desk.name}")
                await self._desk.ports.write(who, (), changes=[change])
            except NotFound:
                continue  # the namespace went meanwhile

    async def _checkpoints(self, space: Namespace) -> dict[str, int]:
        def read(reader: Reader) -> dict[str, int]:
            rows = reader.states(space.key, OWNER, prefix=f"{self._desk.name}/", limit=1000)
            return {row.key: msgspec.json.decode(row.value, type=Checkpoint).position for row in rows}

        return await self._desk.ports.log.reading(read)

    def _begin(self, handling: Handling, space: Namespace) -> int:
        return 0 if handling.consumer.door.start == "first" else self._desk.ports.log.head_position(space.key)

    def _new(self, handling: Handling, key: int) -> Follower | None:
        """For a namespace that came after the consumer: everything in it is from now on."""
        space = next((one for one in self._desk.ports.spaces() if one.key == key), None)
        if space is None:
            return None
        name = handling.consumer.door.name
        follower = self._followers[name, key] = self._follower(handling, space, 0)
        assert self._nursery is not None  # `ring` looked
        self._nursery.start_soon(follower.run)
        return follower

    def _follower(self, handling: Handling, space: Namespace, position: int) -> Follower:
        key = self._key(handling.consumer.door.name)
        return Follower(self._desk, space, key, position, handling.wants, handling.handle)

    def _key(self, name: str) -> str:
        return f"{self._desk.name}/{name}"


def waiting(declared: Declarations, event: Event, catalog: Catalog) -> list[Leg]:
    """What becomes of an event with the consumers of a plugin that does not run."""
    meant = catalog.of(event.type)
    names = (event.type, meant.name, meant.dotted)
    return [
        Leg("plugin", f"{declared.plugin.name}: {one.door.name}", "waiting", "the plugin does not run")
        for one in declared.consumers
        if not one.names.isdisjoint(names)
    ]
