"""One answer that is produced while it is sent, and how it ends.

Server-sent events have no end of their own: such a stream is ended by us with a last piece and a whole body, so
that a client knows it for an end and not for an accident. A body that does have an end, an export, is never
cut so: half of it must not look like all of it.
"""

from __future__ import annotations

import trio

from appliance.model.frames import chunk
from appliance.model.http import Request, Stream
from appliance.web.refusal import Refusal, restarting
from appliance.web.render import LAST_CHUNK
from appliance.web.shared import Line

__all__ = ["LiveStream"]

_ENDLESS = "text/event-stream"


class LiveStream:
    """A streaming answer under way. It is what `Outlet.end` means for its connection."""

    __slots__ = ("_answer", "_line", "code", "request", "run", "scope")

    def __init__(self, line: Line, request: Request, answer: Stream) -> None:
        self.request = request
        self.run = answer.run
        self.scope = trio.CancelScope()  # around whoever produces it
        self.code: int | None = None  # of `model.closecodes`, when we ended it
        self._line = line
        self._answer = answer

    @property
    def endless(self) -> bool:
        return self._answer.content_type.startswith(_ENDLESS)

    def refusal(self, *, http11: bool, draining: bool) -> Refusal | None:
        """Why it must not begin."""
        if not http11:
            return Refusal(505, "version", "streams need HTTP/1.1", hint="ask with HTTP/1.1")
        return restarting() if draining and self.endless else None

    def end(self, code: int, reason: str = "") -> None:
        """`Outlet.end`: a whole body for a peer that has taken everything, else the connection drops.

        The reason is for the log of whoever ends it: the protocol has no place for one.
        """
        if self._line.busy or not self.endless:
            self._line.kill()
        self._finish(code, b"")

    def goodbye(self, code: int, pause: int) -> None:
        """The appliance stops; clients are asked to come back after `pause` ms. What has an end may reach it."""
        if self.endless:
            farewell = self._answer.farewell
            self._finish(code, b"" if farewell is None else chunk(farewell(pause)))

    def _finish(self, code: int, last: bytes) -> None:
        if self.code is None:
            self.code = code
            self._line.conclude(last + LAST_CHUNK)
            self.scope.cancel()
