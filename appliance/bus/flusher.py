"""Offers what is new to everyone who is level, and waits for nobody.

One task. Audiences with something new stand in a queue; each turn serves the first up to `SENDS` members of
one, then it goes to the end of the queue if its round is not over. So a small audience never waits for a large
one, and whoever is served late in a round gets what has come since, too. Between two yields there are never more
than about `SENDS` offers, a millisecond or two. In here is the only work done per connection; per event and
connection there is none.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from itertools import islice

import trio

from appliance.bus.audience import Audience, Cursor
from appliance.bus.coalesce import Alarms
from appliance.bus.ring import Mark

__all__ = ["Flusher"]

SENDS = 300


class Flusher:
    """
    Args:
        newest: global position of the newest event of a namespace.
        behind: told of a level member that would have to be waited for.
        gone: told of a member whose connection is.
        idle: told when nothing is left to offer.
    """

    def __init__(
        self,
        newest: Callable[[int], int],
        behind: Callable[[Cursor], None],
        gone: Callable[[Cursor], None],
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._newest = newest
        self._behind = behind
        self._gone = gone
        self._idle = idle
        self._queue: deque[Audience] = deque()
        self._queued: set[Audience] = set()
        self._alarms: Alarms[Audience] = Alarms()
        self._wake = trio.Event()
        self._rounds: dict[Audience, trio.Event] = {}  # what those wait for who wait for a round to end
        self.delivered: Counter[str] = Counter()  # events handed to members, by transport

    @property
    def busy(self) -> bool:
        """Whether something is to be offered."""
        return bool(self._queue)

    def add(self, audience: Audience) -> None:
        """It has something new, to be shown now or when a window ends."""
        if audience not in self._queued and audience.pending:
            self._put(audience)
        if audience.merges:
            if audience.due < self._alarms.due:
                self._wake.set()  # to sleep less long
            self._alarms.set(audience, audience.due)

    def forget(self, audience: Audience) -> None:
        """It has no members any more."""
        audience.complete = audience.ring.head
        self._end_round(audience)

    async def flushed(self) -> None:
        """Wait until everything added before was offered to all level members."""
        waited_for = [(audience, audience.seal().number) for audience in self._queue if audience.members]
        for audience, number in waited_for:
            while audience.complete < number:
                await self._rounds.setdefault(audience, trio.Event()).wait()
        if not waited_for:
            await trio.lowlevel.checkpoint()

    async def run(self) -> None:
        while True:
            sends = 0
            while self._queue and sends < SENDS:
                sends += self._serve(self._queue.popleft())
            if self._queue:
                await trio.lowlevel.checkpoint()
            else:
                self._idle()
                self._wake = trio.Event()
                with trio.move_on_at(self._alarms.due):
                    await self._wake.wait()
            if self._alarms.due <= trio.current_time():
                self._alarms.ring(trio.current_time(), self._release)

    def _put(self, audience: Audience) -> None:
        self._queued.add(audience)
        self._queue.append(audience)
        self._wake.set()

    def _release(self, audience: Audience) -> float:
        due = audience.release(trio.current_time(), self._newest(audience.topic.namespace))
        if audience.members and audience.pending and audience not in self._queued:
            self._put(audience)
        return due

    def _serve(self, audience: Audience) -> int:
        """One turn of a round. Returns what it cost, in offers."""
        self._queued.discard(audience)
        if not audience.members:
            return 1
        end = audience.seal()
        if audience.round is None:
            audience.round, audience.began = iter(tuple(audience.level)), end.number
        turn = tuple(islice(audience.round, SENDS))
        self._offer(audience, turn, end)
        if len(turn) == SENDS:
            self._put(audience)
        else:
            audience.round, audience.complete = None, audience.began
            self._end_round(audience)
            if end.number > audience.began:  # the first of the round have not got what came meanwhile
                self._put(audience)
        return len(turn) + 1

    def _offer(self, audience: Audience, turn: tuple[Cursor, ...], end: Mark) -> None:
        """The innermost loop: its cost is per connection and flush."""
        seen: Mark | None = None
        data, events, delivered = b"", 0, 0
        for cursor in turn:
            if not cursor.level:
                continue  # has left, or fell behind, since the round began
            mark = cursor.mark
            if mark is not seen:
                if mark.number == end.number:
                    continue
                try:
                    data = audience.since(mark.number).data
                except LookupError:
                    self._behind(cursor)
                    continue
                seen, events = mark, end.events - mark.events
            try:
                taken = cursor.outlet.offer(data)
            except trio.BrokenResourceError:
                self._gone(cursor)
                continue
            if taken:
                cursor.mark = end
                delivered += events
            else:
                self._behind(cursor)
        self.delivered[audience.dialect.transport] += delivered

    def _end_round(self, audience: Audience) -> None:
        over = self._rounds.pop(audience, None)
        if over is not None:
            over.set()
