"""Keeps services in order: started one after the other, stopped in reverse, restarted or given up.

A supervisor is a service itself, so trees grow by nesting. Each child lives under a shielded scope of
its own: a cancellation from above reaches only the supervisor, which then ends the children one by
one from the last to the first. Otherwise Trio would cancel all of them at once, and the log would go
while the front still takes requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import structlog
import trio

from appliance.errors import Broken, NotFound, Unavailable
from appliance.model.ports import Service
from appliance.supervise.restarts import Limits, Restarts
from appliance.supervise.tree import Busy, Grows, Node, State, one_line
from appliance.world import World

__all__ = ["Child", "OnCrash", "Supervisor"]

log = structlog.get_logger("supervise")


class OnCrash(Enum):
    """What a crash means for the others."""

    EXIT = "exit"  # others stand on it: stop everything, orderly
    RESTART = "restart"  # an edge: again after a pause; EXIT when its budget is spent
    PARK = "park"  # a plugin: again after a pause; set aside when its budget is spent


@dataclass(frozen=True, slots=True)
class Child:
    """A service, and what to do about it. Times in seconds."""

    service: Service
    on_crash: OnCrash = OnCrash.EXIT
    start_timeout: float = 30.0
    drain_grace: float = 10.0
    limits: Limits = field(default_factory=Limits)


class Supervisor:
    """Runs `children` top to bottom.

    `run` is ready when each child was ready once, in turn; an edge (RESTART, PARK) that fails its first
    start goes on trying and holds nobody up. It raises the crash of a child nothing can be done about,
    after the others were stopped.
    """

    def __init__(self, name: str, children: Sequence[Child], *, world: World, grace: float = 30.0) -> None:
        """`grace`: seconds that draining may take altogether."""
        self._name = name
        self._world = world
        self._grace = grace
        self._slots = [_Slot(child, world) for child in children]
        self._standing = trio.CancelScope()
        self._stopped = trio.Event()
        self._stopped.set()
        self._stopping = False
        self._deadline = math.inf
        self._crash: Exception | None = None
        if len({slot.name for slot in self._slots}) < len(self._slots):
            raise ValueError(f"two services of {name} have the same name")

    @property
    def name(self) -> str:
        return self._name

    def branches(self) -> tuple[Node, ...]:
        return tuple(slot.node() for slot in self._slots)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self._begin()
        async with trio.open_nursery() as nursery:
            try:
                with self._standing:
                    for slot in self._slots:
                        slot.begun = True
                        nursery.start_soon(self._keep, slot, name=f"{self._name}/{slot.name}")
                        await slot.answered.wait()
                    task_status.started()
                    await trio.sleep_forever()
                await self._stop()
            finally:
                self._stopping = True
                with trio.CancelScope(shield=True):  # as long as the children's own clean-up, which is bounded
                    for slot in reversed(self._slots):
                        await slot.end()
                self._stopped.set()
        if self._crash is not None:
            raise self._crash
        await trio.sleep_forever()  # drained; the end comes from above

    async def drain(self) -> None:
        """Stop every child, last one first, each politely and within the grace. Start no more."""
        self._standing.cancel()
        await self._stopped.wait()

    def hurry(self) -> None:
        """No more politeness: what still drains is cancelled."""
        self._deadline = -math.inf
        for slot in self._slots:
            slot.knock.cancel()

    def restart(self, name: str) -> None:
        """Start a parked or pausing child now, with its whole budget.

        Raises:
            NotFound: there is no such child, or it needs no restart.
        """
        for slot in self._slots:
            if slot.name == name and slot.state in (State.PARKED, State.PAUSED):
                slot.restarts.forgive()
                slot.wake.set()
                return
        raise NotFound(f"{self._name} has no parked service {name!r}", hint="`appliance status` shows the tree")

    def _begin(self) -> None:
        self._slots = [_Slot(slot.child, self._world) for slot in self._slots]
        self._standing = trio.CancelScope()
        self._stopped = trio.Event()
        self._stopping = False
        self._deadline = math.inf
        self._crash = None

    async def _stop(self) -> None:
        self._stopping = True
        self._deadline = min(self._deadline, trio.current_time() + self._grace)
        for slot in reversed(self._slots):
            if slot.state is State.READY:
                await self._drain(slot)
            await slot.end()

    async def _drain(self, slot: _Slot) -> None:
        slot.become(State.DRAINING)
        slot.knock.deadline = min(trio.current_time() + slot.child.drain_grace, self._deadline)
        try:
            with slot.knock:
                await slot.child.service.drain()
        except Exception as crash:
            slot.note(crash)
            log.error("drain failed", service=slot.name, exc_info=crash)
        if slot.knock.cancelled_caught:
            log.warning("drain cut short", service=slot.name)

    async def _keep(self, slot: _Slot) -> None:
        """One child's life: run, crash, pause, run again, until it is told to end."""
        try:
            with slot.life:
                while (pause := self._judge(slot, await self._attempt(slot))) is not None:
                    await slot.rest(pause)
        except Exception as crash:  # noqa: BLE001 - on the way out
            self._judge(slot, crash)
        if slot.state is not State.CRASHED:
            slot.become(State.STOPPED)
        slot.answered.set()
        slot.ended.set()

    async def _attempt(self, slot: _Slot) -> Exception:
        slot.become(State.STARTING)
        try:
            with trio.CancelScope(deadline=trio.current_time() + slot.child.start_timeout) as start:
                await slot.child.service.run(task_status=_Ready(slot, start))
                raise Broken(f"service {slot.name} returned", hint="run() must last until it is cancelled")
            raise Unavailable(f"service {slot.name} was not ready within {slot.child.start_timeout:g} s")
        except Exception as crash:  # noqa: BLE001 - here crashes end
            return crash

    def _judge(self, slot: _Slot, crash: Exception) -> float | None:
        """Seconds until the next start; None: this was the last one."""
        crash.add_note(f"in service {slot.name} of {self._name}")
        slot.note(crash)
        if slot.state is State.DRAINING:
            slot.knock.cancel()  # nobody is left to finish anything
        policy = slot.child.on_crash
        pause = None
        if policy is not OnCrash.EXIT and not self._stopping:
            pause = slot.restarts.crashed(self._world.now())
        if pause is None and policy is OnCrash.PARK and not self._stopping:
            pause = math.inf
        if pause == math.inf:
            log.error("service crashed, and is parked", service=slot.name, exc_info=crash)
        else:
            log.error("service crashed", service=slot.name, restart_in=pause, exc_info=crash)
        if pause is None:
            slot.become(State.CRASHED)
            if policy is OnCrash.EXIT or not self._stopping:
                self._crash = self._crash or crash
                self._standing.cancel()
        slot.answered.set()
        return pause


