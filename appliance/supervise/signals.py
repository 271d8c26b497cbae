"""What the operating system asks of us, in words the house understands."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import structlog
import trio

__all__ = ["has_terminal", "obey"]

MOMENT = 0.2  # seconds: a terminal that is closed is gone a little after its signal

log = structlog.get_logger("signals")


def has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


async def obey(
    *,
    stop: Callable[[], None],
    hurry: Callable[[], None],
    reload: Callable[[], Awaitable[None]],
    terminal: Callable[[], bool] = has_terminal,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM and SIGINT stop, the second of them hurries, SIGHUP reloads.

    The same SIGHUP comes when the terminal we were started from is closed. Then it stops: at a desk nobody
    expects a program to outlive its window.

    Returns after the second one; from then on signals do what they do to any program, so that a third
    ends even a process that hangs.
    """
    asked = 0
    at_a_desk = terminal()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as arriving:
        task_status.started()
        async for number in arriving:
            if number == signal.SIGHUP:
                if at_a_desk:
                    await trio.sleep(MOMENT)
                if not at_a_desk or terminal():
                    await reload()
                    continue
            asked += 1
            log.info("asked to stop", signal=signal.Signals(number).name, times=asked)
            if asked > 1:
                hurry()
                return
            stop()
