"""The bus: what was committed reaches every live reader.

`publish` is synchronous and waits for nobody: it matches, encodes and wakes the flusher. The flusher joins what
is new once per audience and offers it to each socket without waiting. A member whose socket would block gets a
task of its own until it is level again; one that falls out of the ring reads on from the log. Nothing is done
per event and connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import trio

from appliance.bus.audience import Audience, Audiences, Cursor
from appliance.bus.catchup import CatchUp
from appliance.bus.flusher import Flusher
from appliance.bus.resume import Resume, Seen
from appliance.bus.ring import Shelf
from appliance.model.event import Event, Query
from appliance.model.http import Outlet
from appliance.model.topic import Dialect, Topic

__all__ = ["Bus", "Greeting", "Subscription"]

MOVES = 16  # topics a subscription remembers having followed

Greeting = bytes | Callable[[int], bytes]


async def _the_first(topic: Topic) -> int:
    return 0


class Subscription:
    """A member's place, for as long as its connection lives."""

    def __init__(self, bus: Bus, cursor: Cursor, seen: Seen) -> None:
        self._bus = bus
        self._cursor = cursor
        self._seen = [seen]

    @property
    def topic(self) -> Topic:
        return self._cursor.audience.topic

    @property
    def lag(self) -> int:
        """Events shown since it came that it has not been sent."""
        return self._cursor.lag

    @property
    def reached(self) -> int:
        """Global position up to which everything was handed over."""
        return self._cursor.reached

    def sent(self, event: Event) -> bool | None:
        """Whether this event was handed over; None: no topic followed here covers it, or it came before that."""
        return event.global_position <= self.reached if any(seen.has(event) for seen in self._seen) else None

    def leave(self) -> None:
        self._bus.drop(self._cursor)

    async def move(
        self, topic: Topic, since: int | None = None, *, dialect: Dialect | None = None, greeting: Greeting = b""
    ) -> None:
        """Follow another topic from now on; returns as `Bus.follow` does.

        What was published before the call comes by the old topic, then the greeting, then the new topic. With
        `since` its past from there on comes first, without what the topics followed before had already shown
        (the last `MOVES` of them). One move at a time.

        Args:
            dialect: another one from now on; None: as before.

        Raises:
            as `Bus.follow`; the subscription has left then.
        """
        old, seen = self._cursor, self._seen
        self._cursor, boundary, resume = self._bus.change(old, topic, dialect or old.audience.dialect, since)
        seen[-1] = seen[-1]._replace(through=boundary)
        self._seen = [*seen[-MOVES:], resume.seen()]
        await self._bus.follow_on(old, self._cursor, resume, since, seen[-MOVES:], greeting)


