"""Tells the service manager how we are: sd_notify, and the watchdog that pings only while we really work.

Source: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5) on Type=notify and reloading.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import ClassVar

import structlog
import trio

__all__ = ["Notifier", "Watchdog", "encode", "ping_interval"]

log = structlog.get_logger("watchdog")

MICROSECONDS = 1_000_000  # per second


def encode(**fields: str | int) -> bytes:
    """The datagram of sd_notify: one `NAME=value` per line. A value is one line itself."""
    return "\n".join(f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items()).encode()


def ping_interval(environ: MutableMapping[str, str], pid: int) -> float | None:
    """Seconds between two pings, a third of what the manager tolerates. None: it does not watch us.

    Takes its variables out of `environ`: they are meant for this process and not for its children.
    """
    tolerated, whose = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not tolerated.isascii() or not tolerated.isdigit() or int(tolerated) == 0 or whose not in ("", str(pid)):
        return None
    return int(tolerated) / MICROSECONDS / 3


class Notifier:
    """Speaks to the service manager. Without one every call does nothing."""

    def __init__(self, address: str) -> None:
        """`address`: a path, or `@name` for an abstract socket; empty: nobody listens."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            # A blocking socket hangs the loop as soon as the receiver's queue is full.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        return cls(environ.pop("NOTIFY_SOCKET", ""))

    def send(self, **fields: str | int) -> bool:
        """Whether it was handed over. A manager that does not listen is no reason to stop."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(encode(**fields), self._address)
        except OSError:
            return False
        return True

    def wait_for_us(self) -> None:
        """Starting takes its time: half a minute more from now on."""
        self.send(EXTEND_TIMEOUT_USEC=30 * MICROSECONDS, STATUS="bringing the log to the schema of this program")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Around a reload, so that `systemctl reload` returns when it is done."""
        self.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        try:
            yield
        finally:
            self.send(READY=1)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Watchdog:
    """Says READY when everything below has started, and WATCHDOG as long as `alive` answers yes in time.

    It is the last service: ready after all the others, and the first to be told of the end.
    """

    name: ClassVar[str] = "watchdog"

    def __init__(
        self, notifier: Notifier, *, interval: float | None, alive: Callable[[], Awaitable[bool]], status: str
    ) -> None:
        """`alive` proves that the log's writer answers; that the loop does is proved by being here.

        `interval`: seconds between two pings, None: nobody watches. `status`: one line for `systemctl status`.
        """
        self._notifier = notifier
        self._interval = interval
        self._alive = alive
        self._status = status
        self._silent = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self._notifier.send(READY=1, STATUS=self._status)
        task_status.started()
        if self._interval is None:
            await trio.sleep_forever()
            return
        while True:
            await self._ping(self._interval)
            await trio.sleep(self._interval)

    async def drain(self) -> None:
        self._notifier.send(STOPPING=1, STATUS="stopping")

    def waits_for(self) -> str:
        return "the log's writer to answer" if self._silent else ""

    async def _ping(self, patience: float) -> None:
        answered = False
        with trio.move_on_after(patience):
            answered = await self._alive()
        if answered:
            self._notifier.send(WATCHDOG=1)
        if answered is self._silent:
            self._silent = not answered
            if answered:
                log.info("writer answers again, pinging")
            else:
                log.error("writer does not answer, no more pings", patience_s=patience)
