"""Brings events to one endpoint: in its own time, with its own connections, and from where it stopped.

A courier reads the log behind its own cursor, so neither a restart nor a week's pause loses anything, and a slow
endpoint is alone with itself. The cursor moves when everything below it is settled; what was sent and not yet
recorded when the process dies is sent again, with the same `webhook-id`.

While the circuit is open, one delivery at a time is a probe. A probe that fails costs its delivery no attempt: it
goes to the back, so that one event that breaks the receiver cannot keep the circuit open for all others.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
import trio
from msgspec.structs import replace

from appliance import __version__
from appliance.clock import MICROSECONDS
from appliance.egress.webhooks.bodies import Message, headers, message
from appliance.egress.webhooks.endpoint import Cursor, Delivery, Endpoint, Place, begun, good_secrets, letter_of
from appliance.egress.webhooks.figures import Figures
from appliance.egress.webhooks.ledger import Ledger
from appliance.egress.webhooks.lines import Job, Lines
from appliance.egress.webhooks.sender import Result, Sender
from appliance.egress.webhooks.store import Store, forget, keep
from appliance.egress.webhooks.verdicts import Outcome, Verdict, next_wait, retry_after
from appliance.egress.webhooks.wanted import Wanted
from appliance.model.catalog import Catalog
from appliance.model.event import Event, Query
from appliance.model.letters import shelved
from appliance.model.state import StateChange
from appliance.resilience.breaker import Breaker, State
from appliance.world import World

__all__ = ["Courier", "EventLog", "Office", "attempt"]

log = structlog.get_logger("webhooks")

KEPT = 1000  # finished deliveries of an endpoint that can be looked at
PAGE = 100  # events read at once
FAILURES = 10  # in a row; more trouble than that is a person's
BREAKS = 10  # failed attempts in a row that open the circuit
DOWN = 5 * 24 * 3600.0  # seconds without an answer, until the endpoint is disabled
SCANNED = 1000  # events passed over until the cursor is written down for them alone
NOT_SENT = frozenset({"refused", "expired"})  # failures that say nothing about the receiver


class EventLog(Protocol):
    """What a courier needs of the log."""

    async def events(self, query: Query) -> list[Event]: ...

    async def find(self, namespace: int, id: str) -> Event | None: ...

    def head_position(self, namespace: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Office:
    """What all couriers share."""

    log: EventLog
    store: Store
    catalog: Catalog
    world: World
    schedule: Sequence[float]
    source: Callable[[int], str]  # of a namespace, for CloudEvents
    scrub: Callable[[str], str]
    failed: Callable[[Endpoint, Delivery], Awaitable[None]]
    disable: Callable[[Endpoint, str], Awaitable[None]]
    figures: Figures = field(default_factory=Figures)


async def attempt(
    office: Office, sender: Sender, endpoint: Endpoint, place: Place, delivery: Delivery, sent: Message
) -> tuple[Result, Delivery]:
    """Send once. Returns what came of it, and the delivery with that in it; its state is the caller's to say."""
    world = office.world
    started, at = world.now(), world.wall_us()
    lines = headers(
        sent, good_secrets(place, at), webhook=endpoint.id, delivery=delivery.id, now_us=at, version=__version__
    )
    result = await sender.send(place.url, lines, sent.body, fresh=delivery.attempts > 0)
    took = world.now() - started
    office.figures.seconds.observe(took)
    return result, _tried(delivery, result, office, at, took)


def _tried(delivery: Delivery, result: Result, office: Office, at: int, took: float) -> Delivery:
    return replace(
        delivery,
        attempts=delivery.attempts + 1,
        at=at,
        status=result.status,
        error=result.verdict.error_class,
        answer=office.scrub(result.answer or result.detail),
        ms=round(took * 1000),
        due=None,
    )


