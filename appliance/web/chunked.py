"""Request bodies in chunks (RFC 9112, section 7.1), strictly.

httptools decodes chunks too, but cannot say where in its input a message ended, and behind that
point may stand the first bytes of the next request or of a WebSocket. So the framing is read here;
h11 is the oracle in the tests.
"""

from __future__ import annotations

import re
from enum import Enum

from appliance.web.refusal import Refusal

__all__ = ["ChunkedBody"]

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~]*)?\r\n")  # an extension is legal, and ignored
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n")
_LINE = 1024  # bytes of a size line or trailer; nobody needs more
_TRAILERS = 16


class _Part(Enum):
    SIZE, DATA, DATA_END, TRAILER, DONE = range(5)


class ChunkedBody:
    """Takes a chunked body out of a stream of bytes. One per request."""

    __slots__ = ("_left", "_line", "_part", "_trailers")

    def __init__(self) -> None:
        self._part = _Part.SIZE
        self._left = 0  # bytes of the chunk still to come
        self._line = b""  # an unfinished line
        self._trailers = 0

    @property
    def done(self) -> bool:
        return self._part is _Part.DONE

    def feed(self, data: bytes, at: int, content: bytearray) -> int:
        """Append to `content` what `data[at:]` holds of the body. Returns where the body's share ends.

        Raises:
            Refusal: the framing is wrong.
        """
        while at < len(data) and self._part is not _Part.DONE:
            if self._part is _Part.DATA:
                stop = min(at + self._left, len(data))
                content += data[at:stop]
                self._left -= stop - at
                at = stop
                if not self._left:
                    self._part = _Part.DATA_END
            else:
                at = self._read_line(data, at)
        return at

    def _read_line(self, data: bytes, at: int) -> int:
        found = data.find(b"\n", at)
        stop = len(data) if found < 0 else found + 1
        self._line += data[at:stop]
        if len(self._line) > _LINE:
            raise _broken("a line between chunks is too long")
        if found >= 0:
            line, self._line = self._line, b""
            self._take(line)
        return stop

    def _take(self, line: bytes) -> None:
        match self._part:
            case _Part.SIZE:
                size = _SIZE.fullmatch(line)
                if size is None:
                    raise _broken("a chunk does not begin with its size")
                self._left = int(size[1], 16)
                self._part = _Part.DATA if self._left else _Part.TRAILER
            case _Part.DATA_END:
                if line != b"\r\n":
                    raise _broken("a chunk is longer than its size")
                self._part = _Part.SIZE
            case _:
                self._take_trailer(line)

    def _take_trailer(self, line: bytes) -> None:
        """Trailers are read and forgotten: nothing of ours depends on one."""
        self._trailers += 1
        if line == b"\r\n":
            self._part = _Part.DONE
        elif self._trailers > _TRAILERS or _TRAILER.fullmatch(line) is None:
            raise _broken("the fields after the last chunk are wrong")


def _broken(message: str) -> Refusal:
    return Refusal(400, "chunks", message)
