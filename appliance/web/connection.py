"""One connection: what has arrived, what was begun, and whose move is next. Nothing here waits.

Everything a read brings is parsed and begun before anything is awaited; answers leave in order. A request
that cannot be served so (another lane, a body in pieces, an upgrade) stays in `arrived`, and those behind it
too, until a task has answered it: it has the connection to itself. The lane is chosen per request: a browser
mixes pages, calls and event streams on one kept-alive connection, and may end with a WebSocket.

Who serves it: `pump.Pumped` without a task, `attendant.Attendant` where something must be waited for.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import replace

import trio

from appliance.model.closecodes import Close
from appliance.model.http import Lane, Request, problem
from appliance.web.answers import Answers
from appliance.web.cors import readable
from appliance.web.head import Head
from appliance.web.pace import Pace
from appliance.web.parser import Arrived, Parser, Phase
from appliance.web.refusal import Refusal
from appliance.web.render import CONTINUE
from appliance.web.router import Plan
from appliance.web.shared import Line, Shared
from appliance.web.streaming import LiveStream
from appliance.web.websocket import LiveSocket

__all__ = ["Connection"]


class Connection:
    """One peer, from its first byte to its last.

    `due` is when the peer must have done what it owes us; the front's sweep looks at it and calls
    `expire`. There is no timer per connection.
    """

    __slots__ = (
        "_head_due", "_held", "answers", "arrived", "closing", "deaf", "due", "line", "pace", "parser", "peer",
        "phase", "refusal", "secure", "shared", "socket", "stream", "table",
    )  # fmt: skip

    def __init__(self, shared: Shared, line: Line, *, peer: str, secure: bool) -> None:
        self.shared = shared
        self.line = line
        self.peer = peer
        self.secure = secure
        self.greet()
        self.pace = Pace(shared.limits.body_grace, shared.limits.body_rate)
        self.parser = Parser(shared.limits, self._admit)
        self.answers = Answers(shared)
        self.arrived: list[Arrived] = []  # not begun: the first of them needs the connection to itself
        self.refusal: Refusal | None = None  # why nothing more is read; to be said after the answers due
        self.closing = shared.draining  # after what is in flight
        self.deaf = False  # the peer has ended its side
        self.stream: LiveStream | None = None
        self.socket: LiveSocket | None = None
        self._held = 0
        self.table = shared.router.edition  # that its parser's known head was admitted by

    # -- what the front calls ---------------------------------------------------------------

    def greet(self) -> None:
        """The peer is connected: its first head is due at once."""
        self.due = self._head_due = self.shared.now + self.shared.limits.head_time
        self.phase = Phase.HEAD

    def expire(self) -> None:
        """The peer took too long."""
        if self.phase is not Phase.IDLE:
            self.shared.refused("timeout")
            refusal = Refusal(408, "timeout", "the request did not arrive in time")
            late = problem(refusal, self.shared.request_id(None))
            with contextlib.suppress(trio.BrokenResourceError):
                self.line.offer(self.shared.renderer.response(late, close=True))
        self.drop()

    def drain(self) -> None:
        """The appliance stops: end what has no end, let the rest finish."""
        self.closing = True
        if self.stream is not None:
            self.stream.goodbye(Close.GOING_AWAY, self.shared.pause())
        elif self.socket is not None:
            self.socket.goodbye(self.shared.pause())
        elif self.due != math.inf:  # nothing is being answered
            self.drop()

    def drop(self) -> None:
        """End it now."""
        self.line.kill()

    def left(self) -> None:
        """It is over: give back what it held."""
        self.answers.drop()
        self.shared.holds(-self._held)
        self._held = 0

    # -- input ------------------------------------------------------------------------------

    def came(self, data: bytes) -> None:
        """Take what was received; b"": the peer has ended. What can begin has begun afterwards."""
        if not data:
            self.deaf = True
            return
        if self.phase is Phase.BODY:
            self.pace.came(self.shared.now, len(data))
        if self.table != self.shared.router.edition:
            self.table = self.shared.router.edition
            self.parser.forget()
        self._take(self.parser.feed(data))
        if self.parser.held or self._held:
            self._account()

    def go_on(self) -> None:
        """Begin what was held back by a request that had the connection to itself."""
        held_back, self.arrived = self.arrived, []
        self._take(held_back)
        while self.parser.pending and not self.arrived and self.refusal is None:
            again = self.parser.feed(b"")
            self._take(again)
            if not again:
                break

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be read here."""
        return self.closing or self.deaf or self.parser.phase is Phase.OVER

    def _take(self, arrived: Iterable[Arrived]) -> None:
        for item in arrived:
            head = item.head
            if self.arrived or head.plan is None or head.plan.lane is not Lane.FAST or head.streamed:
                self.arrived.append(item)
            else:
                self.answers.begin(head, self.request(item))
        self.refusal = self.refusal or self.parser.refused

    def _account(self) -> None:
        change, self._held = self.parser.held - self._held, self.parser.held
        if not self.shared.holds(change) and change > 0:
            message = "too many request bodies are in flight"
            self.refusal = Refusal(503, "bodies", message, hint="try again in 1 s", retry_after=1)

    # -- whose move is next -----------------------------------------------------------------

    def our_turn(self) -> None:
        """The peer owes us nothing until it has its answers."""
        self.due = math.inf
        self.phase = Phase.IDLE

    def its_turn(self) -> None:
        """Say until when the peer must have done what."""
        phase, shared = self.parser.phase, self.shared
        if phase is Phase.IDLE:
            self.due = shared.now + shared.limits.idle
        elif phase is Phase.HEAD:
            # Absolute: a head that drips in does not renew its time.
            self.due = self._head_due if self.phase is Phase.HEAD else shared.now + shared.limits.head_time
            self._head_due = self.due
        else:
            if self.phase is not Phase.BODY:
                self.pace.begin()
            self.due = self.pace.wait(shared.now)
        self.phase = phase

    def invitation(self) -> bytes:
        """What a peer that holds its body back waits for, or nothing."""
        wanted, self.parser.wants_continue = self.parser.wants_continue, False
        return CONTINUE if wanted else b""

    # -- admitting --------------------------------------------------------------------------

    def _admit(self, head: Head) -> None:
        if head.upgrade:
            head.limit = None  # the handshake judges a body
        else:
            plan = self.shared.router.plan(head.method, head.path)
            origin = head.headers.get("origin")
            if origin is not None and self.shared.origins.lists(origin):
                plan = replace(plan, begin=readable(origin, plan.begin))
            head.plan, head.limit, head.streamed = plan, plan.limit, plan.streaming

    def request(self, item: Arrived) -> Request:
        head = item.head
        plan: Plan | None = head.plan
        return Request(
            head.method,
            head.path,
            head.query,
            head.headers.copy(),
            item.body,
            self.peer,
            self.secure,
            self.shared.request_id(head.headers.get("x-request-id")),
            plan.params.copy() if plan is not None else {},
        )
