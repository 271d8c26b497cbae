"""The bus: what was committed reaches every live reader.

`publish` is synchronous and waits for nobody: it matches, encodes and wakes the flusher. The flusher joins what
is new once per audience and offers it to each socket without waiting. A member whose socket would block gets a
task of its own until it is level again; one that falls out of the ring reads on from the log. Nothing is done
per event and connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import structlog
import trio

from appliance.bus.audience import Audience, Audiences, Cursor
from appliance.bus.resume import Resume
from appliance.errors import LimitReached, Unavailable
from appliance.model.event import Event, Query
from appliance.model.http import Outlet
from appliance.model.topic import Dialect, Topic

__all__ = ["Bus", "Subscription"]

log = structlog.get_logger("bus")

SWEEP = 2.5  # seconds between looks at who may still be here, and at who has heard nothing
SENDS = 300  # offers between two yields: about a millisecond
PIECE = 256 * 1024  # bytes a member that is behind is sent at once
RING_BYTES = 8 * 1024 * 1024  # for one audience, less when many share the budget
LEAST_RING_BYTES = 64 * 1024


class Subscription:
    """A member's place, for as long as its connection lives."""

    def __init__(self, bus: Bus, audience: Audience, cursor: Cursor, resume: Resume) -> None:
        self._bus = bus
        self.audience = audience
        self.cursor = cursor
        self.resume = resume

    def leave(self) -> None:
        self._bus.drop(self.audience, self.cursor)


