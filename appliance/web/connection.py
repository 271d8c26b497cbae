"""One connection: one task that reads, has requests answered in order, and writes.

Everything a read brings is parsed before anything is awaited. The fast-lane requests among it are
begun together and answered with one write; a request of another lane waits for those before it and
has the connection to itself until it is answered. The lane is chosen per request: a browser mixes
pages, calls and event streams on one kept-alive connection, and may end with a WebSocket.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import AsyncIterator, Awaitable

import structlog
import trio

from appliance.model.http import Answer, Lane, Request, Response, Stream, problem
from appliance.web import websocket
from appliance.web.exchange import ChunkedExchange
from appliance.web.head import Head
from appliance.web.limits import KIB
from appliance.web.pace import Pace
from appliance.web.parser import Arrived, Parser, Phase
from appliance.web.refusal import Refusal
from appliance.web.render import CONTINUE, LAST_CHUNK
from appliance.web.rest import keep_open
from appliance.web.router import Plan, failure
from appliance.web.shared import Line, Shared
from appliance.web.wire import READ_SIZE

__all__ = ["Connection"]

log = structlog.get_logger("web")

FLUSH = 256 * KIB  # bytes of answers gathered before they are written

_Begun = list[tuple[Head, Request, Answer | Awaitable[Answer]]]


class Connection:
    """Serves one peer from its first byte to its last.

    `due` is when the peer must have done what it owes us; the front's sweep looks at it and calls
    `expire`. There is no timer per connection.
    """

    __slots__ = (
        "_closing", "_head_due", "_held", "_line", "_pace", "_parser", "_phase", "_socket", "_stream",
        "due", "peer", "secure", "shared",
    )  # fmt: skip

    def __init__(self, shared: Shared, line: Line, *, peer: str, secure: bool) -> None:
        self.shared = shared
        self.peer = peer
        self.secure = secure
        self.due = self._head_due = shared.now + shared.limits.head_time
        self._line = line
        self._parser = Parser(shared.limits, self._admit)
        self._phase = Phase.HEAD  # the first head is due at once
        self._pace = Pace(shared.limits.body_grace, shared.limits.body_rate)
        self._held = 0
        self._closing = False
        self._stream: trio.CancelScope | None = None
        self._socket: websocket.LiveSocket | None = None

    # -- what the front calls ---------------------------------------------------------------

    async def run(self) -> None:
        """Lasts until the connection is over.

        Raises:
            trio.BrokenResourceError: the peer left.
        """
        parser = self._parser
        try:
            while not self._closing:
                data = await self._line.receive_some(READ_SIZE)
                if not data:
                    return
                if self._phase is Phase.BODY:
                    self._pace.came(self.shared.now, len(data))
                await self._take(parser.feed(data))
                while parser.pending and not self._closing:  # held back by what had the connection to itself
                    again = parser.feed(b"")
                    if not again:
                        break
                    await self._take(again)
                if parser.refused is not None:
                    await self._refuse(parser.refused)
                if parser.phase is Phase.OVER:
                    return
                if parser.held or self._held:
                    await self._account()
                if parser.wants_continue:
                    await self._continue()
                self._expect()
        finally:
            self.shared.holds(-self._held)

    def expire(self) -> None:
        """The peer took too long."""
        if self._phase is not Phase.IDLE:
            self.shared.refused("timeout")
            refusal = Refusal(408, "timeout", "the request did not arrive in time")
            late = problem(refusal, self.shared.request_id(None))
            with contextlib.suppress(trio.BrokenResourceError):
                self._line.offer(self.shared.renderer.response(late, close=True))
        self._line.kill()

    def drain(self) -> None:
        """The appliance stops: end what has no end, let the rest finish."""
        self._closing = True
        if self._stream is not None:
            self._stream.cancel()
        elif self._socket is not None:
            self.shared.start_soon(self._socket.goodbye)
        elif self.due != math.inf:  # nothing is being answered
            self._line.kill()

    # -- what the peer owes -----------------------------------------------------------------

    def _expect(self) -> None:
        """It is the peer's turn: say until when."""
        phase, shared = self._parser.phase, self.shared
        if phase is Phase.IDLE:
            self.due = shared.now + shared.limits.idle
        elif phase is Phase.HEAD:
            # Absolute: a head that drips in does not renew its time.
            self.due = self._head_due if self._phase is Phase.HEAD else shared.now + shared.limits.head_time
            self._head_due = self.due
        else:
            if self._phase is not Phase.BODY:
                self._pace.begin()
            self.due = self._pace.wait(shared.now)
        self._phase = phase

    async def _account(self) -> None:
        change, self._held = self._parser.held - self._held, self._parser.held
        if not self.shared.holds(change) and change > 0:
            message = "too many request bodies are in flight"
            await self._refuse(Refusal(503, "bodies", message, hint="try again in 1 s", retry_after=1))

    async def _continue(self) -> None:
        self._parser.wants_continue = False
        await self._line.write(CONTINUE)

    async def _refuse(self, refusal: Refusal) -> None:
        """Say why nothing more is read here, and end."""
        self.due = math.inf
        self._closing = True
        self.shared.refused(refusal.reason)
        answer = problem(refusal, self.shared.request_id(None))
        await self._line.write(self.shared.renderer.response(answer, close=True))
        await self._line.finish(self.shared.limits.goodbye)

    # -- admitting --------------------------------------------------------------------------

    def _admit(self, head: Head) -> None:
        if head.upgrade:
            head.limit = None  # the handshake judges a body
        else:
            plan = self.shared.router.plan(head.method, head.path)
            head.plan, head.limit, head.streamed = plan, plan.limit, plan.streaming

    def _request(self, head: Head, body: bytes) -> Request:
        plan: Plan | None = head.plan
        return Request(
            head.method,
            head.path,
            head.query,
            head.headers.copy(),
            body,
            self.peer,
            self.secure,
            self.shared.request_id(head.headers.get("x-request-id")),
            plan.params.copy() if plan is not None else {},
        )

    # -- answering --------------------------------------------------------------------------

    async def _take(self, arrived: list[Arrived]) -> None:
        """Answer requests in order."""
        self.due = math.inf  # it is our turn
        begun: _Begun = []
        try:
            for item in arrived:
                head = item.head
                request = self._request(head, item.body)
                if head.plan is not None and head.plan.lane is Lane.FAST and not head.streamed:
                    begun.append((head, request, _begin(head.plan, request)))
                else:
                    await self._send(begun)
                    if not self._closing:
                        await self._alone(head, request)
            await self._send(begun)
        finally:
            for _, _, answer in begun:  # the peer left before its turn
                if inspect.iscoroutine(answer):
                    answer.close()

    async def _send(self, begun: _Begun) -> None:
        """Settle and write what was begun, in order, with as few writes as possible."""
        ready: list[bytes] = []
        size = 0
        while begun:
            head, request, answer = begun[0]
            if not isinstance(answer, (Response, Stream)):
                answer = await _settle(answer, request)
            del begun[0]
            if isinstance(answer, Stream):
                await self._write(ready)
                await self._run_stream(head, request, answer)
                continue
            ready.append(self._render(head, request, answer, last=not begun))
            size += len(ready[-1])
            if size > FLUSH:
                await self._write(ready)
                size = 0
        await self._write(ready)

    async def _write(self, ready: list[bytes]) -> None:
        if ready:
            data = ready[0] if len(ready) == 1 else b"".join(ready)
            ready.clear()
            await self._line.write(data)

    def _render(self, head: Head, request: Request, answer: Response, *, last: bool) -> bytes:
        shared = self.shared
        close = not head.keep_alive or (last and self._closing)
        head_only = head.method == "HEAD"
        try:
            data = shared.renderer.response(answer, close=close, head_only=head_only)
        except ValueError as error:  # a field of the handler's
            answer = failure(error, request)
            data = shared.renderer.response(answer, close=close, head_only=head_only)
        shared.meter.request("fast", answer.status)
        return data

    # -- requests that have the connection to themselves ------------------------------------

    async def _alone(self, head: Head, request: Request) -> None:
        if head.upgrade:
            await self._upgrade(head, request)
            return
        if head.streamed:
            self._pace.begin()
            request.chunks = self._chunks
        answer = await self._ask(head, request)
        if isinstance(answer, Stream):
            await self._run_stream(head, request, answer)
        unread = head.streamed and self._parser.phase is Phase.BODY
        self._closing = self._closing or unread  # the rest of a body cannot be told from a next request
        if isinstance(answer, Response):
            await self._line.write(self._render(head, request, answer, last=True))
        elif isinstance(answer, bytes):
            self.shared.meter.request("rest", int(answer[9:12]))
            await self._line.write(answer if self._closing or not head.keep_alive else keep_open(answer))
        if unread:
            await self._line.finish(self.shared.limits.goodbye)

    async def _ask(self, head: Head, request: Request) -> Response | Stream | bytes:
        if head.plan.lane is Lane.FAST:
            return await _settle(_begin(head.plan, request), request)
        try:
            return await self.shared.rest.answer(head, request, head.plan.begin)
        except Exception as error:  # noqa: BLE001 - the border: the framework failed, the connection goes on
            return failure(error, request)

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The body of a streamed request, as it arrives."""
        data = b""
        while True:
            piece = self._parser.pull(data)
            if piece:
                yield piece
            if self._parser.phase is not Phase.BODY:
                return
            if self._parser.wants_continue:
                await self._continue()
            self._phase = Phase.BODY
            self.due = self._pace.wait(self.shared.now)
            data = await self._line.receive_some(READ_SIZE)
            self._pace.came(self.shared.now, len(data))
            self.due = math.inf
            if not data:
                self._line.kill()
                raise trio.BrokenResourceError("the peer left in the middle of its body")

    async def _run_stream(self, head: Head, request: Request, answer: Stream) -> None:
        shared, line = self.shared, self._line
        shared.meter.request(head.plan.lane.value, answer.status)
        if not head.http11:
            error = Refusal(505, "version", "streams need HTTP/1.1", hint="ask with HTTP/1.1")
            await line.write(shared.renderer.response(problem(error, request.request_id), close=True))
            return
        await line.write(shared.renderer.stream(answer, close=not head.keep_alive))
        if head.method == "HEAD":
            return
        shared.meter.streams += 1
        try:
            with trio.CancelScope() as self._stream:
                await answer.run(ChunkedExchange(line, self._gone))
        except* trio.BrokenResourceError as gone:
            raise trio.BrokenResourceError("the peer left its stream") from gone
        except* Exception as group:
            shared.meter.bugs += 1
            log.error("stream failed", path=head.path, request=request.request_id, exc_info=group)
            line.kill()  # the only way to say "incomplete" once a body has begun
            raise trio.BrokenResourceError("the stream failed") from group
        finally:
            self._stream = None
            shared.meter.streams -= 1
        await line.write(LAST_CHUNK)

    async def _gone(self) -> None:
        """Wait until the peer has left; what it pipelines meanwhile is kept for later, within bounds."""
        with contextlib.suppress(trio.BrokenResourceError):
            while data := await self._line.receive_some(READ_SIZE):
                if self._parser.hold(data) > READ_SIZE:
                    self._line.kill()

    async def _upgrade(self, head: Head, request: Request) -> None:
        self._closing = True
        route = websocket.admit(self.shared, head, request)
        if isinstance(route, Response):
            self.shared.meter.request("websocket", route.status)
            await self._line.write(self.shared.renderer.response(route, close=True))
            await self._line.finish(self.shared.limits.goodbye)
        else:
            self.shared.meter.request("websocket", 101)
            await websocket.serve(self.shared, self._line, head, request, route, self._parser.leftover(), self._opened)

    def _opened(self, socket: websocket.LiveSocket) -> None:
        self._socket = socket


def _begin(plan: Plan, request: Request) -> Answer | Awaitable[Answer]:
    try:
        return plan.begin(request)
    except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
        return failure(error, request)


async def _settle(answer: Answer | Awaitable[Answer], request: Request) -> Answer:
    if isinstance(answer, (Response, Stream)):
        return answer
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
        return failure(error, request)
