"""`broadcast()` of the package websockets, pings on, no compression: `python -m ... PORT`."""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, broadcast, serve

channels: dict[str, set[ServerConnection]] = {}


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    url = urlsplit(connection.request.path)
    members = channels.setdefault(parse_qs(url.query)["c"][0], set())
    if url.path == "/sub":
        members.add(connection)
        try:
            await connection.wait_closed()
        finally:
            members.discard(connection)
    else:
        async for message in connection:
            broadcast(members, message)


async def main() -> None:
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
