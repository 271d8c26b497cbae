"""Readers of our own live streams, over real connections: as small as can be, since all they look for is one id.

An event's id stands as plain text in what the server sends, on both dialects: nothing has to be parsed to know that it
came.
"""

from __future__ import annotations

import trio

from appliance.errors import PeerFailed

__all__ = ["DIALECTS", "arrival"]

MOST = 64 * 1024  # bytes kept while looking
READ = 16 * 1024

_GET = "GET {path}?types={types} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: Y2FuYXJ5LWNhbmFyeS1jYQ==\r\n"
)
_CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"  # 1000, masked with nothing

# Leg: path, fields beside, the status that is good, what says that nothing is missed from here on, the last words.
DIALECTS = {
    "websocket": ("/api/v1/ws", _UPGRADE, b"101", b'"QueueStatus"', _CLOSE),
    "sse": ("/api/v1/events", "Accept: text/event-stream\r\n", b"200", b"event: connected", b""),
}


async def arrival(
    stream: trio.abc.Stream, leg: str, *, host: str, token: str, types: str, id: str, ready: trio.Event
) -> None:
    """Follow a stream; returns when an event has come.

    Args:
        leg: of `DIALECTS`.
        types: of events, as the endpoint's filter takes them.
        ready: set once the stream stands.

    Raises:
        PeerFailed: the endpoint refuses, or ends the stream.
        trio.BrokenResourceError: the connection is gone.
    """
    path, more, good, standing, goodbye = DIALECTS[leg]
    request = _GET.format(path=path, types=types, host=host, token=token, more=more)
    await stream.send_all(request.encode())
    seen = await _until(stream, b"\r\n\r\n", b"")
    if seen.split(b" ", 2)[1:2] != [good]:
        raise PeerFailed(f"{path} answers {seen[9:12].decode(errors='replace')}")
    seen = await _until(stream, standing, seen)
    ready.set()
    await _until(stream, id.encode(), seen)
    if goodbye:
        await stream.send_all(goodbye)


async def _until(stream: trio.abc.Stream, mark: bytes, seen: bytes) -> bytes:
    while mark not in seen:
        data = await stream.receive_some(READ)
        if not data:
            raise PeerFailed("the stream ended")
        seen = (seen + data)[-MOST:]
    return seen
