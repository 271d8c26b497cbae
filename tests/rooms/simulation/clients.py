"""Those outside: writers who do not wait for answers, readers who come, lag, leave and return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import trio

from appliance.bus import Bus
from appliance.egress.memo import Plain
from appliance.errors import Conflict, LimitReached, Unavailable
from appliance.log import Log
from appliance.model.event import Event, Query, Unit
from appliance.model.topic import Topic
from appliance.testing.simulation import Simulation
from tests.rooms.simulation.history import Connection, History, Violation
from tests.rooms.simulation.units import make_unit

__all__ = ["Announcer", "Every", "Lines", "Node", "Reader", "Writer"]

LONG = 1000.0  # seconds: longer than a universe lasts


@dataclass
class Node:
    """What clients reach of a running appliance."""

    log: Log
    bus: Bus
    namespaces: list[int]
    closing: bool = False  # writers stop


@dataclass(frozen=True)
class Every:
    """A filter: one event in some, the same ones for everybody."""

    nth: int

    def passes(self, event: Event) -> bool:
        return event.ephemeral or event.global_position % self.nth == 0


class Lines(Plain):
    """A dialect of one line an event: what a checker needs to know. Announcements with one id are merged."""

    window = 0.05

    def key(self, event: Event) -> str:
        return event.id

    def encode(self, event: Event) -> bytes:
        if event.ephemeral:
            return f"~ {event.global_position} {event.data}\n".encode()
        return f"{event.global_position} {event.position} {event.id}\n".encode()

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)


LINES = Lines()


@dataclass
class Writer:
    """Writes units of all kinds (see `units`); tries one of unknown fate again, if it has a key."""

    simulation: Simulation
    history: History
    name: str
    unsure: list[Unit] = field(default_factory=list)
    _begun: int = 0

    @property
    def rng(self) -> Random:
        return self.simulation.rng

    async def work(self, node: Node) -> None:
        while not node.closing:
            await trio.sleep(self.rng.expovariate(100.0))
            try:
                unit = self.unsure.pop() if self.unsure and self.rng.random() < 0.5 else await self._new(node)
            except Unavailable:
                continue
            await self._write(node, unit)

    async def _write(self, node: Node, unit: Unit) -> None:
        self.history.begin(unit)
        if unit.key:
            self.unsure.append(unit)
        patience = self.rng.choice((0.002, 0.5, 60.0))
        try:
            with trio.move_on_after(patience) as wait:
                events = await node.log.submit(unit)
        except (Conflict, Unavailable, LimitReached) as refused:
            self.history.refuse(unit, refused)
            if unit.key:
                self.unsure.remove(unit)
            return
        if wait.cancelled_caught:
            self.history.counts["gave up"] += 1
            return
        if unit.key:
            self.unsure.remove(unit)
        self.history.acknowledge(unit, events)
        if events and self.rng.random() < 0.1:
            await self._read_back(node, events[-1])

    async def _new(self, node: Node) -> Unit:
        self._begun += 1
        return await make_unit(self.rng, node.log, self.rng.choice(node.namespaces), f"{self.name}-{self._begun}")

    async def _read_back(self, node: Node, event: Event) -> None:
        try:
            found = await node.log.events(Query(event.namespace, event.stream, position=event.position, limit=1))
        except Unavailable:
            return
        if found != [event]:
            raise Violation(f"read {found} after {event} was acknowledged")


@dataclass
class Announcer:
    """Tells in passing how far two jobs are."""

    simulation: Simulation
    _said: int = 0

    async def work(self, node: Node) -> None:
        rng = self.simulation.rng
        while not node.closing:
            await trio.sleep(rng.expovariate(100.0))
            self._said += 1
            namespace, key = rng.choice(node.namespaces), rng.choice(("x", "y"))
            place = node.log.head_position(namespace)
            node.bus.announce(Event(namespace, "a-1", "Progress", -1, place, key, f"{key}:{self._said}", None, 0))


class Link:
    """The way to one subscriber: sometimes slow, sometimes gone. See `model.http.Outlet`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._behind = False
        self.gone = trio.Event()
        self.got = bytearray()

    def offer(self, data: bytes) -> bool:
        if self._simulation.rng.random() < 0.01:
            self.kill()
        self._check()
        self._behind = self._behind or self._simulation.rng.random() < 0.1
        if self._behind:
            return False
        self.got += data
        return True

    async def send_all(self, data: bytes) -> None:
        await self._simulation.pause()
        self._check()
        self.got += data

    async def drained(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._behind:
            await trio.sleep(self._simulation.rng.choice((0.001, 0.05, 1.0)))
            self._behind = self._simulation.rng.random() < 0.3
        self._check()

    def kill(self) -> None:
        self.gone.set()

    def end(self, code: int, reason: str = "") -> None:
        self.kill()

    def _check(self) -> None:
        if self.gone.is_set():
            raise trio.BrokenResourceError


@dataclass
class Reader:
    """Follows one topic over many connections, each from where the one before ended."""

    simulation: Simulation
    history: History
    topic: Topic
    next: int | None = 0  # None: only what is still to come

    async def work(self, node: Node) -> None:
        while True:
            await trio.sleep(self.simulation.rng.expovariate(20.0))
            await self._connect(node, stay=self.simulation.rng.choice((0.01, 0.1, 1.0, LONG)))

    async def _connect(self, node: Node, stay: float) -> None:
        link = Link(self.simulation)
        first = node.log.head_position(self.topic.namespace) + 1 if self.next is None else self.next
        connection = Connection(self.topic, first)
        self.history.connections.append(connection)
        try:
            with trio.move_on_after(stay):
                subscription = await node.bus.follow(self.topic, LINES, link, self.next)
                try:
                    await link.gone.wait()
                finally:
                    subscription.leave()
        except (trio.BrokenResourceError, Unavailable):
            self.history.counts["connections broken"] += 1
        finally:
            self._remember(connection, link)
            link.kill()

    def _remember(self, connection: Connection, link: Link) -> None:
        newest: dict[str, int] = {}  # value announced last, by key
        for line in link.got.decode().splitlines():
            place, position, id = line.split()
            if place == "~":
                self._check_announced(connection, int(position), id, newest)
                continue
            connection.got.append(int(place))
            self.next = 1 + int(position if self.topic.stream is not None else place)
            self.history.show(self.topic.namespace, int(place), id)
            self.history.counts["delivered"] += 1

    def _check_announced(self, connection: Connection, seq: int, value: str, newest: dict[str, int]) -> None:
        """It stands behind every stored event shown before it, and the values of a key rise."""
        key, number = value.split(":")
        if self.topic.stream is None and connection.got and seq < connection.got[-1]:
            raise Violation(f"{value} stands at {seq}, behind {connection.got[-1]}")
        if int(number) <= newest.get(key, -1):
            raise Violation(f"{value} came after {newest[key]}")
        newest[key] = int(number)
        self.history.counts["announced"] += 1

    def check_complete(self, stored: Sequence[Event]) -> None:
        """After a quiet time it has everything there is."""
        places = [
            event.position if self.topic.stream is not None else event.global_position
            for event in stored
            if self.topic.matches(event)
        ]
        if self.next is not None and places and self.next != places[-1] + 1:
            raise Violation(f"{self.topic} has come to {self.next}, the log to {places[-1]}")
