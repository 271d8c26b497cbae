"""Threads for one plugin: few, and none holds up a stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import trio

__all__ = ["InThread", "threads"]

T = TypeVar("T")

THREADS = 4  # of one plugin at once, so that none can take all the process has


class InThread(Protocol):
    """Runs blocking work aside."""

    async def __call__(self, work: Callable[[], T], /) -> T: ...


def threads() -> InThread:
    """Threads for one plugin. A wait that is cancelled leaves the thread alone: it cannot hold up a stop."""
    limiter = trio.CapacityLimiter(THREADS)

    async def aside(work: Callable[[], Any], /) -> Any:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)

    return aside