class Courier:
    """One endpoint's. Lives as long as `run`."""

    def __init__(
        self, endpoint: Endpoint, place: Place, cursor: Cursor, wanted: Wanted, sender: Sender, office: Office
    ) -> None:
        self.endpoint = endpoint
        self.cursor = cursor
        self.breaker = Breaker(failures=BREAKS)
        self._place = place
        self.wanted = wanted
        self._sender = sender
        self._office = office
        self._lines = Lines(cursor.position, ordered=endpoint.ordered)
        self._known: dict[int, Delivery] = {}  # by position: begun before this start, and not over
        self._done: set[int] = set()  # positions behind the cursor that are over
        self._finished: deque[Delivery] = deque()  # oldest first
        self._out = 0
        self._slot = -math.inf  # when the rate allows the next one
        self._down = self._since(cursor.down)  # when the last answer was missed first
        self._stopping = False
        self._ledger = Ledger(office.store.save, self.wake)
        self._changed = trio.Event()  # something for who sends
        self._room = trio.Event()  # something for who reads

    @property
    def waiting(self) -> int:
        """Deliveries begun and not settled."""
        return len(self._lines)

    @property
    def read(self) -> int:
        """Global position up to which it has looked."""
        return self._lines.read

    async def delivery(self, event: str) -> Delivery | None:
        """The newest one of an event, by its id; None: there is none, or it is not kept any more."""
        await trio.lowlevel.checkpoint()  # a thousand couriers may be asked in a row
        over = (delivery for delivery in reversed(self._finished) if delivery.event == event)
        return self._lines.find(event) or next(over, None)

    def wake(self) -> None:
        """There may be something to do: a new event, a new delivery, a free place."""
        self._changed.set()
        self._changed = trio.Event()
        if self._lines.takes(PAGE):
            self._room.set()
            self._room = trio.Event()

    def add(self, delivery: Delivery) -> None:
        """A delivery that a person asked for. It is stored already."""
        self._lines.add(Job(delivery))
        self.wake()

    async def stop(self) -> None:
        """Begin nothing new; returns when nothing is on its way."""
        self._stopping = True
        self.wake()
        while self._out:
            await self._changed.wait()
        await self._ledger.written()

    async def run(self) -> None:
        """Lasts until cancelled."""
        await self._remember()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ledger.run)
                nursery.start_soon(self._read)
                nursery.start_soon(self._dispatch, nursery)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await self._sender.aclose()

    # -- reading ----------------------------------------------------------------------------

    async def _remember(self) -> None:
        stale = []
        for delivery in reversed(await self._office.store.deliveries(self.endpoint)):
            holds = not delivery.again and delivery.position > self.cursor.position
            if delivery.state in ("succeeded", "failed"):
                self._finished.append(replace(delivery, answer=""))
                if holds and delivery.lap == self.cursor.lap:
                    self._done.add(delivery.position)
            elif delivery.again:
                self._lines.add(Job(delivery), self._when(delivery))
            elif holds and delivery.lap == self.cursor.lap:
                self._known[delivery.position] = delivery
            else:
                stale.append(forget(self.endpoint.namespace, delivery))
        self._ledger.note(stale)

    def _place_reached(self) -> StateChange:
        return keep(self.endpoint.namespace, self.cursor, id=self.endpoint.id)

    def _when(self, delivery: Delivery) -> float | None:
        """A due time of the wall clock in the loop's; None: now."""
        if delivery.due is None:
            return None
        world = self._office.world
        return world.now() + max(0.0, (delivery.due - world.wall_us()) / MICROSECONDS)

    def _since(self, when: int | None) -> float | None:
        """A moment of the wall clock before this start in the loop's time."""
        if when is None:
            return None
        world = self._office.world
        return world.now() - max(0.0, (world.wall_us() - when) / MICROSECONDS)

    async def _read(self) -> None:
        log, space, lines = self._office.log, self.endpoint.namespace, self._lines
        while True:
            room = self._room
            head = log.head_position(space)
            if head < lines.read:  # the namespace was emptied: positions have begun again
                lines.read, self.cursor = 0, replace(self.cursor, position=0, lap=self.cursor.lap + 1)
            if not lines.takes(PAGE) or self._stopping or lines.read >= head:
                self._passed_over()
                await room.wait()
                continue
            events = await log.events(Query(space, global_position=lines.read + 1, through=head, limit=PAGE))
            for event in events:
                if lines.full:
                    break
                self._take(event)
            if not events:
                lines.read = head
            self._take_vanished()
            self.wake()
            self._passed_over()

    def _take(self, event: Event) -> None:
        position = event.global_position
        known = self._known.pop(position, None)
        self._lines.read = position
        if known is not None:
            self._lines.add(Job(known, event), self._when(known))
        elif position in self._done:
            self._done.discard(position)
        elif self.wanted.passes(event):
            world = self._office.world
            number = self._office.store.number(world.wall_us())
            self._lines.add(Job(begun(self.endpoint, event, world.new_id(), number, lap=self.cursor.lap), event))

    def _take_vanished(self) -> None:
        """What was begun, and whose event retention has removed since."""
        for position in sorted(self._known):
            if position > self._lines.read:
                return
            self._lines.add(Job(self._known.pop(position)))

    def _passed_over(self) -> None:
        """Write the cursor down when it has moved far over events nobody wants."""
        if self._lines.cursor - self.cursor.position >= SCANNED:
            self.cursor = replace(self.cursor, position=self._lines.cursor)
            self._ledger.note([self._place_reached()])

    # -- sending ----------------------------------------------------------------------------

    async def _dispatch(self, nursery: trio.Nursery) -> None:
        while True:
            changed = self._changed
            with trio.move_on_at(self._begin(nursery)):
                await changed.wait()

    def _begin(self, nursery: trio.Nursery) -> float:
        """Start what may start now. Returns when to look again."""
        now = self._office.world.now()
        while self._out < self.endpoint.concurrency and not self._stopping and not self._ledger.full:
            later = max(self._lines.due(), now + self.breaker.wait(now), self._slot)
            if later > now:
                return later
            job = self._lines.next(now)
            assert job is not None, "one is due"
            self.breaker.begin(now)
            if self.endpoint.rate:
                self._slot = now + 60 / self.endpoint.rate
            self._out += 1
            nursery.start_soon(self._attempt, job, self.breaker.state is State.HALF_OPEN)
        return math.inf

    async def _attempt(self, job: Job, probe: bool) -> None:
        try:
            result, delivery = await self._send(job)
            if self._circuit(result, probe):
                self._office.figures.outcomes["retry"] += 1
                self._lines.again(job)
            else:
                await self._judge(job, delivery, result)
        finally:
            self._out -= 1
            self.wake()

    async def _send(self, job: Job) -> tuple[Result, Delivery]:
        office, endpoint = self._office, self.endpoint
        event = job.event or await office.log.find(endpoint.namespace, job.delivery.event)
        if event is None:
            gone = Result(Verdict(Outcome.FAILED, "expired"), detail="the event is not kept any more")
            return gone, _tried(job.delivery, gone, office, office.world.wall_us(), 0.0)
        sent = message(event, office.catalog.view(event), endpoint.format, office.source(endpoint.namespace))
        return await attempt(office, self._sender, endpoint, self._place, job.delivery, sent)

    def _circuit(self, result: Result, probe: bool) -> bool:
        """Tell the breaker. Returns whether the delivery is merely put off."""
        now = self._office.world.now()
        if result.verdict.error_class in NOT_SENT:
            return False
        if result.verdict.outcome is not Outcome.RETRY:
            self._down, self.cursor = None, replace(self.cursor, down=None)
            if self.breaker.succeeded():
                log.info("endpoint answers again", webhook=self.endpoint.id)
            return False
        if self._down is None:
            self._down, self.cursor = now, replace(self.cursor, down=self._office.world.wall_us())
        if self.breaker.failed(now):
            log.warning("endpoint paused", webhook=self.endpoint.id, error=result.verdict.error_class)
        return probe and now - self._down < DOWN

    async def _judge(self, job: Job, delivery: Delivery, result: Result) -> None:
        world = self._office.world
        if result.verdict.outcome is Outcome.RETRY and not self._given_up():
            asked = retry_after(result.retry_after, world.wall_us() / MICROSECONDS)
            most = self.endpoint.max_retries
            wait = next_wait(delivery.attempts, self._office.schedule, world.rng, most=most, asked=asked)
            if wait is not None:
                self._office.figures.outcomes["retry"] += 1
                due = world.wall_us() + int(wait * MICROSECONDS)
                job.delivery = replace(delivery, state="retrying", due=due)
                self._ledger.note([keep(self.endpoint.namespace, job.delivery), self._place_reached()])
                self._lines.again(job, world.now() + wait)
                return
        await self._settle(job, delivery, result.verdict)

    async def _settle(self, job: Job, delivery: Delivery, verdict: Verdict) -> None:
        space, done = self.endpoint.namespace, verdict.outcome is Outcome.DELIVERED
        delivery = replace(delivery, state="succeeded" if done else "failed")
        figures = self._office.figures
        figures.outcomes["success" if done else "failed"] += 1
        figures.attempts.observe(delivery.attempts)
        self._lines.settle(job)
        self.cursor = replace(
            self.cursor,
            position=self._lines.cursor,
            failures=0 if done else self.cursor.failures + 1,
            triggered=delivery.at if done else self.cursor.triggered,
        )
        self._finished.append(replace(delivery, answer=""))
        changes = [keep(space, delivery), self._place_reached()]
        if not done:
            letter = letter_of(delivery, self._office.world.new_id(), self._office.world.wall_us())
            changes.append(shelved(space, letter))
        while len(self._finished) > KEPT:
            changes.append(forget(space, self._finished.popleft()))
        self._ledger.note(changes)
        if not done:
            await self._ledger.written()  # nobody is told of a failure that a crash would make undone
            await self._mourn(delivery, verdict)

    async def _mourn(self, delivery: Delivery, verdict: Verdict) -> None:
        log.warning("delivery failed", webhook=self.endpoint.id, delivery=delivery.id, error=delivery.error)
        await self._office.failed(self.endpoint, delivery)
        if verdict.outcome is Outcome.GONE:
            await self._office.disable(self.endpoint, "the receiver says it is gone (410)")
        elif self._given_up():
            await self._office.disable(self.endpoint, "the receiver has not answered for days")
        elif self.cursor.failures >= FAILURES:
            await self._office.disable(self.endpoint, f"{self.cursor.failures} deliveries in a row failed")

    def _given_up(self) -> bool:
        return self._down is not None and self._office.world.now() - self._down >= DOWN
