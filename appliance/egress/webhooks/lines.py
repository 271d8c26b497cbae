"""Which delivery is next, and up to where everything is settled. Pure; `now` is monotonic seconds.

    read ──▶ ready ──▶ out ──┬──▶ settled ──▶ the cursor moves
               ▲             │
               └── waiting ◀─┘  (not before its time)

With `ordered`, only the first unsettled delivery of a stream is anywhere but in its line.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from itertools import chain

from appliance.egress.webhooks.endpoint import Delivery
from appliance.model.event import Event

__all__ = ["Job", "Lines"]


@dataclass(slots=True, eq=False)
class Job:
    """A delivery on its way. The event is kept for the first attempt only: a thousand that wait weigh nothing."""

    delivery: Delivery
    event: Event | None = None


class Lines:
    """The unsettled deliveries of one endpoint.

    Args:
        position: everything up to here is settled.
        most: unsettled deliveries at once.
        bytes: of their events' data held at once.
    """

    def __init__(self, position: int, *, ordered: bool, most: int = 256, bytes: int = 8 * 1024 * 1024) -> None:
        self.read = position  # everything up to here was looked at
        self._ordered = ordered
        self._most, self._bytes = most, bytes
        self._ready: deque[Job] = deque()
        self._waiting: list[tuple[float, int, Job]] = []
        self._open: dict[int, Job] = {}  # by position, ascending: those that hold the cursor
        self._streams: dict[str, deque[Job]] = {}
        self._count = 0
        self._turn = 0
        self._held = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        return self._count >= self._most or self._held >= self._bytes

    def takes(self, page: int) -> bool:
        """Whether there is room for so many more; reading for each place that gets free would read all over again."""
        return self._count + page <= self._most and self._held * 2 <= self._bytes

    @property
    def cursor(self) -> int:
        """Everything up to here is settled."""
        first = next(iter(self._open), None)
        return self.read if first is None else min(first - 1, self.read)

    def add(self, job: Job, due: float | None = None) -> None:
        """Take a delivery in. Those that hold the cursor come in the order of the log.

        Args:
            due: not before; None: now.
        """
        self._count += 1
        self._held += _weight(job)
        if not job.delivery.again:
            self._open[job.delivery.position] = job
            self.read = max(self.read, job.delivery.position)
        if self._ordered and job.delivery.stream:
            line = self._streams.setdefault(job.delivery.stream, deque())
            line.append(job)
            if len(line) > 1:
                return
        self._place(job, due)

    def find(self, event: str) -> Delivery | None:
        """The unsettled delivery of an event, by its id; not one that is out and was asked for by a person."""
        waiting = (job for _, _, job in self._waiting)
        found = (job.delivery for job in chain(self._open.values(), self._ready, waiting))
        return next((delivery for delivery in found if delivery.event == event), None)

    def next(self, now: float) -> Job | None:
        """A delivery whose time has come; it is out until `settle` or `again`."""
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[2])
        return self._ready.popleft() if self._ready else None

    def due(self) -> float:
        """When the next one is; infinity: nothing is waiting."""
        if self._ready:
            return -float("inf")
        return self._waiting[0][0] if self._waiting else float("inf")

    def again(self, job: Job, due: float | None = None) -> None:
        """What was out comes back: not before `due`, or behind everything that is ready."""
        self._held -= _weight(job)
        job.event = None
        self._place(job, due)

    def settle(self, job: Job) -> None:
        """It is over, one way or the other."""
        self._count -= 1
        self._held -= _weight(job)
        if not job.delivery.again:
            self._open.pop(job.delivery.position, None)
        line = self._streams.get(job.delivery.stream)
        if line is None:
            return
        line.popleft()
        if line:
            self._place(line[0], None)
        else:
            del self._streams[job.delivery.stream]

    def _place(self, job: Job, due: float | None) -> None:
        if due is None:
            self._ready.append(job)
        else:
            self._turn += 1
            heapq.heappush(self._waiting, (due, self._turn, job))


def _weight(job: Job) -> int:
    return 0 if job.event is None else len(job.event.data)
