"""What two kinds of senders share on one connection: the lock, what is still unsent, and the end.

Handlers *wait*: `send_all`. The flusher, which serves a thousand connections per batch, never does:
`offer`. Both may meet a peer that takes only part. So the line itself owns an unfinished remainder: whoever comes next
sends it first, under one lock, and an `offer` that finds a remainder or the lock taken is refused whole. No byte can
come between two parts of a call, whoever runs first, and none after the last words (`conclude`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import trio
from trio.lowlevel import checkpoint

__all__ = ["Buffer", "Remainder"]

Buffer = bytes | bytearray | memoryview


class Remainder(ABC):
    """The sending discipline of a line: one lock, what is still unsent, and an end after which nothing comes.

    A subclass says how the remainder is sent (`_flush`, with the lock held).
    """

    __slots__ = ("_emptied", "_lock", "_occupied", "_rest", "_shut", "ender")

    def __init__(self) -> None:
        self._lock: trio.StrictFIFOLock | None = None  # made when someone waits to send: most never do
        self._rest: Buffer = b""
        self._emptied: trio.Event | None = None  # made when someone waits in `drained`
        self._shut = False  # the last words are given: nothing more is taken
        self._occupied = False  # an offer is refused: by a remainder, a sender or the end. One look for the flusher
        self.ender: Callable[[int, str], object] | None = None  # knows the words of what is spoken here now

    @property
    @abstractmethod
    def killed(self) -> bool: ...

    @property
    @abstractmethod
    def starved(self) -> bool:
        """Whether it was dropped because the peer read nothing for the write deadline."""

    @abstractmethod
    def kill(self) -> None: ...

    @abstractmethod
    async def _flush(self) -> None:
        """Send the remainder."""

    def end(self, code: int, reason: str = "") -> None:
        """Bytes alone have no words for a reason; whoever speaks a protocol here has put its own in `ender`."""
        if self.ender is None:
            self.kill()
        else:
            self.ender(code, reason)

    def conclude(self, data: Buffer) -> None:
        """Take last words, to be sent after what is unsent. Nothing is taken after them.

        Waits for nobody; the caller sees to it that someone awaits `drained()` or `finish()`.
        """
        if not self._shut:
            self._shut = self._occupied = True
            self._rest = b"".join((self._rest, data))  # whoever is sending the rest now sends this too

    async def drained(self) -> None:
        if not self.busy:
            await checkpoint()
        while self.busy:
            if self._sending:  # whoever sends now sends the remainder too; to queue would make us a sender
                if self._emptied is None:
                    self._emptied = trio.Event()
                await self._emptied.wait()
            else:
                self._grab()
                try:
                    await self._flush()
                finally:
                    self._release()
        if self.killed:
            raise trio.BrokenResourceError("the connection is gone")

    @property
    def busy(self) -> bool:
        """Whether something is unsent or being sent."""
        return bool(self._rest) or self._sending

    @property
    def _sending(self) -> bool:
        return self._lock is not None and self._lock.locked()

    def _refuse(self) -> bool:
        """Why an offer is not taken: not now, or never again."""
        self._check_open()
        return False

    def _check_open(self) -> None:
        if self._shut:
            raise trio.BrokenResourceError("the connection is over")

    def _grab(self) -> None:
        """Take the lock, which is free."""
        self._own_lock().acquire_nowait()
        self._occupied = True

    async def _acquire(self) -> None:
        """Take the lock in turn."""
        self._check_open()
        self._occupied = True  # from the moment the lock is ours, which is before we run again
        try:
            await self._own_lock().acquire()
        except BaseException:
            self._occupied = self._shut or self.busy
            raise

    def _release(self) -> None:
        self._own_lock().release()
        self._occupied = self._shut or self.busy
        if self._emptied is not None and not self._sending:
            self._emptied.set()
            self._emptied = None

    def _own_lock(self) -> trio.StrictFIFOLock:
        if self._lock is None:
            self._lock = trio.StrictFIFOLock()
        return self._lock
