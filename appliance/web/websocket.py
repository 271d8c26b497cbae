"""One WebSocket, from its upgrade to its end, with true close codes.

Bytes are read in the handler's own task, when it asks for a message: an idle connection is one task that waits
for its socket, and control frames are answered on the way. Ready frames go out beside it through the same line.

However it ends, it ends once: a close frame goes out behind whatever is unsent, nothing follows it, the handler's
`receive` says so, and a short task waits for the peer's answer, within the grace, and drops the line. That task is
then the only reader: two at once would be refused by the loop.
"""

from __future__ import annotations

import structlog
import trio

from appliance.model.closecodes import Close, code_for
from appliance.model.frames import close_frame, pong_frame
from appliance.model.http import Outlet, Request, SocketClosed, SocketRoute
from appliance.web.handshake import accept_head, choose_subprotocol
from appliance.web.head import Head
from appliance.web.incoming import CloseConnection, Foul, Incoming, Ping, Pong
from appliance.web.shared import Line, Shared
from appliance.web.wire import LINGER, READ_SIZE

__all__ = ["LiveSocket", "serve"]

log = structlog.get_logger("web")

TURN = 64  # messages and control frames of one peer before others have their turn
_DIGITS = 16  # of a time in a pong; more is not ours
_NO_CODE = 1005  # says "there was none in the close frame", and never stands in one
_NO_FRAME = 1006  # says "there was no close frame"