class Bus:
    """A supervised service. It does not know the log.

    Args:
        read, newest: the log's.
        oldest: first position of a topic that is still stored, a stream's for a stream, else global;
            unless given, nothing is ever gone.
        blocks: kept for each audience; who is further behind reads from the log.
        budget: bytes that all rings, and what was read for newcomers, may hold together; copies made for members
            that are behind get a quarter of it beside.
        grace: seconds a member may be behind until it is cut.
        handed: told when all that was published has been offered to every member that is level.
    """

    name: ClassVar[str] = "bus"

    def __init__(
        self,
        read: Callable[[Query], Awaitable[list[Event]]],
        newest: Callable[[int], int],
        oldest: Callable[[Topic], Awaitable[int]] = _the_first,
        *,
        blocks: int = 4096,
        budget: int = 256 * 1024 * 1024,
        grace: float = 60.0,
        handed: Callable[[], None] = lambda: None,
    ) -> None:
        self._newest = newest
        self._blocks = blocks
        self._audiences = Audiences()
        self._shelf = Shelf(budget)
        self._flusher = Flusher(newest, self._fell_behind, self.drop, handed)
        self._catch_up = CatchUp(read, newest, oldest, self.drop, pieces=budget // 4, grace=grace)
        self._highest: dict[int, int] = {}  # global position seen, by namespace
        self._coalesced = 0  # by audiences that are gone
        self._nursery: trio.Nursery | None = None
        self.members = 0
        self.emitted = 0  # events published or announced

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._flusher.run)
            nursery.start_soon(self._catch_up.cut_slow)
            task_status.started()

    async def drain(self) -> None:
        """Hand out what is pending; what a slow reader misses it reads from the log when it returns."""
        await self._flusher.flushed()

    # -- counts -----------------------------------------------------------------------------

    @property
    def delivered(self) -> int:
        """Events handed to members."""
        return self._flusher.delivered.total() + self._catch_up.delivered.total()

    @property
    def live(self) -> Mapping[str, int]:
        """Of them, those handed over as they came, by transport."""
        return self._flusher.delivered.copy()

    @property
    def late(self) -> Mapping[str, int]:
        """Of them, those handed over from the log or to members that were behind, by transport."""
        return self._catch_up.delivered.copy()

    @property
    def falls(self) -> Mapping[str, int]:
        """How often members fell out of their rings, by transport."""
        return self._catch_up.falls.copy()

    @property
    def fullness(self) -> float:
        """How much of its ring the member that is furthest behind has still to read; 1: it falls out."""
        return min(1.0, self._catch_up.furthest / self._blocks)

    @property
    def coalesced(self) -> int:
        """Events never shown to an audience, because a newer one came within the window."""
        return self._coalesced + sum(audience.coalesced for audience in self._audiences)

    @property
    def lagged(self) -> int:
        """Events by which members fell out of their rings."""
        return self._catch_up.lagged

    @property
    def cut(self) -> int:
        """Members ended because they stayed behind."""
        return self._catch_up.cut

    @property
    def behind(self) -> int:
        """Members that are behind now."""
        return len(self._catch_up)

    def topics(self) -> Iterator[Topic]:
        """What live readers follow now, each once for each dialect."""
        return (audience.topic for audience in self._audiences)

    @property
    def audiences(self) -> int:
        return len(self._audiences)

    @property
    def held(self) -> int:
        """Bytes in all rings."""
        return self._shelf.size

    @property
    def offering(self) -> bool:
        """Whether something published is still to be offered to somebody."""
        return self._flusher.busy

    # -- in ---------------------------------------------------------------------------------

    def publish(self, events: Sequence[Event]) -> None:
        """Show stored events, in the order of the log."""
        self.emitted += len(events)
        if self._audiences:
            now = trio.current_time()
            for event in events:
                self._see(event.namespace, event.global_position)
                self._add(event, now)

    def announce(self, event: Event) -> None:
        """Show an ephemeral event: to those who listen now, and never again."""
        self.emitted += 1
        if self._audiences:
            self._add(event, trio.current_time())

    async def flushed(self) -> None:
        """Wait until everything published before the call was offered to all level members."""
        await self._flusher.flushed()

    def _see(self, namespace: int, position: int) -> None:
        """Positions rise, unless a namespace was emptied or older events are imported: then nothing read is true."""
        if position <= self._highest.get(namespace, 0):
            for audience in self._audiences:
                if audience.topic.namespace == namespace:
                    audience.past.clear()
        self._highest[namespace] = position

    def _add(self, event: Event, now: float) -> None:
        for audience in self._audiences.concerned(event):
            if audience.add(event, now):
                self._flusher.add(audience)

    # -- members ----------------------------------------------------------------------------

    async def follow(
        self, topic: Topic, dialect: Dialect, outlet: Outlet, since: int | None, *, greeting: Greeting = b""
    ) -> Subscription:
        """Send everything from `since` on to `outlet`; returns when the stored part is sent and the live part runs.

        Args:
            since: first position wanted, inclusive (a stream's for a stream, else global); None: only what comes.
            greeting: sent first. Whoever has it can be sure: nothing written from now on is missed. It may be made
                from the newest global position: what comes live has a higher one.

        Raises:
            trio.BrokenResourceError: the peer left, or read nothing for too long.
            Unavailable, LimitReached: the log cannot be read now.
        """
        cursor, resume = self._join(topic, dialect, outlet, since)
        subscription = Subscription(self, cursor, resume.seen())
        await self.follow_on(None, cursor, resume, since, (), greeting)
        return subscription

    def drop(self, cursor: Cursor) -> None:
        audience = cursor.audience
        if cursor not in audience.members:
            return
        self.members -= 1
        cursor.fall_behind()
        del audience.members[cursor]
        if not audience.members:
            self._coalesced += audience.coalesced
            self._audiences.drop(audience)
            self._flusher.forget(audience)
            audience.clear()

    def change(self, old: Cursor, topic: Topic, dialect: Dialect, since: int | None) -> tuple[Cursor, int, Resume]:
        """Draw the line between two topics of a member, in one step: no await in here."""
        audience = old.audience
        boundary = self._newest(audience.topic.namespace)
        audience.let_go(boundary)
        if audience.pending:
            self._flusher.add(audience)
        cursor, resume = self._join(topic, dialect, old.outlet, since)
        old.until = audience.seal()._replace(position=boundary)
        old.fall_behind()
        return cursor, boundary, resume

    async def follow_on(
        self,
        old: Cursor | None,
        cursor: Cursor,
        resume: Resume,
        since: int | None,
        seen: Sequence[Seen],
        greeting: Greeting,
    ) -> None:
        """Bring a member to the present whose place is taken, after the end of the topic it followed before."""
        try:
            if old is not None:
                await self._catch_up.settle(old)
            words = greeting if isinstance(greeting, bytes) else greeting(resume.boundary)
            if words:
                await cursor.outlet.send_all(words)
            if since is not None:
                await self._catch_up.tell_gap(cursor, since)
            await self._catch_up.arrive(cursor, resume, seen)
        except BaseException:
            self.drop(cursor)
            raise
        finally:
            if old is not None:
                self.drop(old)

    def _join(self, topic: Topic, dialect: Dialect, outlet: Outlet, since: int | None) -> tuple[Cursor, Resume]:
        audience = self._audiences.get(topic, dialect)
        if audience is None:
            audience = Audience(topic, dialect, self._shelf, blocks=self._blocks)
            self._audiences.put(audience)
        cursor = Cursor(audience, outlet)
        audience.members[cursor] = None
        self.members += 1
        resume = Resume.since(topic, since)
        self._catch_up.take_place(cursor, resume)
        self._highest[topic.namespace] = max(self._highest.get(topic.namespace, 0), resume.boundary)
        return cursor, resume

    def _fell_behind(self, cursor: Cursor) -> None:
        assert self._nursery is not None
        self._catch_up.begin(cursor)
        self._nursery.start_soon(self._catch_up.help, cursor)
