"""Answers as bytes. Heads of a kind are built once per second: only the length differs."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from appliance.model.http import Response, Stream

__all__ = ["CONTINUE", "LAST_CHUNK", "Renderer", "phrase"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_BODILESS = frozenset({204, 304})
_KINDS = 256  # heads kept; a handler that invents content types gets them built anew


class Renderer:
    """Writes heads. `tick` keeps the date right; it is cheap within one second."""

    def __init__(self, wall_s: int = 0) -> None:
        self._heads: dict[tuple[int, str], bytes] = {}
        self._wall_s = wall_s
        self._date = formatdate(wall_s, usegmt=True)

    def tick(self, wall_s: int) -> None:
        if wall_s != self._wall_s:
            self._wall_s = wall_s
            self._date = formatdate(wall_s, usegmt=True)
            self._heads.clear()

    def response(self, answer: Response, *, close: bool = False, head_only: bool = False) -> bytes:
        """A whole answer.

        Raises:
            ValueError: a header field of the handler has a line break.
        """
        head = self._head(answer.status, answer.content_type)
        if answer.headers:
            head += _fields(answer.headers)
        if close:
            head += b"Connection: close\r\n"
        if answer.status in _BODILESS:
            return head + b"\r\n"
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(answer.body), b"" if head_only else answer.body)

    def stream(self, answer: Stream, *, close: bool = False) -> bytes:
        """The head of an answer that follows in chunks."""
        head = self._head(answer.status, answer.content_type) + _fields(answer.headers)
        return b"%b%bTransfer-Encoding: chunked\r\n\r\n" % (head, b"Connection: close\r\n" if close else b"")

    def _head(self, status: int, content_type: str) -> bytes:
        head = self._heads.get((status, content_type))
        if head is None:
            fields = [("Date", self._date), ("Server", "appliance"), ("X-Content-Type-Options", "nosniff")]
            if content_type:
                fields.append(("Content-Type", content_type))
            head = f"HTTP/1.1 {status} {phrase(status)}\r\n".encode() + _fields(fields)
            if len(self._heads) < _KINDS:
                self._heads[status, content_type] = head
        return head


def _fields(fields: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> bytes:
    text = "".join(f"{name}: {value}\r\n" for name, value in fields)
    if text.count("\n") != len(fields) or text.count("\r") != len(fields):
        raise ValueError("a header field has a line break")
    return text.encode("latin-1")


def phrase(status: int) -> str:
    """The words of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"
