"""trio-websocket and a loop of `send_message`, as most programs on Trio do it: `python -m ... PORT`."""

from __future__ import annotations

import contextlib
import sys
from urllib.parse import parse_qs, urlsplit

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

channels: dict[str, set[WebSocketConnection]] = {}


async def handle(request: WebSocketRequest) -> None:
    url = urlsplit(request.path)
    members = channels.setdefault(parse_qs(url.query)["c"][0], set())
    connection = await request.accept()
    if url.path == "/sub":
        members.add(connection)
    with contextlib.suppress(ConnectionClosed):
        while True:
            message = await connection.get_message()
            for member in list(members):
                with contextlib.suppress(ConnectionClosed):
                    await member.send_message(message)
    members.discard(connection)


if __name__ == "__main__":
    trio.run(serve_websocket, handle, "127.0.0.1", int(sys.argv[1]), None)
