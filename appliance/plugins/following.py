"""One consumer's way through the log of one namespace.

It lasts only while there is something to do. Events are read by position, a page at a time, so a slow handler holds no
more than a page; events of one stream are handled one after the other, those of several side by side. The checkpoint
is the position before the first one that is not over: a restart begins there, and may bring some twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import trio

from appliance.api import Unavailable
from appliance.errors import ApplianceError, NotFound
from appliance.model.event import Event, Namespace, Query
from appliance.model.principal import WRITE, Principal
from appliance.model.state import StateChange
from appliance.plugins.desk import Desk

__all__ = ["OWNER", "Checkpoint", "Follower"]

log = structlog.get_logger("plugins")

OWNER = "consumers"  # of the checkpoints
PAGE = 64  # events read, and in hand, at once
SIDE_BY_SIDE = 8  # streams
SAVE = 0.5  # seconds between two checkpoints while there is work
SCANNED = 5000  # positions of others' events until a checkpoint is worth its while


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a consumer has come."""

    position: int  # global; everything up to here is over


class Follower:
    """Follows one namespace for one consumer.

    Args:
        key: of the checkpoint.
        position: everything up to it is over.
        wants: whether events of a type are for it.
        handle: does everything about one event, and takes a turn for each try; it ends well, or is cancelled.
    """

    def __init__(
        self,
        desk: Desk[Any],
        space: Namespace,
        key: str,
        position: int,
        wants: Callable[[str], bool],
        handle: Callable[[Namespace, Event, trio.CapacityLimiter], Awaitable[None]],
    ) -> None:
        self.space = space
        self._level = False  # there is nothing for it up to the newest event, whichever that is
        self._desk = desk
        self._key = key
        self._wants = wants
        self._handle = handle
        self._read = position
        self._saved = position
        self._saved_at = trio.current_time()
        self._handled = False  # something, since it was saved
        self._open: dict[int, None] = {}  # positions in hand, ascending
        self._lanes: dict[str, deque[Event]] = {}
        self._turns = trio.CapacityLimiter(SIDE_BY_SIDE)
        self._stir = trio.Event()

    @property
    def position(self) -> int:
        """Everything up to here is over."""
        return self._head if self._level else next(iter(self._open), self._read + 1) - 1

    @property
    def lag(self) -> int:
        """Positions in the log that it has not dealt with."""
        return max(0, self._head - self.position)

    def in_hand(self, position: int) -> bool:
        """Whether this one is not over."""
        return not self._level and (position > self._read or position in self._open)

    def rang(self, types: frozenset[str]) -> bool:
        """Events of these types were published. Whether it has to run: it does not, and there is something for it."""
        self._stir.set()
        if not self._level:
            return False
        head = self._head
        if head >= self._read and not any(map(self._wants, types)):
            self._read = head
            return False
        self._level = False
        return True

    async def run(self) -> None:
        """Go on until it is level with the log."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._catch_up(nursery)
                self._stir = trio.Event()
                if self._read >= self._head:
                    if not self._open:
                        self._level = True
                        break
                    await self._stir.wait()
        await self.save(least=1 if self._handled else SCANNED)

    async def save(self, *, least: int = 1) -> None:
        """Keep the checkpoint, if it has moved by so much. It may fail: there will be another time."""
        position = self.position
        if abs(position - self._saved) < least:
            return
        value = msgspec.json.encode(Checkpoint(position)).decode()
        who = Principal(self.space, frozenset({WRITE}), subject=f"plugin:{self._desk.name}")
        before, self._saved, self._saved_at, self._handled = self._saved, position, trio.current_time(), False
        try:
            await self._desk.ports.write(who, (), changes=[StateChange(self.space.key, OWNER, self._key, value)])
        except NotFound:
            log.info("consumer ends with its namespace", consumer=self._key, namespace=self.space.id)
        except ApplianceError as trouble:
            self._saved = before
            log.warning("checkpoint not kept", consumer=self._key, reason=trouble.code)

    # -- inside -----------------------------------------------------------------------------

    @property
    def _head(self) -> int:
        return self._desk.ports.log.head_position(self.space.key)

    async def _catch_up(self, nursery: trio.Nursery) -> None:
        while self._read < (head := self._head) or head < self._read:
            if head < self._read:  # emptied
                self._read = 0
            query = Query(self.space.key, global_position=self._read + 1, through=head, limit=PAGE)
            try:
                events = await self._desk.ports.log.events(query)
            except Unavailable as trouble:
                await trio.sleep(trouble.retry_after)
                continue
            for event in events:
                await self._take(event, nursery)
            if not events:
                self._read = head
            await self._save_now_and_then()

    async def _take(self, event: Event, nursery: trio.Nursery) -> None:
        while len(self._open) >= PAGE:
            self._stir = trio.Event()
            await self._stir.wait()
        self._read = event.global_position
        if not self._wants(event.type):
            return
        self._open[event.global_position] = None
        if event.stream in self._lanes:
            self._lanes[event.stream].append(event)
        else:
            self._lanes[event.stream] = deque([event])
            nursery.start_soon(self._lane, event.stream)

    async def _lane(self, stream: str) -> None:
        waiting = self._lanes[stream]
        while waiting:
            event = waiting.popleft()
            await self._handle(self.space, event, self._turns)
            del self._open[event.global_position]
            self._handled = True
            self._stir.set()
            await self._save_now_and_then()
        del self._lanes[stream]

    async def _save_now_and_then(self) -> None:
        if trio.current_time() - self._saved_at >= SAVE:
            await self.save()
