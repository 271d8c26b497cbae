"""One connection's bytes: a plain non-blocking socket that never tears a frame.

Two kinds of senders share a connection. Handlers and SSLStream *wait*: `send_all`. The flusher, which
serves a thousand connections per batch, never does: `offer`. Both may meet a peer that takes only part.
So the stream itself owns an unfinished remainder: whoever comes next sends it first, under one lock,
and an `offer` that finds a remainder or the lock taken is refused whole. No byte can come between two
parts of a call, whoever runs first, and none after the last words (`conclude`).

Trio's own socket has no public non-blocking send, hence the plain one with `wait_readable` and
`wait_writable`.
"""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

__all__ = ["LINGER", "READ_SIZE", "Remainder", "Wire"]

READ_SIZE = 64 * 1024  # bytes taken from the kernel at once
LINGER = 1024 * 1024  # bytes read and dropped while a peer is told that we are done


class Remainder(ABC):
    """The sending discipline of a line: one lock, what is still unsent, and an end after which nothing comes.

    A subclass says how the remainder is sent (`_flush`, with the lock held).
    """

    __slots__ = ("_emptied", "_lock", "_occupied", "_rest", "_shut", "ender")

    def __init__(self) -> None:
        self._lock = trio.StrictFIFOLock()
        self._rest: bytes | bytearray | memoryview = b""
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

    def conclude(self, data: bytes) -> None:
        """Take last words, to be sent after what is unsent. Nothing is taken after them.

        Waits for nobody; the caller sees to it that someone awaits `drained()` or `finish()`.
        """
        if not self._shut:
            self._shut = self._occupied = True
            self._rest = bytes(self._rest) + data  # whoever is sending the rest now sends this too

    async def drained(self) -> None:
        if not self.busy:
            await checkpoint()
        while self.busy:
            if self._lock.locked():  # whoever sends now sends the remainder too; to queue would make us a sender
                if self._emptied is None:
                    self._emptied = trio.Event()
                await self._emptied.wait()
            else:
                self._lock.acquire_nowait()
                try:
                    await self._flush()
                finally:
                    self._release()
        if self.killed:
            raise trio.BrokenResourceError("the connection is gone")

    @property
    def busy(self) -> bool:
        """Whether something is unsent or being sent."""
        return bool(self._rest) or self._lock.locked()

    def _refuse(self) -> bool:
        """Why an offer is not taken: not now, or never again."""
        self._check_open()
        return False

    def _check_open(self) -> None:
        if self._shut:
            raise trio.BrokenResourceError("the connection is over")

    async def _acquire(self) -> None:
        self._check_open()
        self._occupied = True  # from the moment the lock is ours, which is before we run again
        try:
            await self._lock.acquire()
        except BaseException:
            self._occupied = self._shut or self.busy
            raise

    def _release(self) -> None:
        self._lock.release()
        self._occupied = self._shut or self.busy
        if self._emptied is not None and not self._lock.locked():
            self._emptied.set()
            self._emptied = None


