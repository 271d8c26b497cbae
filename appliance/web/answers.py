"""What one connection has begun and not yet sent, in the order it was asked.

An answer is there at once, or it *tells* when it is (a ticket of the log does), or it must be awaited. The
first two need no task: whatever is done at the front of the queue is rendered and leaves with one write. Only
the third does, and it then has the whole queue: order holds whoever sends.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from appliance.model.http import Answer, Request, Response, Stream
from appliance.model.tracing import REQUEST, TRACE, TRACEPARENT, served, trace_of, traceparent
from appliance.web.head import Head
from appliance.web.limits import KIB
from appliance.web.router import ID_HEADER, failure, named
from appliance.web.shared import Shared

__all__ = ["FLUSH", "Answers", "begin", "settle"]

FLUSH = 256 * KIB  # bytes of answers gathered before they are written

# An `Answer`, an `Awaitable` of one, or an awaitable with `tells`, `done`, `tell` and `result` (see log.ticket).
_Begun = tuple[Head, Request, Any]


class Answers:
    """A queue of begun answers. False when it is empty."""

    __slots__ = ("_queue", "_shared", "_told", "_untold", "blocked")

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._queue: list[_Begun] = []  # a deque takes 760 bytes when empty, and most are
        self._untold = False  # something was begun since we last asked to be told
        self._told = 0  # calls on their way to us
        self.blocked = False  # something in the queue needs a task

    def __len__(self) -> int:
        return len(self._queue)

    def begin(self, head: Head, request: Request) -> None:
        """Have a request answered; its handler runs as far as it goes without waiting."""
        answer = begin(head.plan.begin, request)
        if not isinstance(answer, Response):
            if getattr(answer, "tells", False):
                self._untold = True
            else:
                self.blocked = True
        self._queue.append((head, request, answer))

    def ready(self, *, closing: bool) -> bytes:
        """What can be sent now, in order: as much as one write should hold. b"": nothing.

        Args:
            closing: the last answer of the queue is the last of the connection, and says so.
        """
        queue, ready, size = self._queue, [], 0
        for place, (head, request, answer) in enumerate(queue, start=1):
            if not isinstance(answer, Response):
                if not getattr(answer, "tells", False) or not answer.done:
                    break
                answer = _result(answer, request)
                if isinstance(answer, Stream):
                    queue[place - 1] = head, request, answer
                    self.blocked = True
                    break
            ready.append(self.render(head, request, answer, close=closing and place == len(queue)))
            size += len(ready[-1])
            if size > FLUSH:
                break
        del queue[: len(ready)]
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def render(self, head: Head, request: Request, answer: Response, *, close: bool) -> bytes:
        close = close or not head.keep_alive
        head_only = head.method == "HEAD"
        renderer = self._shared.renderer
        if ID_HEADER in request.headers:  # whoever brings an id looks for it in the answer
            answer = named(answer, request)
        try:
            data = renderer.response(answer, close=close, head_only=head_only)
        except ValueError as error:  # a field of the handler's
            answer = failure(error, request)
            data = renderer.response(answer, close=close, head_only=head_only)
        self._shared.meter.request("fast", answer.status)
        return data

    # -- without a task ---------------------------------------------------------------------

    def listen(self, then: Callable[[], object]) -> None:
        """See that `then` is called, at the latest when all of the queue is done; it must call `heard`.

        Answers that were begun together are nearly always done together, so the last of them is asked: 16
        appends of one read are answered by one call and one write. If the first is late, it is asked then.
        """
        last = self._queue[-1][2]
        if self._untold and not isinstance(last, Response) and not last.done:
            self._told += 1
            last.tell(then)
        elif not self._told:
            self._told = 1
            self._queue[0][2].tell(then)
        self._untold = False

    def heard(self) -> None:
        """A call we asked for has come."""
        self._told -= 1

    # -- with a task ------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait for the first answer."""
        head, request, answer = self._queue[0]
        self._queue[0] = head, request, await settle(answer, request)

    def stream(self) -> tuple[Head, Request, Stream] | None:
        """Take the first answer, if it is one that is produced while it is sent."""
        return self._queue.pop(0) if isinstance(self._queue[0][2], Stream) else None

    def relax(self) -> None:
        """A task has emptied the queue: nothing is blocked, and no call that was asked for matters any more."""
        self.blocked = self._untold = False
        self._told = 0

    def drop(self) -> None:
        """Nobody will read them. What has begun elsewhere finishes there."""
        for _, _, answer in self._queue:
            if inspect.iscoroutine(answer):
                answer.close()
        self._queue.clear()


def begin(handler: Callable[[Request], Answer | Awaitable[Answer]], request: Request) -> Answer | Awaitable[Answer]:
    """Call a handler; whatever it raises is an answer."""
    outside = REQUEST.set(request.request_id)
    trace = TRACE.set(traceparent(request.headers[TRACEPARENT])) if TRACEPARENT in request.headers else None
    try:
        return handler(request)
    except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
        return failure(error, request)
    finally:
        REQUEST.reset(outside)
        if trace is not None:
            TRACE.reset(trace)


async def settle(answer: Answer | Awaitable[Answer], request: Request) -> Answer:
    """Wait for an answer; whatever is raised on the way is one."""
    if isinstance(answer, (Response, Stream)):
        return answer
    with served(request.request_id, trace_of(request.headers)):
        try:
            return await answer
        except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
            return failure(error, request)


def _result(answer: Any, request: Request) -> Answer:
    try:
        result: Answer = answer.result()
    except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
        return failure(error, request)
    return result
