"""Our WebSocket lane with an echo behind it: what a conformance suite talks to. Never part of the product.

`python -m tests.contracts.autobahn.echo` prints its port and serves until it is ended.
"""

from __future__ import annotations

from dataclasses import replace

import trio

from appliance.errors import Unauthenticated
from appliance.model.frames import binary_frame, text_frame
from appliance.model.http import Request, Socket, SocketRoute
from appliance.model.principal import Principal
from appliance.web.front import Front
from appliance.web.limits import MIB, Limits
from appliance.web.listen import listen
from appliance.world import RealWorld

LIMITS = replace(
    Limits(), ws_message=16 * MIB, ws_fragments=128 * 1024
)  # the largest message of the suite, and its pieces


async def echo(socket: Socket) -> None:
    while True:
        said = await socket.receive()
        frame = text_frame(said.encode()) if isinstance(said, str) else binary_frame(said)
        await socket.outlet.send_all(frame)


def nobody(_: Request) -> Principal:
    raise Unauthenticated("nobody is known here")


async def main() -> None:
    front = Front(
        listen("127.0.0.1:0"),
        (),
        [SocketRoute("/", echo, "Echo", binary=True)],
        authenticate=nobody,
        limits=LIMITS,
        world=RealWorld(),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        print(front.port, flush=True)


if __name__ == "__main__":
    trio.run(main)
