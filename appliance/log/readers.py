"""Reads happen in a few threads of their own, each with its own view of the file.

A job goes to the shared queue and one idle reader is woken; results come back to the loop in bunches. That is
half the cost of a thread call per read, and bounds how many reads run at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import trio

from appliance.errors import LimitReached
from appliance.log.ticket import Ticket
from appliance.storage.ports import Engine, Reader
from appliance.world import Background, World

__all__ = ["Readers"]

T = TypeVar("T")
QUEUE = 10_000  # waiting reads; the next one is refused

_Job = tuple[Callable[[Reader], Any], Ticket[Any]]


class _Seat:
    """One reader and where it runs."""

    def __init__(self, name: str, world: World, jobs: deque[_Job], finish: Callable[[_Seat, Any], None]) -> None:
        self.reader: Reader | None = None
        self.working = False
        self.place: Background = world.background(name, self._step)
        self._jobs = jobs
        self._finish = finish

    def _step(self) -> bool:
        try:
            work, ticket = self._jobs.popleft()
        except IndexError:
            return False
        assert self.reader is not None
        self.working = True
        result: Any
        try:
            result, error = work(self.reader), None
        except Exception as caught:  # noqa: BLE001 - carried to whoever waits for this read
            result, error = None, caught
        self.working = False
        self._finish(self, (ticket, result, error))
        return True


class Readers:
    def __init__(self, engine: Engine, world: World, count: int = 3) -> None:
        self._engine = engine
        self._jobs: deque[_Job] = deque()
        self._done: deque[tuple[Ticket[Any], Any, Exception | None]] = deque()
        self._announced = False  # a report is on its way to the loop
        self._seats = [_Seat(f"log-reader-{number}", world, self._jobs, self._finish) for number in range(count)]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        for seat in self._seats:
            seat.reader = self._engine.reader()
        try:
            async with trio.open_nursery() as nursery:
                for seat in self._seats:
                    nursery.start_soon(seat.place.run)
                task_status.started()
        finally:
            for seat in self._seats:
                if seat.reader is not None:
                    seat.reader.close()

    def submit(self, work: Callable[[Reader], T]) -> Ticket[T]:
        ticket: Ticket[T] = Ticket()
        if len(self._jobs) >= QUEUE:
            ticket.fail(LimitReached("too many reads are waiting", retry_after=1))
            return ticket
        self._jobs.append((work, ticket))
        for seat in self._seats:
            if not seat.working:  # it may be about to fall asleep: waking it again is harmless
                seat.place.wake()
                break
        return ticket

    def _finish(self, seat: _Seat, done: tuple[Ticket[Any], Any, Exception | None]) -> None:
        self._done.append(done)
        if not self._announced:
            self._announced = True
            seat.place.call_soon(self._report)

    def _report(self) -> None:
        self._announced = False  # first: what is appended from here on announces itself
        while self._done:
            ticket, result, error = self._done.popleft()
            if error is None:
                ticket.resolve(result)
            else:
                ticket.fail(error)
