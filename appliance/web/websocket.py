"""The WebSocket lane: admitted over HTTP, then trio-websocket on our line, with true close codes.

The library does the handshake, receiving, control frames and the closing handshake; ready frames of
ours go out beside it through the same line, whose lock keeps frames whole. It drops TCP without a
word on a protocol error, so `Upgraded.aclose` says 1002 or 1007 first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from appliance.errors import ApplianceError, Forbidden, NotFound
from appliance.model.closecodes import Close, code_for
from appliance.model.frames import close_frame
from appliance.model.http import Outlet, Request, Response, SocketClosed, SocketRoute
from appliance.web.handshake import canonical_head, check_upgrade, choose_subprotocol
from appliance.web.head import Head
from appliance.web.router import failure
from appliance.web.shared import Line, Shared

__all__ = ["LiveSocket", "Upgraded", "admit", "serve"]

log = structlog.get_logger("web")

_SILENT = (1005, 1006)  # codes that say "there was no close frame", and never stand in one


class Upgraded(trio.abc.Stream):
    """A line after its upgrade: replays a head to the library, and never ends without a close frame.

    Also the `Outlet` for ready frames: once a close frame is out, nothing follows it.
    """

    def __init__(self, line: Line, head: bytes, early: bytes, *, grace: float) -> None:
        self._line = line
        self._head = head
        self._early = early
        self._accepted = trio.Event()
        self._grace = grace
        self.heard = trio.current_time()
        self.latency: float | None = None
        self._said_goodbye = False
        self._ended: trio.Event | None = None
        self._connection: WebSocketConnection | None = None

    def accepted(self, connection: WebSocketConnection) -> None:
        """The handshake is done."""
        self._connection = connection
        self._accepted.set()

    # -- for the library --------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._head:
            data, self._head = self._head, b""
            await trio.lowlevel.checkpoint()
            return data
        # Frames that arrive before the library has accepted would lie in its buffer until more came.
        await self._accepted.wait()
        if self._early:
            data, self._early = self._early, b""
            return data
        if self._ended is not None:  # the rest is read, and dropped, by the line's own end
            raise trio.ClosedResourceError
        data = await self._line.receive_some(max_bytes)
        self.heard = trio.current_time()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check_open()
        frame = bytes(data)
        if frame[:1] == b"\x88":
            self._said_goodbye = True
        await self._line.send_all(frame)

    async def wait_send_all_might_not_block(self) -> None:
        await self._line.drained()

    async def aclose(self) -> None:
        """End politely. The library's reader and the handler's task may both come here: one ends, both wait."""
        if self._ended is not None:
            await self._ended.wait()
            return
        self._ended = trio.Event()
        try:
            await self._say_goodbye()
            await self._line.finish(self._grace)
        finally:
            self._ended.set()

    async def _say_goodbye(self) -> None:
        reason = self._connection.closed if self._connection is not None else None
        if reason is not None and reason.code not in _SILENT and not self._said_goodbye:
            self._said_goodbye = True
            with trio.move_on_after(self._grace, shield=True):
                with contextlib.suppress(trio.BrokenResourceError):
                    await self._line.send_all(close_frame(reason.code))

    # -- for ready frames -------------------------------------------------------------------

    @property
    def sent(self) -> int:
        return self._line.sent

    def offer(self, data: bytes) -> bool:
        self._check_open()
        return self._line.offer(data)

    async def drained(self) -> None:
        await self._line.drained()

    def kill(self) -> None:
        self._line.kill()

    def end(self, code: int, reason: str = "") -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            self._line.offer(close_frame(code, reason))
        self._line.kill()

    def _check_open(self) -> None:
        if self._said_goodbye:
            raise trio.BrokenResourceError("the WebSocket is closed")


class LiveSocket:
    """`model.http.Socket`: one accepted WebSocket."""

    def __init__(
        self, request: Request, stream: Upgraded, connection: WebSocketConnection, *, route: SocketRoute, limit: int,
        grace: float,
    ) -> None:  # fmt: skip
        self.request = request
        self.outlet: Outlet = stream
        self.scope = trio.CancelScope()  # around the handler
        self.code: int | None = None  # with which it ended
        self._stream = stream
        self._connection = connection
        self._route = route
        self._limit = limit
        self._grace = grace

    @property
    def heard(self) -> float:
        return self._stream.heard

    @property
    def latency(self) -> float | None:
        return self._stream.latency

    async def receive(self) -> str | bytes:
        try:
            message = await self._connection.get_message()
        except ConnectionClosed as closed:
            code, reason = (closed.reason.code, closed.reason.reason) if closed.reason else (1006, "")
            self.code = self.code or code
            raise SocketClosed(self.code, reason or "") from None
        if isinstance(message, str) and not message.isascii() and len(message.encode()) > self._limit:
            # The library counts characters, the limit is bytes.
            await self.close(Close.TOO_BIG, f"a message is longer than {self._limit} bytes")
            raise SocketClosed(Close.TOO_BIG)
        return message

    async def close(self, code: int, reason: str = "") -> None:
        self.code = self.code or code
        with trio.move_on_after(self._grace, shield=True):
            await self._connection.aclose(code, reason.encode()[:123].decode(errors="ignore") or None)
        await self._stream.aclose()

    async def goodbye(self) -> None:
        """The appliance stops."""
        await self.close(self._route.shutdown_code, "shutting down")
        self.scope.cancel()


def admit(shared: Shared, head: Head, request: Request) -> SocketRoute | Response:
    """The endpoint that may have this upgrade, or the HTTP answer that refuses it."""
    try:
        check_upgrade(head)
        found = shared.router.socket(head.path)
        if found is None:
            raise NotFound("no WebSocket is served here", hint="GET /openapi.json lists what is here")
        route, request.params = found
        if not shared.origins(request):
            raise Forbidden(
                "this Origin may not open a WebSocket", hint="open it from a page of this appliance, or without Origin"
            )
        shared.router.allow(request, route.scope)
        if route.admit is not None:
            route.admit(request)
    except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
        if isinstance(error, ApplianceError):
            shared.refused("upgrade")
        answer = failure(error, request)
        if answer.status == 426:
            answer.headers += (("sec-websocket-version", "13"),)
        return answer
    return route


async def serve(
    shared: Shared,
    line: Line,
    head: Head,
    request: Request,
    route: SocketRoute,
    early: bytes,
    opened: Callable[[LiveSocket], None],
) -> None:
    """Upgrade and serve until the end. `early` are bytes that came behind the head."""
    limits = shared.limits
    limit = limits.ws_message if route.message_limit is None else route.message_limit
    subprotocol = choose_subprotocol(head, route.subprotocols)
    stream = Upgraded(line, canonical_head(head, subprotocol), early, grace=limits.goodbye)
    async with trio.open_nursery() as reader:  # the library's reader lives here, during the goodbye too
        try:
            try:
                with trio.fail_after(limits.head_time):
                    proposal = await wrap_server_stream(reader, stream, limits.ws_queue, limit)
                    connection = await proposal.accept(subprotocol=subprotocol)
            except ConnectionClosed as closed:
                raise trio.BrokenResourceError("the peer left during the upgrade") from closed
            stream.accepted(connection)
            socket = LiveSocket(request, stream, connection, route=route, limit=limit, grace=limits.goodbye)
            opened(socket)
            shared.meter.sockets += 1
            try:
                await _handle(shared, route, socket)
            finally:
                shared.meter.sockets -= 1
                shared.meter.closes[socket.code or 1006] += 1
        finally:
            await stream.aclose()
            reader.cancel_scope.cancel()


async def _handle(shared: Shared, route: SocketRoute, socket: LiveSocket) -> None:
    """Run the endpoint's handler; its way of ending becomes a close code."""
    code = Close.NORMAL
    try:
        with socket.scope:
            await route.serve(socket)
    except* (SocketClosed, trio.BrokenResourceError):
        pass  # over already; closing once more says nothing
    except* Exception as group:
        error = _first(group)
        code = code_for(error)
        if code is Close.INTERNAL:
            shared.meter.bugs += 1
            log.error("websocket handler failed", path=route.path, request=socket.request.request_id, exc_info=group)
    await socket.close(code)


def _first(error: BaseException) -> Exception:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
