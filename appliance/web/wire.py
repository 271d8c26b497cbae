"""One connection's bytes: a plain non-blocking socket that never tears a frame.

How its senders share it is said in `remainder`.

Trio's own socket has no public non-blocking send, hence the plain one with `wait_readable` and
`wait_writable`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import trio
from trio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    notify_closing,
    wait_readable,
    wait_writable,
)

from appliance.web.remainder import Buffer, Remainder

__all__ = ["LINGER", "READ_SIZE", "Wire"]

READ_SIZE = 64 * 1024  # bytes taken from the kernel at once
LINGER = 1024 * 1024  # bytes read and dropped while a peer is told that we are done


class Wire(Remainder, trio.abc.HalfCloseableStream):
    """A socket as `model.http.Outlet` and as Trio stream.

    Everything a lost or killed connection does to a caller is `trio.BrokenResourceError`.

    Args:
        sock: connected; made non-blocking and ours from here on.
        write_deadline: seconds a peer may take nothing before it is dropped.
        behind: told when an `offer` left a remainder; it must see to it that someone awaits
            `drained()` soon (the front starts a task: only then does a peer cost one).
    """

    __slots__ = ("_behind", "_deadline", "_starved", "sent", "socket")

    def __init__(
        self, sock: socket.socket, *, write_deadline: float = 20.0, behind: Callable[[Wire], object] | None = None
    ) -> None:
        super().__init__()
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self._starved = False
        self.sent = 0
        self._deadline = write_deadline
        self._behind = behind

    # -- sending without waiting ------------------------------------------------------------

    def offer(self, data: bytes) -> bool:
        # The innermost call of the fan-out, once for each connection and flush.
        if self._occupied:
            return self._refuse()
        sealed = self._sealed(data)
        self._keep(sealed, self._send(sealed))
        return True

    def conclude(self, data: Buffer) -> None:
        if not self._shut:
            super().conclude(self._sealed(data))
        if not self._sending:
            with contextlib.suppress(trio.BrokenResourceError):  # it has left already
                self._rest = memoryview(self._rest)[self._send(self._rest) :]

    # -- sending and waiting ----------------------------------------------------------------

    async def write(self, data: Buffer) -> None:
        """`send_all` that does not yield when the socket takes everything at once.

        For callers whose next step waits anyway: the yield would be a fifth of a small request.
        """
        if self._occupied:
            await self._send_in_turn(data)
        else:
            data = self._sealed(data)
            sent = self._send(data)
            if sent < len(data):
                self._grab()
                await self._finish(memoryview(data)[sent:])

    async def send_all(self, data: Buffer) -> None:
        if self._occupied:
            await self._send_in_turn(data)
        else:
            await checkpoint_if_cancelled()
            await self.write(data)
            await cancel_shielded_checkpoint()  # a stream of Trio always yields

    async def _send_in_turn(self, data: Buffer) -> None:
        await self._acquire()
        try:
            await self._flush()
            self._check_open()
            data = self._sealed(data)
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

    def _sealed(self, data: Buffer) -> Buffer:
        """`data` as it enters the line; whoever calls this sends it in the same step."""
        return data

    def _keep(self, data: Buffer, sent: int) -> None:
        """The socket has taken `sent` bytes of an offer: the rest is the remainder."""
        if sent < len(data):
            self._rest = memoryview(data)[sent:]
            self._occupied = True
            if self._behind is not None:
                self._behind(self)

    def _send(self, data: Buffer) -> int:
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
