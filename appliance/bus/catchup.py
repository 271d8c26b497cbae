"""The way of one member to the present: from the log, then from the ring, then it is level.

Each runs in a task of its own: a newcomer's, or one started for a member that fell behind, which lasts until
that is level again. Whoever needs longer than the grace is cut, so that a ring is never kept for the dead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from weakref import WeakKeyDictionary

import structlog
import trio

from appliance.bus.audience import Audience, Cursor
from appliance.bus.past import Leaf
from appliance.bus.resume import PAGE, Resume, Seen
from appliance.errors import LimitReached, Unavailable
from appliance.model.closecodes import Close
from appliance.model.event import Event, Query
from appliance.model.topic import Lost, Topic

__all__ = ["CatchUp"]

log = structlog.get_logger("bus")

PIECE = 256 * 1024  # bytes a member that is behind is sent at once
READ_AHEAD = 100_000  # events that all readers of the log together may hold
LEAST_PAGE = 20  # events
TURN = 50  # members ended before others have their turn: thousands fall behind in the same moment


@dataclass(eq=False)
class _Late:
    """A member that is behind."""

    deadline: float
    over: trio.Event  # level again, or gone


class CatchUp:
    """
    Args:
        read, newest, oldest: the log's, see `Bus`.
        gone: told of a member that is ended.
        pieces: bytes that copies made for members that are behind may take together.
        grace: seconds a member may be behind.
    """

    def __init__(
        self,
        read: Callable[[Query], Awaitable[list[Event]]],
        newest: Callable[[int], int],
        oldest: Callable[[Topic], Awaitable[int]],
        gone: Callable[[Cursor], None],
        *,
        pieces: int,
        grace: float,
    ) -> None:
        self._read = read
        self._newest = newest
        self._oldest = oldest
        self._gone = gone
        self._pieces = pieces
        self._grace = grace
        self._late: dict[Cursor, _Late] = {}  # who is cut first is first: the grace is the same for all
        self._reading = 0
        self._turns: WeakKeyDictionary[Audience, trio.Lock] = WeakKeyDictionary()
        self.delivered: Counter[str] = Counter()  # events handed to members, by transport
        self.falls: Counter[str] = Counter()  # how often members fell out of the ring
        self.lagged = 0  # events by which members fell out of the ring
        self.cut = 0  # members ended after their grace

    def __len__(self) -> int:
        return len(self._late)

    @property
    def furthest(self) -> int:
        """Blocks by which the last of those who are behind is. Safe to ask from another thread."""
        return max((one.audience.ring.head - one.mark.number for one in list(self._late)), default=0)

    # -- steps ------------------------------------------------------------------------------

    def take_place(self, cursor: Cursor, resume: Resume) -> None:
        """Draw the boundary and stand behind it, in one step: no await in here."""
        audience = cursor.audience
        newest = self._newest(audience.topic.namespace)
        end = audience.seal()
        audience.reach(newest)
        resume.draw(newest, end.place)
        cursor.resume = resume
        cursor.mark = end._replace(position=newest)

    async def arrive(self, cursor: Cursor, resume: Resume, seen: Sequence[Seen] = ()) -> None:
        """Read, send, and join the others. A place lost meanwhile is taken anew.

        Args:
            seen: what the member has had; it is left out of the history.
        """
        await self._send_history(cursor, resume, seen)
        while not await self._send_ring(cursor):
            await self._start_over(cursor)

    async def tell_gap(self, cursor: Cursor, since: int) -> None:
        """Tell a newcomer what of its past is gone."""
        topic, dialect = cursor.audience.topic, cursor.audience.dialect
        oldest = await self._oldest(topic)
        asked = since if topic.stream is not None else max(since, 1)
        if asked < oldest:
            gap = dialect.gap(Lost(asked, oldest))
            if gap:
                await cursor.outlet.send_all(gap)

    async def settle(self, cursor: Cursor) -> None:
        """Send a member that leaves what it is due until then."""
        late = self._late.get(cursor)
        if late is not None:
            await late.over.wait()
        else:
            while not await self._send_ring(cursor):
                await self._start_over(cursor)

    # -- those who are behind ---------------------------------------------------------------

    def begin(self, cursor: Cursor) -> None:
        """The member is behind from now on; `help` must follow."""
        cursor.fall_behind()
        self._late[cursor] = _Late(trio.current_time() + self._grace, trio.Event())

    async def help(self, cursor: Cursor) -> None:
        """The task of a member that is behind, until it is level again or gone."""
        try:
            await cursor.outlet.drained()
            while not await self._send_ring(cursor):
                await self._start_over(cursor)
        except trio.BrokenResourceError:
            self._gone(cursor)
        except (Unavailable, LimitReached) as error:
            log.warning("member that was behind cut off", reason=error.code)
            cursor.outlet.end(Close.TRY_LATER, "the log cannot be read now; resume later")
            self._gone(cursor)
        finally:
            self._late.pop(cursor).over.set()

    async def cut_slow(self) -> None:
        """One task for all: ends those whose grace is over, first in words, then by dropping them."""
        while True:
            now = trio.current_time()
            for number, cursor in enumerate(self._overdue(now), 1):
                if cursor in cursor.audience.members:
                    self.cut += 1
                    cursor.outlet.end(Close.SLOW, "fell behind; resume")
                    self._gone(cursor)
                if number % TURN == 0:
                    await trio.lowlevel.checkpoint()
            deadlines = (late.deadline for late in self._late.values() if late.deadline > now)
            await trio.sleep_until(next(deadlines, now + self._grace))

    def _overdue(self, now: float) -> list[Cursor]:
        return [cursor for cursor, _ in takewhile(lambda late: late[1].deadline <= now, self._late.items())]

    # -- inside -----------------------------------------------------------------------------

    async def _start_over(self, cursor: Cursor) -> None:
        """The ring has moved on: read again from where the member is."""
        audience, fallen = cursor.audience, cursor.mark
        if fallen.place < 0 or not audience.orderly:
            resume = Resume(audience.topic, global_position=fallen.position + 1)
        else:
            resume = Resume(audience.topic, position=fallen.place + 1)
        if cursor.until is None:
            self.take_place(cursor, resume)
        else:
            resume.draw(cursor.until.position, cursor.until.place)
            cursor.resume, cursor.mark = resume, cursor.until
        cursor.owed = missed = cursor.mark.events - fallen.events
        if cursor.told:
            self.lagged += missed
            self.falls[audience.dialect.transport] += 1
            if lagged := audience.dialect.lagged(missed):
                await cursor.outlet.send_all(lagged)
        await self._send_history(cursor, resume)

    async def _send_history(self, cursor: Cursor, resume: Resume, seen: Sequence[Seen] = ()) -> None:
        self._reading += 1
        try:
            while cursor in cursor.audience.members and not resume.over:
                if seen or not resume.exact:
                    await self._send_page(cursor, resume, seen)
                else:
                    await self._send_leaf(cursor, resume)
        finally:
            self._reading -= 1
        cursor.resume, cursor.owed = None, 0

    async def _send_leaf(self, cursor: Cursor, resume: Resume) -> None:
        audience, now = cursor.audience, trio.current_time()
        leaf = audience.past.find(resume.place, now)
        if leaf is None:
            async with self._turns.setdefault(audience, trio.Lock()):
                leaf = audience.past.find(resume.place, now) or await self._read_leaf(audience, resume)
        if leaf is None:
            resume.took([])
            return
        data, count = leaf.between(resume.place, resume.boundary)
        await self._send(cursor, data, count)
        resume.passed(leaf.end(resume.boundary), last=leaf.exceeds(resume.boundary))

    async def _read_leaf(self, audience: Audience, resume: Resume) -> Leaf | None:
        """Read on for all members; one at a time reads for an audience, so that the others find it.

        None: there is nothing more of the stream.
        """
        past, topic, first, edition = audience.past, audience.topic, resume.place, audience.past.edition
        if topic.stream is None:
            through = past.room(first, resume.boundary)
            events = await self._read(topic.query(global_position=first, through=through, limit=PAGE))
            last, orderly = events[-1].global_position if events else through, True
        else:
            events = await self._read(topic.query(position=first, through=resume.boundary, limit=PAGE))
            if not events:
                return None
            last, orderly = past.room(first, events[-1].position), _rising(events)
            events = [event for event in events if event.position <= last]
        # Events in another order than the log's are for this member alone, and none of them is behind its boundary.
        parts = [
            (topic.place(event), event.global_position if orderly else resume.boundary, data)
            for event, data in _encoded(audience, events)
        ]
        leaf = Leaf(first, last, parts, audience.dialect.join, made=trio.current_time())
        if orderly and past.edition == edition:
            past.add(leaf)
        return leaf

    async def _send_page(self, cursor: Cursor, resume: Resume, seen: Sequence[Seen]) -> None:
        query = resume.wanted(self._page())
        assert query is not None  # it is not over
        events = await self._read(query)
        parts = [data for event, data in _encoded(cursor.audience, events) if not any(part.has(event) for part in seen)]
        count, last = len(parts), events[-1:]
        data = cursor.audience.dialect.join(parts) if parts else b""
        del events, parts  # a slow peer holds its bytes, not what they were made of
        await self._send(cursor, data, count)
        resume.took(last)

    async def _send(self, cursor: Cursor, data: bytes, count: int) -> None:
        if data:
            await cursor.outlet.send_all(data)
        else:
            await trio.lowlevel.checkpoint()  # a long way without a match is not walked in one breath
        self.delivered[cursor.audience.dialect.transport] += count
        cursor.owed = max(0, cursor.owed - count)

    def _page(self) -> int:
        """Events read at once: fewer when many read, who all hold a page while their peers take it."""
        return max(LEAST_PAGE, min(PAGE, READ_AHEAD // max(1, self._reading)))

    async def _send_ring(self, cursor: Cursor) -> bool:
        """Send blocks until there is none left, then be level (or it has left). False: the ring has moved on."""
        audience = cursor.audience
        while cursor in audience.members:
            end = audience.seal() if cursor.until is None else cursor.until
            if cursor.mark.number >= end.number:
                if cursor.until is None:
                    cursor.arrive()
                return True
            try:
                data, mark = audience.ring.since(cursor.mark.number, self._piece(), end.number)
            except LookupError:
                return False
            await cursor.outlet.send_all(data)
            self.delivered[audience.dialect.transport] += mark.events - cursor.mark.events
            cursor.mark = mark
        return True

    def _piece(self) -> int:
        """Bytes joined for one member: with many behind it is one block, which is no copy."""
        return min(PIECE, self._pieces // max(1, len(self._late)))


def _encoded(audience: Audience, events: list[Event]) -> Iterator[tuple[Event, bytes]]:
    passes, encode = audience.topic.filter, audience.dialect.encode
    for event in events:
        if passes is None or passes.passes(event):
            yield event, encode(event)


def _rising(events: list[Event]) -> bool:
    """Whether a stream's events stand in the log in their order: those of an import may not."""
    return all(one.global_position < next.global_position for one, next in pairwise(events))
