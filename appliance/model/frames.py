"""WebSocket frames as a server sends them: unmasked, so the same bytes serve every connection."""

from __future__ import annotations

__all__ = ["close_frame", "ping_frame", "text_frame"]


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def text_frame(payload: bytes) -> bytes:
    """A whole text message. `payload` is UTF-8."""
    return _frame(0x81, payload)


def ping_frame(payload: bytes = b"") -> bytes:
    """At most 125 bytes of payload come back in the pong."""
    return _frame(0x89, payload[:125])


def close_frame(code: int, reason: str = "") -> bytes:
    """Reasons are cut to what a control frame holds."""
    return _frame(0x88, code.to_bytes(2, "big") + reason.encode()[:123])
