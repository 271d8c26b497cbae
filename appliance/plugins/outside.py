"""`ctx.http`: requests of a plugin to other servers.

The public Internet is open, and what the operator's list for webhooks opens. A host that the plugin's own config names
in a URL is open too, wherever it lies: who wrote it there meant it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import msgspec
import trio

from appliance.api import HttpReply, PeerFailed, Rejected
from appliance.egress.webhooks.addresses import PORTS, Guard
from appliance.egress.webhooks.sender import Judged, Resolve
from appliance.plugins.encoding import encoded

__all__ = ["Client", "Outside", "places_named"]

MOST_READ = 16 * 1024 * 1024  # bytes of an answer
CONNECTIONS = 10  # of one plugin at once
IDLE = 15.0  # seconds an unused connection is kept

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Outside:
    """What the clients of all plugins share."""

    guard: Guard
    resolve: Resolve

    def client(self, config: object) -> Client:
        """For one plugin, with connections of its own."""
        return Client(self.guard, self.resolve, frozenset(places_named(msgspec.to_builtins(config))))


class Client:
    """`appliance.api.Http`."""

    def __init__(self, guard: Guard, resolve: Resolve, named: frozenset[tuple[str, int]]) -> None:
        self._guard = guard
        self._named = named
        self._judged = _pool(Judged(guard, resolve, most=2 * MOST_READ))
        self._trusted = _pool(httpcore.TrioBackend())

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes = b"",
        timeout: float = 30.0,
    ) -> HttpReply:
        """See `appliance.api.Http.request`."""
        if method.upper() not in _METHODS:
            raise Rejected(f"there is no method {method!r}")
        place = _place(url)
        if place not in self._named:
            self._guard.target(url)  # raises
        lines = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            content = encoded(json, "the body").encode()
            lines.setdefault("content-type", "application/json")
        pool = self._trusted if place in self._named else self._judged
        where = f"{place[0]}:{place[1]}"
        try:
            with trio.fail_after(timeout):
                return await _ask(pool, method.upper(), url, lines, content)
        except (trio.TooSlowError, httpcore.TimeoutException) as error:
            raise PeerFailed(f"{where} gave no whole answer within {timeout:g} s") from error
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise PeerFailed(f"{where} cannot be reached: {str(error)[:200]}") from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._judged.aclose()
        await self._trusted.aclose()


async def _ask(
    pool: httpcore.AsyncConnectionPool, method: str, url: str, headers: Mapping[str, str], content: bytes
) -> HttpReply:
    lines = [("accept", "*/*"), ("content-length", str(len(content))), *headers.items()]
    if content == b"" and method in ("GET", "HEAD"):
        lines.pop(1)
    encoded_lines = [("host", urlsplit(url).netloc), *lines]
    try:
        raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in encoded_lines]
    except UnicodeEncodeError as error:
        raise Rejected("a header holds a character that HTTP cannot") from error
    async with pool.stream(method, url, headers=raw, content=content) as response:
        body = bytearray()
        async for part in response.aiter_stream():
            body += part
            if len(body) > MOST_READ:
                raise PeerFailed(f"the answer is larger than {MOST_READ} bytes", status=response.status)
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return HttpReply(response.status, found, bytes(body))


def _pool(backend: httpcore.AsyncNetworkBackend) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        max_connections=CONNECTIONS, keepalive_expiry=IDLE, network_backend=backend, retries=0
    )


def _place(url: str) -> tuple[str, int]:
    """Host and port. Raises Rejected: this is no URL of the web."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Rejected(f"this is no URL: {error}") from error
    if parts.scheme not in PORTS or not host or "@" in parts.netloc:
        raise Rejected("a URL is http://HOST… or https://HOST…, without a user")
    return host.lower(), port or PORTS[parts.scheme]


def places_named(value: Any) -> Iterator[tuple[str, int]]:
    """The places that URLs anywhere in a config name."""
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        try:
            yield _place(value)
        except Rejected:
            return  # not a URL after all; asking it would say so
    elif isinstance(value, dict):
        for inner in value.values():
            yield from places_named(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from places_named(inner)
