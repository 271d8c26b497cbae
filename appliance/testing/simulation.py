"""A simulated world: one number decides everything that happens in it, so whatever goes wrong happens again.

    seed ─→ scheduler, clock, ids, secrets, delays ─→ the same trace, every time

No threads, no real time, no sockets. Blocking work runs inline in a task, after a seeded pause; its reports
reach the loop in the order in which they were made, as from real threads. `Simulation.run` starts Trio under
the seeded scheduler; `Simulation.boot` is a freshly started machine in that world.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from hashlib import blake2b
from typing import TypeVar

import trio
import trio._core._run as scheduler
from trio.testing import MockClock

from appliance.ids import uuid7
from appliance.world import Background

__all__ = ["SimulatedWorld", "Simulation", "Trace", "seeded_scheduler"]

T = TypeVar("T")

EPOCH_US = 1_700_000_000_000_000  # wall clock of a simulation's first moment


@contextlib.contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Let Trio run tasks in an order that follows from `seed`.

    Trio has no public way to ask for this. The two knobs are those that its own test tools use; a test of ours
    fails when a new Trio no longer has them.
    """
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    state = scheduler._r.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    scheduler._r.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]
        scheduler._r.setstate(state)


class Trace(trio.abc.Instrument):
    """A fingerprint of everything that ran, in order: equal traces mean equal runs."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self.steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        self.note(task.name)

    def note(self, text: str) -> None:
        self._hash.update(text.encode() + b"\n")

    @property
    def fingerprint(self) -> str:
        return self._hash.hexdigest()


class Simulation:
    """One universe. Whoever needs chance in it takes it from `rng`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.trace = Trace()
        self.skew_us = 0  # what is wrong with the wall clock; change it at any time

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run `main` to its end; time jumps whenever everybody waits."""
        with seeded_scheduler(self.seed):
            return trio.run(main, clock=MockClock(autojump_threshold=0), instruments=[self.trace])

    def boot(self) -> SimulatedWorld:
        """The world as a process finds it that starts now."""
        return SimulatedWorld(self)

    async def pause(self) -> None:
        """As long as a thread or a disk may take: mostly nothing, sometimes milliseconds, seldom much longer."""
        chance = self.rng.random()
        if chance < 0.5:
            await trio.lowlevel.checkpoint()
        elif chance < 0.97:
            await trio.sleep(self.rng.uniform(0.0, 0.005))
        else:
            await trio.sleep(self.rng.uniform(0.0, 0.3))


class SimulatedWorld:
    """What services see of a simulation: a `World`. One for each start of the simulated process."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.reports: deque[Callable[[], None]] = deque()  # of all background work, in order

    @property
    def rng(self) -> random.Random:
        return self._simulation.rng

    def now(self) -> float:
        return trio.current_time()

    def wall_us(self) -> int:
        return EPOCH_US + int(trio.current_time() * 1e6) + self._simulation.skew_us

    def new_id(self) -> str:
        return uuid7(self.wall_us(), self.secret(8))

    def secret(self, size: int) -> bytes:
        return self.rng.randbytes(size)

    async def in_thread(self, work: Callable[[], T]) -> T:
        await self._simulation.pause()
        return work()

    def background(self, name: str, step: Callable[[], bool]) -> Background:
        return _Inline(self, self._simulation, step)

    def gathering(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # a step begins after a pause in any case

    async def deliver_one(self) -> None:
        """One report reaches the loop: the oldest, whoever made it."""
        await self._simulation.pause()
        if self.reports:
            self.reports.popleft()()

    def deliver_all(self) -> None:
        while self.reports:
            self.reports.popleft()()


class _Inline:
    """Background work without a thread: a step runs whole, between two switches of the scheduler."""

    def __init__(self, world: SimulatedWorld, simulation: Simulation, step: Callable[[], bool]) -> None:
        self._world = world
        self._simulation = simulation
        self._step = step
        self._woken = trio.Event()
        self._made = 0  # reports nobody delivers yet

    def wake(self) -> None:
        self._woken.set()

    def call_soon(self, report: Callable[[], None]) -> None:
        self._made += 1
        self._world.reports.append(report)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await self._woken.wait()
                self._woken = trio.Event()
                more = True
                while more:
                    await self._simulation.pause()
                    more = self._stepped()
                    for _ in range(self._made):
                        nursery.start_soon(self._world.deliver_one)
                    self._made = 0

    def _stepped(self) -> bool:
        try:
            return self._step()
        except BaseException:
            self._world.deliver_all()  # a thread that crashes has told what it had to tell
            raise
