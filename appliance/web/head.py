"""One head, one meaning: the strict reading of a request line and its fields.

llhttp (httptools) splits the fields of a head; what it lets through and
a second parser behind us might read differently is refused here: `HTTP/2.0` and `RTSP/1.0` lines,
several Hosts or none, `gzip, chunked`, bytes beyond ASCII. What leaves this file has one meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from appliance.web.limits import Limits
from appliance.web.refusal import Refusal

__all__ = ["METHODS", "Head", "check_beginning", "parse_head"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_REQUEST_LINE = re.compile(r"([!-~]+) ([!-~]+) HTTP/(\d)\.(\d)\r\n")
_ABSOLUTE = re.compile(r"https?://([^/?#@\\]+)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(:\d{0,5})?")
_HEAD_BYTES = bytes(range(0x20, 0x7F)) + b"\r\n\t"
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH_DIGITS = 15
_ONCE = frozenset(
    (
        *("host", "origin", "authorization", "content-type", "content-length", "content-encoding"),
        *("transfer-encoding", "expect", "upgrade", "sec-websocket-key", "sec-websocket-version"),
        *("idempotency-key", "last-event-id"),
    )
)


@dataclass(slots=True)
class Head:
    """A request without its body. The last three are set by whoever admits it."""

    method: str
    target: str  # path and query as they came
    path: str  # decoded
    query: str
    headers: dict[str, str]
    http11: bool = True
    keep_alive: bool = True
    length: int = 0  # bytes of body; of a chunked one not known
    chunked: bool = False
    expects: bool = False  # holds its body back until it reads "100 Continue"
    upgrade: bool = False  # asks for a WebSocket
    limit: int | None = 0  # bytes of body accepted; None: any number
    streamed: bool = False  # the body is pulled by the handler
    plan: Any = None  # what the router found


class _Fields:
    """Collects what llhttp finds in one head."""

    __slots__ = ("complete", "headers", "repeated")

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.repeated: set[str] = set()
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("ascii").lower()
        text = value.strip(b" \t").decode("ascii")
        if key in self.headers:
            self.repeated.add(key)
            text = self.headers[key] + ("; " if key == "cookie" else ", ") + text
        self.headers[key] = text

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_head(raw: bytes, limits: Limits) -> Head:
    """The one meaning of a head, from its first byte to the empty line.

    Raises:
        Refusal: it has none, several, or is beyond the limits.
    """
    if len(raw) > limits.head:
        raise Refusal(431, "head_size", f"the head is longer than {limits.head} bytes")
    if raw.count(b"\n") - 2 > limits.fields:
        raise Refusal(431, "head_fields", f"the head has more than {limits.fields} fields")
    if raw.translate(None, _HEAD_BYTES):
        raise _not_text()
    method, target, http11 = _request_line(raw.decode("ascii"), limits)
    headers = _fields(raw)
    authority, path, query = _split_target(method, target)
    if authority is not None:
        headers["host"] = authority  # RFC 9112, section 3.2.2: it replaces the field
    _check_host(headers, http11)
    head = Head(method, target, path, query, headers, http11)
    _set_framing(head)
    _set_connection(head)
    return head


def check_beginning(data: bytes, limits: Limits) -> None:
    """Refuse early what can no longer become a head, a TLS greeting for one.

    Raises:
        Refusal
    """
    if len(data) > limits.head:
        raise Refusal(431, "head_size", f"the head is longer than {limits.head} bytes")
    if data.translate(None, _HEAD_BYTES) or _BARE_LF.search(data):
        raise _not_text()


def _request_line(text: str, limits: Limits) -> tuple[str, str, bool]:
    line = _REQUEST_LINE.match(text)
    if line is None:
        raise Refusal(400, "request_line", "the request line is not METHOD TARGET HTTP/1.1")
    method, target, major, minor = line.groups()
    if major != "1" or minor not in "01":
        raise Refusal(505, "version", f"HTTP/{major}.{minor} is not served here", hint="use HTTP/1.1")
    if len(target) > limits.target:
        raise Refusal(414, "target_size", f"the target is longer than {limits.target} bytes")
    if method not in METHODS:
        status = 501 if method.isupper() else 400
        raise Refusal(status, "method", f"method {method[:20]} is not served here")
    return method, target, minor == "1"


def _fields(raw: bytes) -> dict[str, str]:
    found = _Fields()
    try:
        httptools.HttpRequestParser(found).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an Upgrade field; what to make of it is decided here, not in llhttp
    except httptools.HttpParserError as error:
        raise Refusal(400, "fields", f"the head is malformed: {error}") from error
    if not found.complete:
        raise Refusal(400, "fields", "the head is malformed")
    twice = found.repeated & _ONCE
    if twice:
        raise Refusal(400, "repeated_field", f"{min(twice)} may stand only once")
    return found.headers


def _split_target(method: str, target: str) -> tuple[str | None, str, str]:
    """(authority if the target names one, decoded path, query)"""
    authority = None
    if not target.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            authority, target = absolute[1], absolute[2] or "/"
            target = target if target.startswith("/") else "/" + target
        elif (method, target) != ("OPTIONS", "*"):
            raise Refusal(400, "target", "the target must begin with /")
    path, _, query = target.partition("?")
    if "#" in target:
        raise Refusal(400, "target", "a fragment is never sent")
    return authority, _decode(path) if "%" in path else path, query


def _decode(path: str) -> str:
    if _BAD_ESCAPE.search(path):
        raise Refusal(400, "target", "the path has a malformed % escape")
    try:
        text = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(400, "target", "the path is not UTF-8") from error
    if _CONTROL.search(text):
        raise Refusal(400, "target", "the path has control characters")
    return text


def _check_host(headers: dict[str, str], http11: bool) -> None:
    host = headers.get("host")
    if host is None and http11:
        raise Refusal(400, "host", "HTTP/1.1 requests name their Host")
    if host is not None and _HOST.fullmatch(host) is None:
        raise Refusal(400, "host", "Host is not a name or address with an optional port")


def _set_framing(head: Head) -> None:
    """Where the body ends: one Content-Length, or exactly `chunked`, never both (RFC 9112, section 6.3)."""
    length = head.headers.get("content-length")
    coding = head.headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or coding.lower() != "chunked" or not head.http11:
            raise Refusal(400, "framing", "Transfer-Encoding must be exactly chunked, alone, and HTTP/1.1")
        head.chunked = True
    elif length is not None:
        if not (length.isdecimal() and len(length) <= _LENGTH_DIGITS):
            raise Refusal(400, "framing", "Content-Length is not a number")
        head.length = int(length)
    if head.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "content_encoding", "compressed request bodies are not accepted", hint="send it plain")


def _set_connection(head: Head) -> None:
    headers = head.headers
    connection = headers.get("connection", "").lower()
    head.keep_alive = head.http11 and "close" not in connection.replace(" ", "").split(",")
    head.upgrade = "websocket" in headers.get("upgrade", "").lower()
    expect = headers.get("expect")
    if expect is not None and head.http11:
        if expect.lower() != "100-continue":
            raise Refusal(417, "expect", "only Expect: 100-continue is understood")
        head.expects = True


def _not_text() -> Refusal:
    return Refusal(400, "bytes", "a head is printable ASCII in lines that end with CR LF")
