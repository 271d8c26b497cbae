"""Framing of ready bytes, the same for every client: HTTP chunks, and WebSocket frames as the server sends them.

Sources: RFC 9112, section 7.1; RFC 6455, section 5.2.
"""

from __future__ import annotations

import struct

__all__ = ["binary_frame", "chunk", "close_frame", "ping_frame", "pong_frame", "text_frame", "timed_ping"]

_REASON = 123  # bytes: a control frame carries 125, two of them the code


def chunk(data: bytes) -> bytes:
    """`data` as one HTTP chunk; empty data must not end the body, so it has no frame."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def text_frame(data: bytes) -> bytes:
    """One whole text message; `data` is UTF-8."""
    return _frame(0x81, data)


def binary_frame(data: bytes) -> bytes:
    """One whole binary message."""
    return _frame(0x82, data)


def ping_frame(data: bytes = b"") -> bytes:
    """A ping of up to 125 bytes, which come back in the pong."""
    return _frame(0x89, data)


def pong_frame(data: bytes) -> bytes:
    """The answer to a ping, with its bytes."""
    return _frame(0x8A, data)


def timed_ping(now: float) -> bytes:
    """A ping that carries the loop's time in milliseconds, so that its pong tells how long it was under way."""
    return ping_frame(b"%d" % int(now * 1000))


def close_frame(code: int, reason: str = "") -> bytes:
    """The last frame. A reason that is too long is cut at a character."""
    text = reason.encode()[:_REASON].decode(errors="ignore").encode()
    return _frame(0x88, struct.pack("!H", code) + text)


def _frame(first: int, data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + data
    return struct.pack("!BBQ", first, 127, size) + data
