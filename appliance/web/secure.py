"""The same as `wire.Wire`, through TLS.

Ciphertext belongs to one connection, so ready bytes cannot be shared: each `offer` is encrypted
here. `trio.SSLStream` can only wait, so an offer is kept as the remainder and one short task per
flush encrypts and sends it. What is kept is bounded: one offer, since the next is refused until it
is gone.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import trio
from trio.lowlevel import checkpoint

from appliance.web.remainder import Remainder
from appliance.web.wire import Wire

__all__ = ["SecureWire"]


class SecureWire(Remainder, trio.abc.Stream):
    """A `model.http.Outlet` and Trio stream over TLS.

    Args:
        wire: the socket below, ours from here on.
        behind: told after each `offer`; it must see to it that someone awaits `drained()` soon.
    """

    __slots__ = ("_behind", "_tls", "_wire")

    def __init__(self, wire: Wire, context: ssl.SSLContext, *, behind: Callable[[SecureWire], object]) -> None:
        super().__init__()
        self._wire = wire
        self._behind = behind
        self._tls = trio.SSLStream(wire, context, server_side=True, https_compatible=True)

    async def handshake(self) -> None:
        await self._tls.do_handshake()

    def offer(self, data: bytes) -> bool:
        if self._occupied:
            return self._refuse()
        if self.killed:  # below us
            raise trio.BrokenResourceError("the connection is gone")
        self._rest = data
        self._occupied = True
        self._behind(self)
        return True

    async def write(self, data: bytes) -> None:
        await self.send_all(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._acquire()
        try:
            await self._flush()
            self._check_open()
            self._rest = data
            await self._flush()
        finally:
            self._release()

    async def wait_send_all_might_not_block(self) -> None:
        await self.drained()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            return bytes(await self._tls.receive_some(max_bytes))
        except trio.ClosedResourceError as error:
            raise trio.BrokenResourceError("the connection was dropped") from error

    @property
    def sent(self) -> int:
        return self._wire.sent

    @property
    def killed(self) -> bool:
        return self._wire.killed

    @property
    def starved(self) -> bool:
        return self._wire.starved

    def kill(self) -> None:
        self._wire.kill()
        self._rest = b""
        self._shut = self._occupied = True

    async def finish(self, grace: float) -> None:
        """As `Wire.finish`, with the TCP connection's own end: clients of HTTPS understand no other."""
        with trio.move_on_after(grace, shield=True):
            try:
                await self.drained()
            except trio.BrokenResourceError:
                return
            await self._wire.finish(grace)
        self.kill()

    async def aclose(self) -> None:
        self.kill()
        await checkpoint()

    async def _flush(self) -> None:
        """Encrypt and send the remainder. The lock is held; half a record is none, so failing kills."""
        while self._rest:
            data, self._rest = self._rest, b""  # last words may be added meanwhile
            try:
                await self._tls.send_all(data)
            except BaseException as error:
                self.kill()
                if isinstance(error, trio.ClosedResourceError):
                    raise trio.BrokenResourceError("the connection was dropped") from error
                raise
