"""HTTP as handlers see it: plain values in, plain values out. No handler imports a web framework."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from appliance.errors import ApplianceError, Rejected
from appliance.model.principal import Principal

__all__ = [
    "Answer",
    "Exchange",
    "Handler",
    "Lane",
    "Outlet",
    "Request",
    "Response",
    "Route",
    "Socket",
    "SocketClosed",
    "SocketRoute",
    "Stream",
    "json_response",
    "problem",
]

QUERY_FIELDS = 100
MEMORY_HEADERS = ("x-appliance-memory", "x-fortemi-memory")


class Outlet(Protocol):
    """The sending half of one connection. Ready bytes go in; framing is the caller's.

    Order holds over both ways of sending, and no byte ever comes between two parts of one call.
    """

    @property
    def sent(self) -> int:
        """Bytes the kernel has taken, heads and all."""
        ...

    def offer(self, data: bytes) -> bool:
        """Hand over `data` without waiting. False: the peer is behind, nothing was taken.

        True means taken whole: what the socket refuses is kept here and sent before anything else.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        ...

    async def send_all(self, data: bytes) -> None:
        """Send after everything taken before, within the write deadline.

        Raises:
            trio.BrokenResourceError: the connection is gone, or the peer read nothing for too long.
        """
        ...

    async def drained(self) -> None:
        """Wait until nothing taken is left unsent (`offer` will take again)."""
        ...

    def kill(self) -> None:
        """Drop the connection now."""
        ...

    def end(self, code: int, reason: str = "") -> None:
        """Say why, as far as the protocol has words for it and the peer takes them, and drop. Waits for nobody.

        Args:
            code: of `model.closecodes`, also where it goes into metrics only (server-sent events).
        """
        ...


@dataclass(slots=True)
class Request:
    """One request, fully checked by the front."""

    method: str
    path: str  # decoded, without query
    raw_query: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case; repeated ones joined by ", "
    body: bytes = b""
    peer: str = ""  # address of the other side
    secure: bool = False
    request_id: str = ""
    params: dict[str, str] = field(default_factory=dict)  # from the path template
    principal: Principal | None = None
    chunks: Callable[[], AsyncIterator[bytes]] | None = None  # body of a streaming route, read as it arrives
    _query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        """Query parameters; of a repeated one the first.

        Raises:
            Rejected: there are too many.
        """
        if self._query is None:
            try:
                pairs = parse_qsl(self.raw_query, keep_blank_values=True, max_num_fields=QUERY_FIELDS)
            except ValueError as error:
                raise Rejected(f"a query holds {QUERY_FIELDS} parameters at most") from error
            self._query = dict(reversed(pairs))
        return self._query

    @property
    def memory(self) -> str | None:
        """The one memory the caller names, in the query or in a header; None: none.

        Raises:
            Rejected: there are too many parameters.
        """
        found = (self.headers[name] for name in MEMORY_HEADERS if name in self.headers)
        return self.query.get("memory", next(found, None))


@dataclass(slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Exchange(Protocol):
    """What a streaming answer may do with its connection."""

    outlet: Outlet

    async def write(self, data: bytes) -> None:
        """Send a piece of the body (framed as one HTTP chunk)."""
        ...

    def offer(self, data: bytes) -> bool:
        """The same without waiting; False: the peer is behind, nothing was taken."""
        ...

    async def closed(self) -> None:
        """Wait until the peer has left."""
        ...


@dataclass(slots=True)
class Stream:
    """An answer that is produced while it is sent. `run` returning ends the body."""

    run: Callable[[Exchange], Awaitable[None]]
    status: int = 200
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    farewell: Callable[[int], bytes] | None = (
        None  # the last piece when the appliance stops; given ms until a reconnect
    )


Answer = Response | Stream
Handler = Callable[[Request], Answer | Awaitable[Answer]]


class Lane(Enum):
    FAST = "fast"  # httptools on the Trio stream; pipelined requests of one read begin before any is awaited
    REST = "rest"  # Quart-Trio inside Hypercorn


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the one table that feeds both lanes, the permission check, OpenAPI and the CLI."""

    method: str  # "*": any
    path: str  # "/notes/{note_id}"
    handler: Handler
    summary: str
    scope: str | None = None  # what a token must allow; None: open, unless `guarded`
    guarded: bool = False  # the handler asks for a token itself, in its own dialect
    lane: Lane = Lane.REST
    request: type | None = None  # decoded type of the JSON body, for documentation
    answer: type | None = None
    body_limit: int | None = None  # bytes; None: the limit of its dialect in the config
    streaming: bool = False  # the body is read by the handler through `chunks`
    tags: tuple[str, ...] = ()


class Socket(Protocol):
    """One accepted WebSocket, server side.

    Everything sent goes through `outlet` as ready frames. Pings are answered, pongs measured and the
    peer's close seen while `receive` waits: a handler that does not ask for messages hears of nothing.
    """

    request: Request
    outlet: Outlet

    @property
    def heard(self) -> float:
        """When the last byte came from the peer, in the loop's time."""
        ...

    @property
    def latency(self) -> float | None:
        """Seconds from our last answered ping to its pong; None: none was answered yet."""
        ...

    async def receive(self) -> str | bytes:
        """The next message: text as str, binary as bytes.

        Raises:
            SocketClosed: the connection is over, with the code.
        """
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye with a code, wait briefly for the answer, and drop the connection."""
        ...


class SocketClosed(Exception):
    """The WebSocket is over."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"websocket closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """One WebSocket endpoint. A request that `admit` refuses is answered over HTTP, before any upgrade."""

    path: str
    serve: Callable[[Socket], Awaitable[None]]  # lasts as long as the connection; raising is a counted bug (1011)
    summary: str
    scope: str | None = None  # checked on `request.principal` before the upgrade; None: open
    admit: Callable[[Request], None] | None = None  # raises an ApplianceError to refuse
    message_limit: int | None = None  # bytes of one message; None: the config's
    subprotocols: tuple[str, ...] = ()
    shutdown_code: int = 1001  # what the endpoint's dialect says when the appliance stops
    binary: bool = False  # whether binary messages are taken; else they end the connection with 1003


def json_response(value: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    return Response(status, msgspec.json.encode(value), headers=tuple(headers))


def problem(error: ApplianceError, request_id: str = "") -> Response:
    """RFC 9457 problem+json, with `error` beside for clients that look for that member."""
    body = {
        "type": f"about:blank#{error.code}",
        "title": error.code.replace("_", " "),
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "detail": error.message,
        "hint": error.hint,
        "request_id": request_id,
        "error": error.message,
    } | error.facts
    headers: tuple[tuple[str, str], ...] = (("cache-control", "no-store"),)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers += (("retry-after", str(retry_after)),)
    if error.status == 401:
        headers += (("www-authenticate", "Bearer"),)  # RFC 9110, section 15.5.2
    return Response(error.status, msgspec.json.encode(body), "application/problem+json", headers)
