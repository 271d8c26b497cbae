"""A task for a connection that has something to wait for, and only while it has.

What waits: an answer that is a coroutine, a request of the rest lane, a body or an answer in pieces, a
WebSocket, a peer that reads slowly or asks before it sends, the last words to one that is refused. Afterwards
the pump has the connection again. TLS, whose bytes must be decrypted in a task, keeps its attendant to the end.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import structlog
import trio

from appliance.model.closecodes import Close
from appliance.model.http import Lane, Request, Response, Stream, problem
from appliance.model.tracing import enter
from appliance.web.answers import FLUSH, begin, settle
from appliance.web.connection import Connection
from appliance.web.exchange import ChunkedExchange
from appliance.web.handshake import admit
from appliance.web.head import Head
from appliance.web.parser import Arrived, Phase
from appliance.web.refusal import Refusal
from appliance.web.render import LAST_CHUNK
from appliance.web.rest import keep_open
from appliance.web.router import failure
from appliance.web.streaming import LiveStream
from appliance.web.websocket import LiveSocket, serve
from appliance.web.wire import READ_SIZE

__all__ = ["Attendant"]

log = structlog.get_logger("web")


class Attendant:
    """Serves one connection, and may wait."""

    __slots__ = ("_connection", "_line", "_parser", "_shared", "_size", "_unsent")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._line = connection.line
        self._parser = connection.parser
        self._shared = connection.shared
        self._unsent: list[bytes] = []  # answers gathered for one write,
        self._size = 0  # and their bytes

    async def stay(self) -> None:
        """Lasts until the connection is over.

        Raises:
            trio.BrokenResourceError: the peer left.
        """
        connection = self._connection
        connection.greet()
        while not connection.finished:
            connection.came(await self._line.receive_some(READ_SIZE))
            await self.serve()
            connection.its_turn()

    async def serve(self) -> None:
        """Answer everything that has arrived, in order.

        Raises:
            trio.BrokenResourceError: the peer left.
        """
        connection, answers = self._connection, self._connection.answers
        if answers or connection.arrived or connection.refusal is not None:
            connection.our_turn()
        while answers or connection.arrived:
            if ready := answers.ready(closing=connection.closing):
                await self._gather(ready)
            elif not answers:
                await self._next()
            elif found := answers.stream():
                if stream := await self._begin_stream(*found):
                    await self._produce(stream)
                connection.go_on()
            else:
                await answers.settle()
        await self._send()
        answers.relax()
        if self._line.busy:
            await self._line.drained()
        if connection.refusal is not None:
            await self._refuse(connection.refusal)
        elif invitation := connection.invitation():
            await self._line.write(invitation)

    async def _gather(self, ready: bytes) -> None:
        """Keep an answer until those behind it are settled too: what is asked with one write is answered so."""
        self._unsent.append(ready)
        self._size += len(ready)
        if self._size > FLUSH:
            await self._send()

    async def _send(self) -> None:
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            self._size = 0
            await self._line.write(data)

    async def _refuse(self, refusal: Refusal) -> None:
        """Say why nothing more is read here, and end."""
        self._connection.closing = True
        self._shared.refused(refusal.reason)
        answer = problem(refusal, self._shared.request_id(None))
        await self._line.write(self._shared.renderer.response(answer, close=True))
        await self._line.finish(self._shared.limits.goodbye)

    # -- requests that have the connection to themselves ------------------------------------

    async def _next(self) -> None:
        connection = self._connection
        await self._send()
        if not connection.closing:
            await self._alone(connection.arrived.pop(0))
        if connection.closing:
            connection.arrived.clear()
        else:
            connection.go_on()

    async def _alone(self, item: Arrived) -> None:
        connection, head, request = self._connection, item.head, self._connection.request(item)
        if head.upgrade:
            enter(request.request_id, request.headers)
            await self._upgrade(head, request)
            return
        if head.streamed:
            connection.pace.begin()
            request.chunks = self._chunks
        answer = await self._ask(head, request)
        if isinstance(answer, Stream) and (stream := await self._begin_stream(head, request, answer)):
            await self._produce(stream)
        unread = head.streamed and self._parser.phase is Phase.BODY
        connection.closing = connection.closing or unread  # the rest of a body cannot be told from a next request
        if isinstance(answer, Response):
            await self._line.write(connection.answers.render(head, request, answer, close=connection.closing))
        elif isinstance(answer, bytes):
            self._shared.meter.request("rest", int(answer[9:12]))
            await self._line.write(answer if connection.closing or not head.keep_alive else keep_open(answer))
        if unread:
            await self._line.finish(self._shared.limits.goodbye)

    async def _ask(self, head: Head, request: Request) -> Response | Stream | bytes:
        if head.plan.lane is Lane.FAST:
            return await settle(begin(head.plan.begin, request), request)
        try:
            return await self._shared.rest.answer(head, request, head.plan.begin)
        except Exception as error:  # noqa: BLE001 - the border: the framework failed, the connection goes on
            return failure(error, request)

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The body of a streamed request, as it arrives."""
        connection, parser = self._connection, self._parser
        data = b""
        while True:
            piece = parser.pull(data)
            if piece:
                yield piece
            if parser.phase is not Phase.BODY:
                return
            if invitation := connection.invitation():
                await self._line.write(invitation)
            connection.phase = Phase.BODY
            connection.due = connection.pace.wait(self._shared.now)
            data = await self._line.receive_some(READ_SIZE)
            connection.pace.came(self._shared.now, len(data))
            connection.due = math.inf
            if not data:
                self._line.kill()
                raise trio.BrokenResourceError("the peer left in the middle of its body")

    async def _begin_stream(self, head: Head, request: Request, answer: Stream) -> LiveStream | None:
        """Send the head of a streaming answer. None: there is no body."""
        shared, stream = self._shared, LiveStream(self._line, request, answer)
        shared.meter.request(head.plan.lane.value, answer.status)
        await self._send()
        refusal = stream.refusal(http11=head.http11, draining=shared.draining)
        if refusal is not None:
            await self._refuse(refusal)
            return None
        await self._line.write(shared.renderer.stream(answer, close=not head.keep_alive))
        return stream if head.method != "HEAD" else None

    async def _produce(self, stream: LiveStream) -> None:
        connection, shared, line = self._connection, self._shared, self._line
        connection.stream, line.ender = stream, stream.end
        shared.meter.streams += 1
        try:
            enter(stream.request.request_id, stream.request.headers)
            with stream.scope:
                await stream.run(ChunkedExchange(line, self._gone))
            if stream.code is None:
                await line.write(LAST_CHUNK)
        except* trio.BrokenResourceError as gone:
            raise trio.BrokenResourceError("the peer left its stream") from gone
        except* Exception as group:
            shared.meter.bugs += 1
            log.error("stream failed", request_id=stream.request.request_id, exc_info=group)
            line.kill()  # the only way to say "incomplete" once a body has begun
            raise trio.BrokenResourceError("the stream failed") from group
        finally:
            connection.stream = line.ender = None
            shared.meter.streams -= 1
            if line.starved or stream.code is not None:
                shared.meter.ended[stream.code or Close.SLOW] += 1
        if stream.code is not None:
            connection.closing = True
            await line.finish(shared.limits.goodbye)

    async def _gone(self) -> None:
        """Wait until the peer has left; what it pipelines meanwhile is kept for later, within bounds."""
        try:
            while data := await self._line.receive_some(READ_SIZE):
                if self._parser.hold(data) > READ_SIZE:
                    self._line.kill()
        except trio.BrokenResourceError:
            pass  # that is what was waited for

    async def _upgrade(self, head: Head, request: Request) -> None:
        connection, shared = self._connection, self._shared
        connection.closing = True
        route = admit(shared, head, request)
        if isinstance(route, Response):
            shared.meter.request("websocket", route.status)
            await self._line.write(shared.renderer.response(route, close=True))
            await self._line.finish(shared.limits.goodbye)
        else:
            shared.meter.request("websocket", 101)
            connection.socket = LiveSocket(shared, self._line, request, route, self._parser.leftover())
            await serve(shared, self._line, head, connection.socket)