class LiveSocket:
    """`model.http.Socket`: one accepted WebSocket.

    Args:
        early: what came behind the head.
    """

    __slots__ = (
        "_answered", "_hearing", "_incoming", "_line", "_over", "_quiet", "_scope", "_shared", "_turn",
        "code", "heard", "latency", "outlet", "reason", "request", "route",
    )  # fmt: skip

    def __init__(self, shared: Shared, line: Line, request: Request, route: SocketRoute, early: bytes) -> None:
        limits = shared.limits
        limit = limits.ws_message if route.message_limit is None else route.message_limit
        self.request = request
        self.outlet: Outlet = line
        self.code: int | None = None  # with which it ended
        self.reason = ""
        self.heard = trio.current_time()
        self.latency: float | None = None
        self._shared = shared
        self._line = line
        self.route = route
        self._incoming = Incoming(limit=limit, fragments=limits.ws_fragments, binary=route.binary)
        self._scope = trio.CancelScope()  # around the handler
        self._hearing: trio.CancelScope | None = None  # around a read
        self._quiet: trio.Event | None = None  # set when the read that was under way at the end has left
        self._over: trio.Event | None = None  # made at the end, set when the line is dropped
        self._answered = False  # nothing more is expected of the peer
        self._turn = 0
        self._incoming.feed(early)
        line.ender = self.end

    # -- for the handler --------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        while self.code is None:
            try:
                said = self._incoming.next()
            except Foul as foul:
                self._answered = True  # whatever else it sends means nothing
                self._part(foul.code, foul.reason)
                break
            if said is None:
                await self._hear()
            elif isinstance(said, (str, bytes)):
                await self._take_turns()
                return said
            else:
                await self._control(said)
        raise SocketClosed(self.code or _NO_FRAME, self.reason)

    async def close(self, code: int, reason: str = "") -> None:
        self._part(code, reason)
        if self._over is not None:
            await self._over.wait()

    async def run(self) -> None:
        """Run the endpoint's handler; its way of ending becomes a close code. Returns when all is over."""
        code = Close.NORMAL
        try:
            with self._scope:
                await self.route.serve(self)
        except* (SocketClosed, trio.BrokenResourceError):
            pass  # over already; closing once more says nothing
        except* Exception as group:  # noqa: BLE001 - the border: a close code, not a crash
            code = self._verdict(group)
        await self.close(code)

    def _verdict(self, group: BaseExceptionGroup[Exception]) -> Close:
        code = code_for(_first(group))
        if code is Close.INTERNAL:
            self._shared.meter.bugs += 1
            facts = {"path": self.route.path, "request_id": self.request.request_id}
            log.error("websocket handler failed", exc_info=group, **facts)
        return code

    # -- for everybody else -----------------------------------------------------------------

    def end(self, code: int, reason: str = "") -> None:
        """`Outlet.end`: say why, and drop. The handler hears of it, and is ended if it does not listen."""
        self._part(code, reason)
        self._scope.deadline = trio.current_time() + self._shared.limits.goodbye

    def goodbye(self, pause: int) -> None:
        """The appliance stops; clients are asked to come back after `pause` ms."""
        self.end(self.route.shutdown_code, f"Server restarting, retry in {pause} ms")

    # -- receiving --------------------------------------------------------------------------

    async def _hear(self) -> None:
        """Wait for bytes; what there is of them, and that there will be none, is known afterwards."""
        data = b""
        try:
            with trio.CancelScope() as scope:
                self._hearing = scope
                data = await self._line.receive_some(READ_SIZE)
        except trio.BrokenResourceError:
            pass  # as if it had ended its side
        finally:
            self._hearing = None
            if self._quiet is not None:
                self._quiet.set()
        if data:
            self.heard = trio.current_time()
            self._turn = 0
            self._incoming.feed(data)
        elif not scope.cancelled_caught:
            self._lost()

    async def _control(self, said: Ping | Pong | CloseConnection) -> None:
        await self._take_turns()
        match said:
            case Ping(payload=payload):
                frame = pong_frame(bytes(payload))
                try:
                    await self._line.write(frame)  # one that takes no pongs is not read either: nothing queues up
                except trio.BrokenResourceError:
                    self._lost()
            case Pong(payload=payload):
                self._measure(bytes(payload))
            case CloseConnection(code=code, reason=reason):
                self._answered = True
                self._part(code, reason or "", b"\x88\x00" if code == _NO_CODE else close_frame(code))

    async def _take_turns(self) -> None:
        """A peer that sends thousands of small frames at once does not keep the others waiting."""
        self._turn += 1
        if self._turn % TURN == 0:
            await trio.lowlevel.checkpoint()

    def _measure(self, payload: bytes) -> None:
        """A pong of ours carries the loop's time in milliseconds; see `frames.timed_ping`."""
        if payload.isdigit() and len(payload) <= _DIGITS:
            waited = self.heard - int(payload) / 1000
            if waited >= 0:
                self.latency = waited

    # -- ending -----------------------------------------------------------------------------

    def _lost(self) -> None:
        """The connection is gone without a close frame."""
        if self.code is None:
            self.code = Close.SLOW if self._line.starved else _NO_FRAME
            self._line.kill()

    def _part(self, code: int, reason: str, frame: bytes = b"") -> None:
        """End with a close frame, if it has not ended yet."""
        if self._line.killed:
            self._lost()
        elif self.code is None:
            self.code, self.reason = code, reason
            self._line.conclude(frame or close_frame(code, reason))
            self._over = trio.Event()
            if self._hearing is not None:
                self._hearing.cancel()
                self._quiet = trio.Event()
            self._shared.start_soon(self._drop, self._over)

    async def _drop(self, over: trio.Event) -> None:
        """Have the last frame sent and answered, within the grace; then the line is closed."""
        patience = trio.current_time() + self._shared.limits.goodbye
        try:
            with trio.move_on_at(patience):
                if self._quiet is not None:
                    await self._quiet.wait()
                await self._line.drained()
                if not self._answered:
                    await self._await_answer()
                await self._line.finish(max(0.0, patience - trio.current_time()))
        except trio.BrokenResourceError:
            pass  # it has left
        except Exception as error:  # noqa: BLE001 - the wall: this task is nobody's child
            self._shared.failed(self.request.peer, error)
        finally:
            self._line.kill()
            over.set()

    async def _await_answer(self) -> None:
        """Read on until the peer has closed its side too; what else it says is dropped."""
        left = LINGER
        try:
            while left > 0 and not isinstance(said := self._incoming.next(), CloseConnection):
                if said is None:
                    data = await self._line.receive_some(READ_SIZE)
                    left = left - len(data) if data else 0
                    self._incoming.feed(data)
                await self._take_turns()
        except Foul:
            pass  # no answer will come


async def serve(shared: Shared, line: Line, head: Head, socket: LiveSocket) -> None:
    """Upgrade and serve until the end.

    Raises:
        trio.BrokenResourceError: the peer left before the upgrade.
    """
    await line.write(accept_head(head, choose_subprotocol(head, socket.route.subprotocols)))
    shared.meter.sockets += 1
    shared.meter.upgraded += 1
    try:
        await socket.run()
    finally:
        shared.meter.sockets -= 1
        shared.meter.closes[socket.code or _NO_FRAME] += 1
        line.ender = None


def _first(error: BaseException) -> Exception:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
