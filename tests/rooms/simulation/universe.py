"""One universe: a node on a faulty disk, its clients, and a few ways to die. Everything follows from the seed.

boot ─→ clients write and follow ─→ stop, power cut or broken disk ─→ boot … ─→ quiet ─→ compare
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from appliance.bus import Bus
from appliance.errors import Broken
from appliance.log import Log
from appliance.model.event import Event, Group, Query
from appliance.model.topic import Topic
from appliance.storage.sqlite import SqliteEngine
from appliance.testing.faults import FaultyDisk
from appliance.testing.simulation import Simulation
from tests.rooms.simulation.clients import Announcer, Every, Node, Reader, Writer
from tests.rooms.simulation.history import History, Violation
from tests.rooms.simulation.kept import check_state, read_state
from tests.rooms.storage.store import token_row

__all__ = ["Outcome", "play"]

HOUR_US = 3600 * 1_000_000
QUIET = 60.0  # virtual seconds after which everybody has everything


@dataclass(frozen=True)
class Outcome:
    """How one universe went."""

    seed: int
    fingerprint: str
    counts: Counter[str]


def play(seed: int, *, lying: tuple[str, ...] = ()) -> Outcome:
    """Live through one universe. `lying`: ends of names of files whose syncs do nothing.

    Raises:
        Violation: a promise was broken.
        EventsLost: the log itself found that acknowledged events are missing.
    """
    simulation = Simulation(seed)
    with tempfile.TemporaryDirectory() as folder, FaultyDisk() as disk:
        disk.lying = lying
        universe = _Universe(simulation, disk, Path(folder))
        try:
            simulation.run(universe.live)
        except BaseExceptionGroup as group:
            raise _first(group) from group
    return Outcome(seed, simulation.trace.fingerprint, universe.history.counts)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The leaf that tells most: a violation, if there is one."""
    violations = group.subgroup(Violation)
    error: BaseException = violations or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Universe:
    def __init__(self, simulation: Simulation, disk: FaultyDisk, folder: Path) -> None:
        self.simulation = simulation
        self.rng = simulation.rng
        self.disk = disk
        self.folder = folder
        self.history = History()
        self.namespaces: list[int] = []
        self.writers = [Writer(simulation, self.history, f"w{n}") for n in range(self.rng.randint(1, 5))]
        self.readers: list[Reader] = []
        self.announcer = Announcer(simulation)

    async def live(self) -> None:
        self._found()
        for _ in range(self.rng.randint(2, 4)):
            await self._generation(quiet=False)
            self._check()
        await self._generation(quiet=True)
        stored = self._check()
        self.history.check_connections(stored)
        for reader in self.readers:
            reader.check_complete(stored)

    def _found(self) -> None:
        """Two namespaces, and readers of all kinds of topics."""
        engine = self._open()
        for name in ("default", "other"):
            self.namespaces.append(engine.create_namespace(name, "", token_row(name), 0).key)
        engine.close()
        for number in range(self.rng.randint(1, 6)):
            namespace = self.rng.choice(self.namespaces)
            topic = self.rng.choice(
                (
                    Topic(namespace),
                    Topic(namespace, categories=("a",)),
                    Topic(namespace, categories=("b", "c")),
                    Topic(namespace, categories=("a",), group=Group(number % 2, 2)),
                    Topic(namespace, stream="a-1"),
                    Topic(namespace, stream="a-1", ephemeral=True),
                    Topic(namespace, ephemeral=True),
                    Topic(namespace, ephemeral=True, filter=Every(3)),
                    Topic(namespace, categories=("a",), filter=Every(2)),
                )
            )
            start = 0 if topic.stream is not None else self.rng.choice((0, None))
            self.readers.append(Reader(self.simulation, self.history, topic, start))

    def _open(self) -> SqliteEngine:
        return SqliteEngine.open(self.folder, vfs=self.disk.name, place_every=8 * len(self.writers))

    def _check(self) -> list[Event]:
        """Compare what a restart finds with what was told; the stored events."""
        engine = self._open()
        reader = engine.reader()
        events = [event for namespace in self.namespaces for event in reader.events(Query(namespace))]
        kept = {namespace: read_state(reader, namespace) for namespace in self.namespaces}
        reader.close()
        engine.close()
        self.history.check(events)
        check_state(self.history, events, kept)
        return events

    async def _generation(self, *, quiet: bool) -> None:
        """One life of the node, from boot to a stop, a cut of the power or a disk that fails to sync."""
        self.simulation.skew_us = self.rng.choice((0, 0, HOUR_US, -HOUR_US))
        try:
            with trio.CancelScope() as life:
                async with trio.open_nursery() as nursery:
                    node = await self._boot(nursery)
                    if not quiet:
                        self._plan_faults()
                    await self._busy(node, nursery, quiet=quiet)
                    life.cancel()
        except* Violation:
            raise
        except* Broken:
            self.history.counts["broke"] += 1
        except* Exception:
            if not self.disk.off:
                raise
        self.disk.crash(self.rng)

    async def _boot(self, nursery: trio.Nursery) -> Node:
        log = Log(self._open(), self.simulation.boot(), lambda events: self._publish(bus, events), readers=2)
        bus = Bus(log.events, log.head_position, log.oldest, blocks=4)
        await nursery.start(log.run)
        await nursery.start(bus.run)
        return Node(log, bus, self.namespaces)

    def _publish(self, bus: Bus, events: Sequence[Event]) -> None:
        for event in events:
            self.history.show(event.namespace, event.global_position, event.id)
        bus.publish(events)

    def _plan_faults(self) -> None:
        if self.rng.random() < 0.5:
            call = self.rng.choice(("read", "write", "write", "sync"))
            times = self.rng.choice((1, 1, 20))
            full = self.rng.random() < 0.5
            self.disk.fail(call, at=self.rng.randint(1, 150), times=times, full=full)

    async def _busy(self, node: Node, nursery: trio.Nursery, *, quiet: bool) -> None:
        for client in (*self.readers, *self.writers, self.announcer):
            nursery.start_soon(client.work, node)
        await trio.sleep(self.rng.uniform(0.0, self.rng.choice((0.05, 0.3, 1.0))))
        if not quiet and self.rng.random() < 0.7:
            self.history.counts["power cut"] += 1
            self.disk.cut_power()
            return
        node.closing = True
        await node.log.drain()
        if quiet:
            await trio.sleep(QUIET)
