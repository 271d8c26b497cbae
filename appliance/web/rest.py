"""The rest lane: Quart-Trio inside Hypercorn, one request at a time.

Each guarded request gets a `TCPServer` of its own on a stream that holds exactly that request: what
the front has not checked cannot reach Hypercorn, keep-alive, order and deadlines stay the front's.
Quart sees the request and makes the reply; the handler is the same plain function of a `Request`
that the fast lane would call, and the reply comes back as bytes. A streaming answer is handed back
instead, since ASGI costs a hundred times what a chunk of ours does.

Importing Quart takes a quarter of a second: `warm` does it in a thread after the start.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import trio

from appliance.model.http import Answer, Request, Response, Stream
from appliance.model.tracing import served, trace_of
from appliance.web.head import Head
from appliance.web.render import phrase
from appliance.web.router import failure, named
from appliance.world import World

__all__ = ["QuartLane", "keep_open"]

_HOP = frozenset({"connection", "upgrade", "http2-settings", "keep-alive", "expect", "transfer-encoding"})
_CLOSE = b"connection: close\r\n"

Begin = Callable[[Request], "Answer | Awaitable[Answer]"]


@dataclass(slots=True)
class _Job:
    """One request on its way through Quart."""

    request: Request
    begin: Begin
    stream: Stream | None = None  # set when the answer is one

    async def run(self) -> Response:
        with served(self.request.request_id, trace_of(self.request.headers)):
            try:
                begun = self.begin(self.request)
                answer = begun if isinstance(begun, (Response, Stream)) else await begun
            except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
                answer = failure(error, self.request)
        if isinstance(answer, Stream):
            self.stream = answer
            return Response(204)
        return named(answer, self.request)


class QuartLane:
    """Answers requests with Quart."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = trio.Lock()
        self._serve: Callable[[_Job, _OneRequest], Awaitable[None]] | None = None

    async def warm(self) -> None:
        """Be ready for the first request."""
        async with self._lock:
            if self._serve is None:
                self._serve = await self._world.in_thread(_build)

    async def answer(self, head: Head, request: Request, begin: Begin) -> bytes | Stream:
        if self._serve is None:
            await self.warm()
            assert self._serve is not None
        job = _Job(request, begin)
        stream = _OneRequest(_rewrite(head, request))
        await self._serve(job, stream)
        return job.stream if job.stream is not None else _with_phrase(stream.reply)


def keep_open(reply: bytes) -> bytes:
    """A reply without its `Connection: close`."""
    head, end, body = reply.partition(b"\r\n\r\n")
    at = head.lower().find(b"\r\n" + _CLOSE[:-2])
    return head[:at] + head[at + len(_CLOSE) :] + end + body if at >= 0 else reply


def _with_phrase(reply: bytearray) -> bytes:
    """A reply with the words of its status, which Hypercorn leaves out and simple clients look for."""
    status = int(reply[9:12])
    return b"HTTP/1.1 %d %b%b" % (status, phrase(status).encode(), bytes(reply[reply.index(b"\r\n") :]))


def _rewrite(head: Head, request: Request) -> bytes:
    """The request as one message that asks for no keep-alive and has its body at hand."""
    fields = {name: value for name, value in request.headers.items() if name not in _HOP}
    fields |= {"host": fields.get("host", ""), "connection": "close", "content-length": str(len(request.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head.method} {head.target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + request.body


class _Nowhere:
    """What Hypercorn asks a socket: addresses. The real peer is in the `Request`."""

    family = socket.AF_INET

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 0

    getsockname = getpeername


class _OneRequest(trio.abc.HalfCloseableStream):
    """Gives one request, takes one reply; `send_eof` or `aclose` mean answered."""

    socket = _Nowhere()

    def __init__(self, request: bytes) -> None:
        self.reply = bytearray()
        self._request = request
        self._answered = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._request:
            data, self._request = self._request, b""
            await trio.lowlevel.checkpoint()
            return data
        await self._answered.wait()
        return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.reply += data
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        # Hypercorn calls this from the task that Quart cancels once it has answered: a checkpoint here
        # would be its last, and `aclose` never come.
        self._answered.set()

    async def aclose(self) -> None:
        self._answered.set()
        await trio.lowlevel.checkpoint()


def _build() -> Callable[[_Job, _OneRequest], Awaitable[None]]:
    """Import and join Quart and Hypercorn. Slow: call it in a thread."""
    from hypercorn.config import Config
    from hypercorn.trio.tcp_server import TCPServer
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import ConnectionState
    from hypercorn.utils import wrap_app
    from quart import Response as QuartResponse
    from quart import request as current
    from quart_trio import QuartTrio

    app = QuartTrio("appliance", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = None  # the front has measured it
    app.config["RESPONSE_TIMEOUT"] = None

    # Before any routing of Quart's: the front's table has chosen the handler.
    @app.before_request
    async def answer() -> Any:
        job: _Job = current.scope["state"]["job"]
        given = await job.run()
        reply = QuartResponse(given.body, given.status, content_type=given.content_type or None)
        reply.headers.extend([("server", "appliance"), ("x-content-type-options", "nosniff"), *given.headers])
        return reply

    config = Config()
    config.errorlog = config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = 1024 * 1024
    wrapped = wrap_app(app, 0, "asgi")

    async def serve(job: _Job, stream: _OneRequest) -> None:
        await TCPServer(wrapped, config, WorkerContext(None), ConnectionState({"job": job}), cast(Any, stream))

    return serve
