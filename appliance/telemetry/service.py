"""Telemetry: counts every event that is shown, and writes a line about each while that costs nothing.

`saw` is called where events are published. It counts what came together at once, keeps a few events for the lines,
and wakes nobody more often than `BEAT`; everything else happens in the service's own task. In a flood the lines are
fewer than the events: those left out are counted, and one line a second tells how many of which type.

How long events take to their readers is measured by sampling: one round of the bus after another is timed, so the cost
does not depend on how many events or readers there are.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from typing import ClassVar

import structlog
import trio

from appliance.model.buckets import Buckets
from appliance.model.clients import Visitor
from appliance.model.event import Event
from appliance.model.tracing import label_of
from appliance.telemetry.logs import VETTED
from appliance.telemetry.records import Level, connection_record, event_record, facts
from appliance.telemetry.spans import Spans
from appliance.telemetry.tally import Tally

__all__ = ["Telemetry"]

log = structlog.get_logger("events")

BEAT = 0.1  # seconds between two looks at what came
FAREWELL = 3.0  # seconds for the last spans
INTERVAL = 1.0  # seconds the allowance of lines is for
MOST_TRACED = 1000  # events of one beat whose delivery gets a span
TURN = 50  # lines written before others have their turn: half a millisecond
TOLD = 5  # types named when lines were left out
JOB_TIMES = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0)  # seconds
STAYS = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)  # seconds
WATCHED = frozenset({"QueueStatus", "JobCompleted", "JobFailed"})  # types that carry numbers of their own

_type = attrgetter("type")

Line = tuple[Level, str, Mapping[str, object]]


class Telemetry:
    """A supervised service.

    Args:
        flushed: waits until what was published before was offered to all readers that are level.
        readers: live readers now.
        records: whether lines about events and connections are written.
        rate: lines in a second at most.
        spans: where steps of traces are told; None: nowhere.
        wall_us: microseconds since 1970, for spans.
    """

    name: ClassVar[str] = "telemetry"

    def __init__(
        self,
        flushed: Callable[[], Awaitable[None]],
        readers: Callable[[], int],
        *,
        records: bool,
        rate: int,
        spans: Spans | None = None,
        wall_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._flushed = flushed
        self._readers = readers
        self.records = records
        self.rate = rate
        self.spans = spans
        self._wall_us = wall_us
        self.emitted = Tally()  # events shown, by type
        self.jobs: Counter[tuple[str, str]] = Counter()  # (type, outcome)
        self.job_times = Buckets(JOB_TIMES)
        self.delivery = Buckets()  # seconds from the commit until all level readers were offered it
        self.emit = Buckets()  # seconds from a write's beginning until it is acknowledged
        self.stays = Buckets(STAYS)  # of WebSockets
        self.came: Counter[str] = Counter()  # connections by transport
        self.gone: Counter[str] = Counter()
        self.unwritten = 0  # lines left out in floods
        self._types = Tally()  # of jobs
        self._queues: dict[int, tuple[int, int, int]] = {}  # by namespace: running, pending, delayed
        self._inbox: deque[Event | Line] = deque()
        self._allowance = rate
        self._skipped: Counter[str] = Counter()
        self._since = math.inf  # when the first event came that no round was timed for
        self._traced: deque[tuple[str, int]] = deque(maxlen=MOST_TRACED)  # traceparents, and since when they wait
        self._wake = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        interval = trio.current_time() + INTERVAL
        while True:
            with trio.move_on_at(interval if self._skipped else math.inf):
                await self._wake.wait()
            self._wake = trio.Event()
            await self._time_a_round()
            await self._write()
            if trio.current_time() >= interval:
                self._tell_skipped()
                self._allowance, interval = self.rate, trio.current_time() + INTERVAL
            await trio.sleep(BEAT)

    async def drain(self) -> None:
        """Write what is waiting; whatever was counted is lost with the process, as all counters are."""
        await self._write()
        self._tell_skipped()
        if self.spans is not None:
            with trio.move_on_after(FAREWELL):
                await trio.to_thread.run_sync(self.spans.close, abandon_on_cancel=True)

    # -- what others tell: each at once, waiting for nobody -----------------------------------

    def saw(self, events: Sequence[Event]) -> None:
        """Events are being shown."""
        types = {events[0].type: 1} if len(events) == 1 else Counter(map(_type, events))
        for type, count in types.items():
            self.emitted.add(type, count)
        if not WATCHED.isdisjoint(types):
            for event in events:
                if event.type in WATCHED:
                    self._watch(event)
        if self.spans is not None:
            self._trace(self.spans, events)
        if self._since == math.inf:
            self._since = trio.current_time()
        if self.records:
            self._keep(events, types)
        if not self._wake.is_set():
            self._wake.set()

    def wrote(self, seconds: float) -> None:
        """A commit was acknowledged; the longest of its writes took so long."""
        self.emit.observe(seconds)

    def opened(self, client: Visitor) -> None:
        self.came[client.habits.transport] += 1
        self._line(_of(client, opened=True))

    def closed(self, client: Visitor, seconds: float, reason: str) -> None:
        transport = client.habits.transport
        self.gone[transport] += 1
        if transport == "websocket":
            self.stays.observe(seconds)
        self._line(_of(client, opened=False, seconds=seconds, reason=reason))

    # -- what others ask -----------------------------------------------------------------------

    @property
    def queue(self) -> Mapping[str, int]:
        """The jobs of all namespaces, as the newest QueueStatus of each tells."""
        rows = list(self._queues.values())
        return {state: sum(row[n] for row in rows) for n, state in enumerate(("running", "pending", "delayed"))}

    # -- inside --------------------------------------------------------------------------------

    def _watch(self, event: Event) -> None:
        known = facts(event)
        if event.type == "QueueStatus":
            total, running, pending = (_count(n) for n in (known.total_jobs, known.running, known.pending))
            self._queues[event.namespace] = running, pending, max(0, total - running - pending)
            return
        type = self._types.label(known.job_type if isinstance(known.job_type, str) else "")
        self.jobs[type, "completed" if event.type == "JobCompleted" else "failed"] += 1
        if isinstance(known.duration_ms, (int, float)):
            self.job_times.observe(known.duration_ms / 1000)

    def _trace(self, spans: Spans, events: Sequence[Event]) -> None:
        now = self._wall_us()
        for event in events:
            if parent := label_of(event.metadata):
                said = {"event.type": self.emitted.label(event.type), "event.id": event.id}
                spans.record("append", parent, said, began_us=event.time, ended_us=now)
                self._traced.append((parent, now))

    def _keep(self, events: Sequence[Event], types: Mapping[str, int]) -> None:
        if len(events) <= self._allowance:
            self._inbox.extend(events)
            self._allowance -= len(events)
            return
        if self._allowance:
            self._inbox.extend(events[: self._allowance])
            events, self._allowance = events[self._allowance :], 0
            types = Counter(map(_type, events))
        self._skipped.update(types)

    def _line(self, fields: Mapping[str, object]) -> None:
        if not self.records:
            return
        if self._allowance:
            self._allowance -= 1
            self._inbox.append(("info", "connection", fields))
        else:
            self._skipped[str(fields["event.type"])] += 1
        if not self._wake.is_set():
            self._wake.set()

    async def _time_a_round(self) -> None:
        since, self._since = self._since, math.inf
        traced, self._traced = self._traced, deque(maxlen=MOST_TRACED)
        if since < math.inf and self._readers():
            await self._flushed()
            self.delivery.observe(trio.current_time() - since)
            if self.spans is not None:
                for parent, began in traced:
                    self.spans.record("deliver", parent, {}, began_us=began, ended_us=self._wall_us())

    async def _write(self) -> None:
        number = 0
        while self._inbox:
            item = self._inbox.popleft()
            number += 1
            level, text, fields = _written(item) if isinstance(item, Event) else item
            getattr(log, level)(text, **fields, **{VETTED: True})
            if number % TURN == 0:
                await trio.lowlevel.checkpoint()

    def _tell_skipped(self) -> None:
        """One line for all that were left out."""
        if not self._skipped:
            return
        skipped, self._skipped = self._skipped, Counter()
        count = skipped.total()
        self.unwritten += count
        shown: Counter[str] = Counter()
        for type, number in skipped.most_common(TOLD):
            shown[self.emitted.label(type)] += number
        log.info("events not written one by one", count=count, most=dict(shown), subsystem="events")


def _written(event: Event) -> Line:
    level, fields = event_record(event)
    return level, "event", fields


def _of(client: Visitor, *, opened: bool, seconds: float | None = None, reason: str = "") -> Mapping[str, object]:
    return connection_record(
        opened=opened,
        id=client.id,
        transport=client.habits.transport,
        dialect=client.habits.dialect,
        address=client.address,
        subject="" if client.principal is None else client.principal.subject,
        seconds=seconds,
        reason=reason,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
