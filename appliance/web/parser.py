"""Bytes in, checked requests out: the guard in front of every lane.

Pure: no socket, no clock. A kept-alive client repeats its head byte for byte, so the last one is
kept as it was read: a repeated head costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from appliance.web.chunked import ChunkedBody
from appliance.web.head import Head, check_beginning, parse_head
from appliance.web.limits import Limits
from appliance.web.refusal import Refusal

__all__ = ["Arrived", "Parser", "Phase"]


@dataclass(slots=True)
class Arrived:
    """A request: whole, unless its head is `streamed` or an upgrade."""

    head: Head
    body: bytes = b""


class Phase(Enum):
    """What the peer owes us, and so which deadline runs."""

    IDLE, HEAD, BODY, OVER = range(4)


class Parser:
    """The requests of one connection.

    Args:
        admit: called once for each new head; sets `limit`, `streamed` and `plan` on it, or raises Refusal.
    """

    __slots__ = (
        "_admit", "_body", "_buffer", "_chunks", "_known", "_left", "_limits", "_open", "_over", "_raw", "_size",
        "refused", "wants_continue",
    )  # fmt: skip

    def __init__(self, limits: Limits, admit: Callable[[Head], None]) -> None:
        self._limits = limits
        self._admit = admit
        self._buffer = b""  # an unfinished head, or what follows a streamed head or an upgrade
        self._raw = b""  # the last head as it came,
        self._known: Head | None = None  # and as it was read
        self._open: Head | None = None  # the request whose body is coming,
        self._left = 0  # bytes of it still to come,
        self._size = 0  # bytes of it that came,
        self._chunks: ChunkedBody | None = None  # or, of a chunked one, where it stands,
        self._body = bytearray()  # and what is there already
        self._over = False
        self.refused: Refusal | None = None  # why nothing more is read; the requests before it are good
        self.wants_continue = False  # the peer holds its body back until it reads "100 Continue"

    # -- state ------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        if self._over:
            return Phase.OVER
        if self._open is not None:
            return Phase.BODY
        return Phase.HEAD if self._buffer else Phase.IDLE

    @property
    def held(self) -> int:
        """Bytes kept of an unfinished body."""
        return len(self._body)

    @property
    def pending(self) -> bool:
        """Whether bytes wait to be read by another `feed`."""
        return bool(self._buffer) and not self._over

    # -- input ------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Arrived]:
        """The requests that `data` completes, in order. A streamed one or an upgrade is the last."""
        arrived: list[Arrived] = []
        if not self._over:
            buffer, self._buffer = (self._buffer + data if self._buffer else data), b""
            try:
                self._read(buffer, arrived)
            except Refusal as refusal:
                self._refuse(refusal)
        return arrived

    def pull(self, data: bytes = b"") -> bytes:
        """What `data`, and what was left over, hold of a streamed body. It is over when `phase` is not BODY.

        Raises:
            Refusal: the body's framing is wrong, or it is longer than admitted.
        """
        buffer, self._buffer = self._buffer + data, b""
        try:
            at = self._read_body(buffer, 0)
        except Refusal as refusal:
            self._refuse(refusal)
            raise
        self._buffer = buffer[at:]
        return self._take_body()

    def hold(self, data: bytes) -> int:
        """Keep bytes for later, unread. Returns how many are kept now."""
        self._buffer += data
        return len(self._buffer)

    def forget(self) -> None:
        """What was admitted may be so no more: the next head is read and admitted anew."""
        self._raw, self._known = b"", None

    def leftover(self) -> bytes:
        """What came after an upgrade: the next protocol's first bytes."""
        rest, self._buffer = self._buffer, b""
        return rest

    # -- inside -----------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        self._over = True
        self._open = None
        self._body.clear()
        self.refused = refusal

    def _read(self, buffer: bytes, arrived: list[Arrived]) -> None:
        at, size = 0, len(buffer)
        if self._open is not None:
            head = self._open
            at = self._read_body(buffer, 0)
            if self._open is None:
                arrived.append(Arrived(head, self._take_body()))
        while at < size and not self._over:
            if buffer.startswith(b"\r\n", at):  # an empty line before a request (RFC 9112, section 2.2)
                at += 2
            end = buffer.find(b"\r\n\r\n", at) + 4
            if end < 4:
                self._buffer = buffer[at:]
                check_beginning(self._buffer, self._limits)
                return
            head = self._head(buffer[at:end])
            at = end
            if head.upgrade or head.streamed:
                arrived.append(Arrived(head))
                self._buffer = buffer[at:]
                self._set_aside(head)
                return
            if head.chunked or head.length > size - at:
                self._begin_body(head)
                at = self._read_body(buffer, at)
                if self._open is None:
                    arrived.append(Arrived(head, self._take_body()))
            else:
                at += head.length
                arrived.append(Arrived(head, buffer[at - head.length : at]))
                self._over = not head.keep_alive

    def _head(self, raw: bytes) -> Head:
        if raw == self._raw and self._known is not None:
            return self._known
        head = parse_head(raw, self._limits)
        self._admit(head)
        if head.limit is not None and head.length > head.limit:
            raise _too_large(head.limit)
        self._raw, self._known = raw, head
        return head

    def _set_aside(self, head: Head) -> None:
        if head.upgrade:
            self._over = True
        else:
            self._begin_body(head)
            if not head.chunked and not head.length:
                self._end_body(head)

    def _begin_body(self, head: Head) -> None:
        self._open = head
        self._left, self._size = head.length, 0
        self._chunks = ChunkedBody() if head.chunked else None
        self.wants_continue = head.expects

    def _end_body(self, head: Head) -> None:
        self._open = None
        self._over = not head.keep_alive
        self.wants_continue = False

    def _read_body(self, buffer: bytes, at: int) -> int:
        """Move the open body's share of `buffer[at:]` to `_body`. Returns where it ends."""
        head = self._open
        if head is None:
            return at
        if self._chunks is None:
            stop = min(at + self._left, len(buffer))
            self._body += buffer[at:stop]
            self._left -= stop - at
            done = not self._left
        else:
            before = len(self._body)
            stop = self._chunks.feed(buffer, at, self._body)
            done = self._chunks.done
            self._size += len(self._body) - before
            if head.limit is not None and self._size > head.limit:
                raise _too_large(head.limit)
        if stop > at:
            self.wants_continue = False  # it did not wait
        if done:
            self._end_body(head)
        return stop

    def _take_body(self) -> bytes:
        body = bytes(self._body)
        self._body.clear()
        return body


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body_size", f"the body is longer than {limit} bytes")
