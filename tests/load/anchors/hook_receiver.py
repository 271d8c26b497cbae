"""A receiver of webhooks that costs next to nothing: `python -m ... PORT`.

Any POST is answered with 200. `GET /figures` tells how many came since it was last asked, and how old the events in
them were, if their data says when they were sent ("sent": microseconds since 1970).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

TOOK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Figures:
    def __init__(self) -> None:
        self.count = 0
        self.ages: list[int] = []  # microseconds

    def take(self) -> bytes:
        found = json.dumps({"count": self.count, "ages": sorted(self.ages)}).encode()
        self.count, self.ages = 0, []
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(found), found)


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1 for clients that give a Content-Length."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            whole = end + 4 + int(length or 0)
            if len(self._held) < whole:
                return
            body, self._held = self._held[end + 4 : whole], self._held[whole:]
            if head.startswith(b"get /figures"):
                self._transport.write(self._figures.take())
            else:
                self._transport.write(TOOK)
                self._note(body)

    def _note(self, body: bytes) -> None:
        self._figures.count += 1
        _, found, rest = body.partition(b'"sent":')
        if found:
            sent = int(rest[:20].partition(b"}")[0].partition(b",")[0])
            self._figures.ages.append(time.time_ns() // 1000 - sent)


async def main() -> None:
    figures = Figures()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(figures), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
