"""What a courier has to write down: collected, and written in one go while it goes on sending.

Waiting for the disk after each delivery would make an endpoint as slow as the disk. What is not written yet when the
process dies is sent again, with the same `webhook-id`; so only so much may be unwritten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from appliance.errors import Unavailable
from appliance.model.state import StateChange

__all__ = ["Ledger"]

GATHER = 0.02  # seconds for more to come: a delivery that begins and ends within them is written once
PAUSE = 1.0  # seconds until what could not be written is tried again
MOST = 128  # values unwritten, beyond which nothing more is sent


class Ledger:
    """
    Args:
        save: returns when changes are on disk; raises Unavailable if nothing of them is, NotFound if nobody wants them.
        wrote: called after each write.
    """

    def __init__(self, save: Callable[[Sequence[StateChange]], Awaitable[None]], wrote: Callable[[], None]) -> None:
        self._save = save
        self._told = wrote
        self._changes: dict[str, StateChange] = {}  # by key: of a value that changes again only the last is written
        self._writing = 0
        self._begun = self._over = 0  # writes
        self._more = trio.Event()
        self._wrote = trio.Event()

    @property
    def full(self) -> bool:
        return len(self._changes) + self._writing >= MOST

    def note(self, changes: Sequence[StateChange]) -> None:
        """Have them written soon."""
        for change in changes:
            self._changes[change.key] = change
        self._more.set()

    async def written(self) -> None:
        """Wait until all is on disk that was noted."""
        last = self._begun + bool(self._changes)
        while self._over < last:
            await self._wrote.wait()

    async def run(self) -> None:
        """Lasts until cancelled. Raises NotFound: the namespace is gone."""
        while True:
            if not self._changes:
                self._more = trio.Event()
                await self._more.wait()
            await trio.sleep(GATHER)
            batch, self._changes = list(self._changes.values()), {}
            self._writing, self._begun = len(batch), self._begun + 1
            await self._write(batch)
            self._writing, self._over = 0, self._over + 1
            self._wrote.set()
            self._wrote = trio.Event()
            self._told()

    async def _write(self, changes: Sequence[StateChange]) -> None:
        while True:
            try:
                return await self._save(changes)
            except Unavailable:  # the disk is full, say; nothing is given up for it
                await trio.sleep(PAUSE)
