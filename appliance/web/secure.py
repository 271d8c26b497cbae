"""The same as `wire.Wire`, through TLS.

Ciphertext belongs to one connection, so ready bytes cannot be shared: what a sender brings is encrypted in memory, in
the step in which it enters the line. So records leave in the order they were made in, and nobody needs a task
to be sent to: an `offer` costs the cipher and one `send`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import trio

from appliance.web.remainder import Buffer
from appliance.web.wire import READ_SIZE, Wire

__all__ = ["SecureWire"]


class SecureWire(Wire):
    """A `model.http.Outlet` and Trio stream over TLS.

    Args:
        context: with our certificate.
        sock, write_deadline, behind: as of `Wire`.
    """

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        write_deadline: float = 20.0,
        behind: Callable[[Wire], object] | None = None,
    ) -> None:
        super().__init__(sock, write_deadline=write_deadline, behind=behind)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()  # of ciphertext
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Agree on keys.

        Raises:
            trio.BrokenResourceError: the peer speaks no TLS that we do, or has gone.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._reply()
                if not await self._take_in():
                    raise trio.BrokenResourceError("the peer left while shaking hands") from None
            except ssl.SSLError as error:
                raise self._broken() from error
            else:
                self._reply()
                return

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = READ_SIZE if max_bytes is None else max_bytes
        while True:
            try:
                data = self._tls.read(size)
            except ssl.SSLWantReadError:
                self._reply()
                if not await self._take_in():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise self._broken() from error
            else:
                self._reply()
                return data

    def _sealed(self, data: Buffer) -> bytes:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise self._broken() from error
        return self._outgoing.read()

    async def _take_in(self) -> bool:
        """Wait for ciphertext. False: there will be none."""
        data = await super().receive_some(READ_SIZE)
        self._incoming.write(data)
        return bool(data)

    def _reply(self) -> None:
        """Send what the protocol itself has to say: behind everything that was encrypted before it."""
        data = self._outgoing.read()
        if data and self._occupied:
            self._rest = b"".join((self._rest, data))  # whoever is sending sends this too
        elif data:
            self._keep(data, self._send(data))

    def _broken(self) -> trio.BrokenResourceError:
        """What was said is no TLS, or not for us: tell the peer, if it still listens, and drop it."""
        if not self.killed:
            self._reply()
        self.kill()
        return trio.BrokenResourceError("the peer does not speak TLS as we do")
