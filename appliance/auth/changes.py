"""A change goes to disk first, then into the picture in memory, in a task of ours.

A caller who leaves in between cannot leave the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from appliance.errors import ApplianceError, Unavailable
from appliance.storage.ports import Engine

__all__ = ["Changes"]

T = TypeVar("T")


class _Log(Protocol):
    async def control(self, work: Callable[[Engine], T]) -> T: ...


class Changes:
    """Carries changes out, one after the other."""

    def __init__(self, log: _Log) -> None:
        self._log = log
        self._nursery: trio.Nursery | None = None
        self._turn = trio.Lock()

    def begin(self, nursery: trio.Nursery) -> None:
        """From now on, in tasks of `nursery`."""
        self._nursery = nursery

    async def make(
        self, work: Callable[[Engine], T], adopt: Callable[[T], None], *, first: Callable[[], None] = lambda: None
    ) -> T:
        """Change the store, then our picture of it. Goes on to its end even if the caller leaves.

        Args:
            first: called when its turn has come: nothing else changes the picture from here on. It may refuse.

        Raises:
            Unavailable: the appliance is stopping.
        """
        done: list[T] = []
        refused: list[ApplianceError] = []
        over = trio.Event()

        async def carry_out() -> None:
            try:
                async with self._turn:
                    first()
                    result = await self._log.control(work)
                    adopt(result)
                done.append(result)
            except ApplianceError as error:
                refused.append(error)
            finally:
                over.set()

        assert self._nursery is not None, "the service runs"
        self._nursery.start_soon(carry_out)
        await over.wait()
        if refused:
            raise refused[0]
        if not done:
            raise Unavailable("the appliance is stopping", hint="try again in a few seconds")
        return done[0]