class _Slot:
    """A child while its supervisor runs."""

    def __init__(self, child: Child, world: World) -> None:
        self.child = child
        self.name = child.service.name
        self.restarts = Restarts(child.limits)
        self.begun = False
        self.life = trio.CancelScope(shield=True)
        self.knock = trio.CancelScope()
        self.answered = trio.Event()  # ready or crashed for the first time
        self.ended = trio.Event()
        self.wake = trio.Event()
        self.state = State.WAITING
        self._world = world
        self._since_us = world.wall_us()
        self._again = 0
        self._resumes_at = 0.0
        self._crash = ""
        self._crashed_us: int | None = None

    def become(self, state: State) -> None:
        self.state, self._since_us = state, self._world.wall_us()

    def ready(self) -> None:
        self.become(State.READY)
        self.restarts.ready(self._world.now())
        self.answered.set()

    def note(self, crash: Exception) -> None:
        self._crash, self._crashed_us = one_line(crash), self._world.wall_us()

    async def rest(self, pause: float) -> None:
        self.become(State.PARKED if pause == math.inf else State.PAUSED)
        self._resumes_at = self._world.now() + pause
        self.wake = trio.Event()
        with trio.move_on_after(pause):
            await self.wake.wait()
        self._again += 1

    async def end(self) -> None:
        if self.begun:
            self.life.cancel()
            await self.ended.wait()

    def node(self) -> Node:
        service = self.child.service
        return Node(
            name=self.name,
            state=self.state,
            since_us=self._since_us,
            restarts=self._again,
            waiting=self._waiting(),
            crash=self._crash,
            crashed_us=self._crashed_us,
            children=service.branches() if isinstance(service, Grows) else (),
        )

    def _waiting(self) -> str:
        match self.state:
            case State.WAITING:
                return "its turn to start"
            case State.STARTING:
                return "its own readiness"
            case State.PAUSED:
                return f"restart in {max(0.0, self._resumes_at - self._world.now()):.1f} s"
            case State.PARKED:
                return "the next start of the program"
            case State.DRAINING:
                return "what is in flight"
            case _:
                service = self.child.service
                return service.waits_for() if self.state is State.READY and isinstance(service, Busy) else ""


@dataclass(slots=True)
class _Ready:
    """The `task_status` of a child: being ready lifts the start's deadline."""

    slot: _Slot
    start: trio.CancelScope

    def started(self, value: None = None) -> None:
        if self.slot.state is State.STARTING:
            self.start.deadline = math.inf
            self.slot.ready()
