"""What the operating system asks of us, in words the house understands."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import structlog
import trio

__all__ = ["obey"]

log = structlog.get_logger("signals")


async def obey(
    *,
    stop: Callable[[], None],
    hurry: Callable[[], None],
    reload: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM and SIGINT stop, the second of them hurries, SIGHUP reloads.

    Returns after the second one; from then on signals do what they do to any program, so that a third
    ends even a process that hangs.
    """
    asked = 0
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as arriving:
        task_status.started()
        async for number in arriving:
            if number == signal.SIGHUP:
                await reload()
                continue
            asked += 1
            log.info("asked to stop", signal=signal.Signals(number).name, times=asked)
            if asked > 1:
                hurry()
                return
            stop()