class Wire(Remainder, trio.abc.HalfCloseableStream):
    """A socket as `model.http.Outlet` and as Trio stream.

    Everything a lost or killed connection does to a caller is `trio.BrokenResourceError`.

    Args:
        sock: connected; made non-blocking and ours from here on.
        write_deadline: seconds a peer may take nothing before it is dropped.
        behind: told when an `offer` left a remainder; it must see to it that someone awaits
            `drained()` soon (the front starts a task: only then does a peer cost one).
    """

    __slots__ = ("_behind", "_deadline", "_push", "_starved", "sent", "socket")

    def __init__(
        self, sock: socket.socket, *, write_deadline: float = 20.0, behind: Callable[[Wire], object] | None = None
    ) -> None:
        super().__init__()
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self._push = sock.send
        self._starved = False
        self.sent = 0
        self._deadline = write_deadline
        self._behind = behind

    # -- sending without waiting ------------------------------------------------------------

    def offer(self, data: bytes) -> bool:
        # The innermost call of the fan-out, once for each connection and flush: one flag, one `send`.
        if self._occupied:
            return self._refuse()
        try:
            sent = self._push(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.kill()
            raise trio.BrokenResourceError("the connection is gone") from error
        self.sent += sent
        if sent < len(data):
            self._rest = memoryview(data)[sent:]
            self._occupied = True
            if self._behind is not None:
                self._behind(self)
        return True

    def conclude(self, data: bytes) -> None:
        super().conclude(data)
        if not self._lock.locked():
            with contextlib.suppress(trio.BrokenResourceError):  # it has left already
                self._rest = memoryview(self._rest)[self._send(self._rest) :]

    # -- sending and waiting ----------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """`send_all` that does not yield when the socket takes everything at once.

        For callers whose next step waits anyway: the yield would be a fifth of a small request.
        """
        if self._occupied:
            await self.send_all(data)
        else:
            sent = self._send(data)
            if sent < len(data):
                self._lock.acquire_nowait()
                await self._finish(memoryview(data)[sent:])

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._acquire()
        try:
            await self._flush()
            self._check_open()
        except BaseException:
            self._release()
            raise
        await self._finish(memoryview(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self.drained()

    async def send_eof(self) -> None:
        """Say that nothing more will come from us."""
        await self.drained()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError("the connection is gone") from error

    # -- receiving --------------------------------------------------------------------------

    def receive_now(self) -> bytes | None:
        """What has arrived; b"": the peer has ended; None: nothing yet."""
        try:
            return self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise trio.BrokenResourceError("the connection is gone") from error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = READ_SIZE if max_bytes is None else max_bytes
        if size < 1:
            raise ValueError("max_bytes must be at least 1")
        while True:
            try:
                await wait_readable(self.socket)
                return self.socket.recv(size)
            except BlockingIOError:
                continue  # someone else's wake-up
            except (OSError, trio.ClosedResourceError, ValueError) as error:
                raise trio.BrokenResourceError("the connection is gone") from error

    # -- ending -----------------------------------------------------------------------------

    @property
    def killed(self) -> bool:
        return self.socket.fileno() < 0

    @property
    def starved(self) -> bool:
        return self._starved

    def kill(self) -> None:
        if not self.killed:
            notify_closing(self.socket)
            self.socket.close()
            self._rest = b""
            self._shut = self._occupied = True

    async def aclose(self) -> None:
        self.kill()
        await checkpoint()

    async def finish(self, grace: float) -> None:
        """End politely within `grace` seconds: send what is left, say so, read on until the peer has gone.

        For whoever reads here: there must be no other reader.
        Closing with input unread would reset the connection, and the peer might never see our last words.
        """
        with trio.move_on_after(grace, shield=True):
            try:
                await self.send_eof()
                left = LINGER
                while left > 0 and (data := await self.receive_some()):
                    left -= len(data)
            except trio.BrokenResourceError:
                pass  # gone already
        self.kill()

    # -- inside -----------------------------------------------------------------------------

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        """How many bytes the socket took; 0: none for now."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.kill()
            raise trio.BrokenResourceError("the connection is gone") from error
        self.sent += sent
        return sent

    async def _finish(self, rest: memoryview) -> None:
        """Send `rest` and release the lock, which the caller holds. Half a send is no send: failing kills."""
        self._rest = rest
        self._occupied = True
        try:
            await self._flush()
        except BaseException:
            self.kill()
            raise
        finally:
            self._release()

    async def _flush(self) -> None:
        """Send the remainder. The lock is held."""
        while self._rest:
            sent = self._send(self._rest)
            self._rest = self._rest[sent:]
            if self._rest:
                await self._writable()

    async def _writable(self) -> None:
        with trio.move_on_after(self._deadline) as patience:
            try:
                await wait_writable(self.socket)
            except (OSError, trio.ClosedResourceError, ValueError) as error:
                raise trio.BrokenResourceError("the connection was dropped") from error
        if patience.cancelled_caught:
            self._starved = True
            self.kill()
            raise trio.BrokenResourceError(f"the peer read nothing for {self._deadline:g} s")
