"""Append and read as Quart-Trio routes under Hypercorn, over our own log: `python -m ... PORT FOLDER`.

Same engine, same committer, same rows. What differs is the way from the socket to the log, so the ratio is what
the front is worth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

from appliance.log.service import Log
from appliance.model.event import Draft, Query
from tests.load.anchors.our_log import running_log


def routes(log: Log, namespace: int) -> QuartTrio:
    app = QuartTrio("anchor")

    @app.post("/rpc")
    async def rpc() -> Response:
        method, name, *rest = json.loads(await request.get_data())
        if method == "stream.write":
            message = rest[0]
            draft = Draft(name, message["type"], json.dumps(message["data"], separators=(",", ":")))
            (event,) = await log.append(namespace, [draft])
            answer = f'{{"position":{event.position},"globalPosition":{event.global_position}}}'
        elif method == "stream.get":
            query = Query(namespace, name, position=rest[0]["position"], limit=rest[0]["batchSize"])
            answer = f"[{(await log.page(query)).text}]"
        else:
            answer = '{"seq":123}'
        return Response(answer, content_type="application/json")

    return app


async def main() -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.accesslog = config.errorlog = None
    config.keep_alive_max_requests = 1 << 40  # its default closes every connection after a thousand
    config.backlog = 4096
    async with running_log(Path(sys.argv[2])) as (log, namespace):
        await serve(routes(log, namespace), config)


if __name__ == "__main__":
    trio.run(main)