class Bus:
    """A supervised service. `read` and `newest` are the log's; the bus does not know the log."""

    name: ClassVar[str] = "bus"

    def __init__(
        self,
        read: Callable[[Query], Awaitable[list[Event]]],
        newest: Callable[[int], int],
        *,
        blocks: int = 4096,
        budget: int = 256 * 1024 * 1024,
    ) -> None:
        """
        Args:
            blocks: kept for each audience; who is further behind reads from the log.
            budget: bytes all rings may hold together.
        """
        self._read = read
        self._newest = newest
        self._blocks = blocks
        self._budget = budget
        self._audiences = Audiences()
        self._dirty: dict[Audience, None] = {}
        self._wake = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._flush_for_ever)
            nursery.start_soon(self._sweep)
            task_status.started()

    async def drain(self) -> None:
        """Hand out what is pending; what a slow reader misses it reads from the log when it returns."""
        await trio.lowlevel.checkpoint()

    @property
    def members(self) -> int:
        return sum(len(audience.members) for audience in self._audiences)

    # In

    def publish(self, events: Sequence[Event]) -> None:
        if not self._audiences:
            return
        for event in events:
            for audience in self._audiences.add(event):
                self._dirty[audience] = None
        if self._dirty:
            self._wake.set()

    # Members

    async def follow(
        self,
        topic: Topic,
        dialect: Dialect,
        outlet: Outlet,
        since: int | None,
        *,
        greeting: bytes = b"",
        welcome: Callable[[], bool] = lambda: True,
    ) -> Subscription:
        """Send everything from `since` on to `outlet`; returns when the stored part is sent and the live part runs.

        Args:
            since: first position wanted, inclusive (a stream's for a stream, else global); None: only what comes.
            greeting: sent first. Whoever has it can be sure: nothing written from now on is missed.
            welcome: asked every few seconds; False ends the connection (its token was revoked, say).

        Raises:
            trio.BrokenResourceError: the peer left, or read nothing for too long.
        """
        audience = self._audiences.get(topic, dialect, self._blocks)
        cursor = Cursor(outlet, welcome)
        audience.members[cursor] = None
        subscription = Subscription(self, audience, cursor, Resume.since(topic, since))
        self._take_place(subscription)
        try:
            if greeting:
                await outlet.send_all(greeting)
            await self._catch_up(subscription)
        except BaseException:
            subscription.leave()
            raise
        return subscription

    def drop(self, audience: Audience, cursor: Cursor) -> None:
        audience.members.pop(cursor, None)
        audience.level.pop(cursor, None)
        if not audience.members:
            self._audiences.drop(audience)
            self._dirty.pop(audience, None)

    def _take_place(self, subscription: Subscription) -> None:
        """Draw the boundary and stand behind it, in one step: no await in here."""
        audience, cursor = subscription.audience, subscription.cursor
        audience.seal(self._limit())
        subscription.resume.draw(self._newest(audience.topic.namespace))
        cursor.at = audience.ring.head
        cursor.sent = subscription.resume.boundary

    async def _catch_up(self, subscription: Subscription) -> None:
        """Read, send, and join the others. A place lost meanwhile is taken anew."""
        while True:
            await self._send_history(subscription)
            try:
                await self._send_ring(subscription.audience, subscription.cursor)
            except LookupError:
                self._start_over(subscription)
            else:
                return

    def _start_over(self, subscription: Subscription) -> None:
        """The ring has moved on: read again from where the member is."""
        onward = subscription.cursor.sent + 1
        subscription.resume = Resume(subscription.audience.topic, global_position=onward)
        self._take_place(subscription)

    async def _send_history(self, subscription: Subscription) -> None:
        resume, dialect = subscription.resume, subscription.audience.dialect
        while (query := resume.wanted()) is not None:
            events = await self._read(query)
            resume.took(events)
            if events:
                parts = [dialect.encode(event) for event in events]
                await subscription.cursor.outlet.send_all(dialect.join(parts))

    async def _send_ring(self, audience: Audience, cursor: Cursor) -> None:
        """Send blocks until there is none left, then be level. Raises LookupError: the ring has moved on."""
        await cursor.outlet.drained()
        while True:
            audience.seal(self._limit())
            if cursor.at == audience.ring.head:
                if cursor in audience.members:
                    audience.level[cursor] = None
                return
            data, at, sent = audience.ring.since(cursor.at, PIECE)
            await cursor.outlet.send_all(data)
            cursor.at, cursor.sent = at, sent

    # Out

    async def _flush_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            dirty, self._dirty = self._dirty, {}
            for audience in dirty:
                await self._flush(audience)
            await trio.lowlevel.checkpoint()

    async def _flush(self, audience: Audience) -> None:
        """Offer what is new to every level member; after a yield the rest gets what has come since, too."""
        audience.seal(self._limit())
        for number, cursor in enumerate(list(audience.level), 1):
            if cursor in audience.level and cursor.at < audience.ring.head:
                self._offer(audience, cursor)
            if number % SENDS == 0:
                await trio.lowlevel.checkpoint()
                audience.seal(self._limit())

    def _offer(self, audience: Audience, cursor: Cursor) -> None:
        try:
            data, at, sent = audience.since(cursor.at)
            taken = cursor.outlet.offer(data)
        except trio.BrokenResourceError:
            self.drop(audience, cursor)
            return
        except LookupError:
            taken = False
        if taken:
            cursor.at, cursor.sent = at, sent
        else:
            audience.level.pop(cursor, None)
            assert self._nursery is not None
            self._nursery.start_soon(self._help, audience, cursor)

    async def _help(self, audience: Audience, cursor: Cursor) -> None:
        """The task of a member that is behind, until it is level again or gone."""
        try:
            try:
                await self._send_ring(audience, cursor)
            except LookupError:
                subscription = Subscription(self, audience, cursor, Resume(audience.topic))
                self._start_over(subscription)
                await self._catch_up(subscription)
        except trio.BrokenResourceError:
            self.drop(audience, cursor)
        except (Unavailable, LimitReached) as error:  # the log cannot be read now; who comes back resumes
            log.warning("member that was behind cut off", reason=error.code)
            cursor.outlet.kill()
            self.drop(audience, cursor)

    async def _sweep(self) -> None:
        """One task for all members: ends those no longer welcome, gives the idle their sign of life."""
        while True:
            await trio.sleep(SWEEP)
            for audience in self._audiences:
                alive = audience.quiet_for(trio.current_time())
                for number, cursor in enumerate(list(audience.members), 1):
                    self._look_after(audience, cursor, alive=alive)
                    if number % SENDS == 0:
                        await trio.lowlevel.checkpoint()

    def _look_after(self, audience: Audience, cursor: Cursor, *, alive: bool) -> None:
        if not cursor.welcome():
            cursor.outlet.kill()
            self.drop(audience, cursor)
        elif alive and cursor in audience.level:
            with contextlib.suppress(trio.BrokenResourceError):  # its own task hears of it
                cursor.outlet.offer(audience.dialect.idle)

    def _limit(self) -> int:
        return max(LEAST_RING_BYTES, min(RING_BYTES, self._budget // max(1, len(self._audiences))))
