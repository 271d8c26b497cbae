"""Sends one request, to an address that was judged, and brings back what came of it.

Every address a name resolves to is judged at each attempt, and the connection goes to one of the judged: there is no
second look at the name that could say something else. Host and TLS keep the name. Nothing is followed, no proxy is
asked, and no receiver can hold us longer than the timeout or make us read more than `MOST_READ`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore
import trio

from appliance.egress.webhooks.addresses import Guard, Target, TargetRefused
from appliance.egress.webhooks.verdicts import Outcome, Verdict, of_status

__all__ = ["Judged", "Resolve", "Resolver", "Result", "Sender", "judged"]

MOST_READ = 64 * 1024  # bytes of an answer
MOST_KEPT = 4 * 1024  # of them, for people
MOST_TRIED = 4  # addresses of one name
IDLE = 15.0  # seconds an unused connection is kept
LOOKUPS = 16  # names looked up at once: an abandoned one keeps its thread until the system gives up

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # a name and a port to addresses; raises OSError


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt."""

    verdict: Verdict
    status: int | None = None
    answer: str = ""  # its beginning
    retry_after: str = ""  # the header
    detail: str = ""  # why not, for people


class Resolver:
    """Names to addresses, by the system, in few threads."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        def look() -> list[str]:
            return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        return await trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._limiter)


class Sender:
    """The way to one endpoint, with connections of its own.

    Args:
        tls: None: as the system trusts.
        timeout: seconds for everything: name, connection, request, and answer.
        network: how to connect to an address; None: over TCP.
    """

    def __init__(
        self,
        guard: Guard,
        resolve: Resolve,
        *,
        connections: int,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._guard = guard
        self._resolve = resolve
        self._timeout = timeout
        self._known: tuple[str, Target] | None = None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            keepalive_expiry=IDLE,
            network_backend=Judged(guard, resolve, network=network),
        )

    async def send(self, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, fresh: bool = False) -> Result:
        """POST it. Raises nothing but cancellation.

        Args:
            fresh: judge the name again although a connection may still be open.
        """
        try:
            target = self._target(url)
            with trio.fail_after(self._timeout):
                if fresh:
                    await judged(self._guard, self._resolve, target)
                return await self._post(target, headers, body)
        except TargetRefused as refusal:
            return Result(Verdict(Outcome.FAILED, "refused"), detail=refusal.message)
        except (trio.TooSlowError, httpcore.TimeoutException):
            return Result(Verdict(Outcome.RETRY, "timeout"), detail=f"no whole answer within {self._timeout:g} s")
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            kind = "tls" if _is_tls(error) else "connection"
            return Result(Verdict(Outcome.RETRY, kind), detail=str(error)[:200])

    def _target(self, url: str) -> Target:
        """The guard says the same of the same URL each time; its addresses are judged at each attempt.

        Raises:
            TargetRefused: requests may not go there.
        """
        if self._known is None or self._known[0] != url:
            self._known = (url, self._guard.target(url))
        return self._known[1]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _post(self, target: Target, headers: Sequence[tuple[str, str]], body: bytes) -> Result:
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        lines = [("host", target.authority), ("content-length", str(len(body))), ("accept", "*/*"), *headers]
        encoded = [(name.encode(), value.encode()) for name, value in lines]
        async with self._pool.stream(b"POST", url, headers=encoded, content=body) as response:
            found = bytearray()
            with contextlib.suppress(_Enough):
                async for part in response.aiter_stream():
                    found += part
            given = {name.lower(): value for name, value in response.headers}
            return Result(
                of_status(response.status),
                response.status,
                bytes(found[:MOST_KEPT]).decode(errors="replace"),
                given.get(b"retry-after", b"").decode("latin-1"),
            )


async def judged(guard: Guard, resolve: Resolve, target: Target) -> Sequence[str]:
    """The addresses of a target, all of which may be gone to. Raises TargetRefused, OSError."""
    if target.address is not None:
        return [str(address) for address in guard.judge(target, [str(target.address)])]
    found = await resolve(target.host, target.port)
    return [str(address) for address in guard.judge(target, list(found))]


class Judged(httpcore.AsyncNetworkBackend):
    """Connects to judged addresses only.

    Args:
        most: bytes that are read of each answer.
        network: how to connect to an address; None: over TCP.
    """

    def __init__(
        self,
        guard: Guard,
        resolve: Resolve,
        *,
        most: int = MOST_READ,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._guard = guard
        self._resolve = resolve
        self._most = most
        self._inner = network or httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        trouble: Exception = httpcore.ConnectError(f"{host} has no address")
        authority = f"[{host}]" if ":" in host else host
        target = self._guard.target(f"http://{authority}:{port}")
        for address in (await judged(self._guard, self._resolve, target))[:MOST_TRIED]:
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Measured(stream, self._most)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("webhooks do not go to local sockets")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _Enough(httpcore.ReadError):
    """More of an answer than we want to know."""


class _Measured(httpcore.AsyncNetworkStream):
    """A connection that gives so many bytes for each request.

    The end comes from below, since the generators above do not close each other when one is left early.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream, most: int) -> None:
        self._inner = inner
        self._most = self._left = most

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._left <= 0:
            raise _Enough
        data = await self._inner.read(max_bytes, timeout)
        self._left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._left = self._most
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Measured(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._most)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
