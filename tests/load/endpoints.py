"""How each server is subscribed to and published to, as the generator's texts.

The anchors publish as cheaply as they can: a WebSocket, pipelined requests, Redis's own protocol, and keep nothing.
Ours goes the way of the product: authenticated, checked, written to the log and synced, then shown; as many events
in one call as are due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.load.crowd import EVENT, Endpoint
from tests.load.machine import Started

__all__ = [
    "ENDPOINTS",
    "broadcast",
    "eventing",
    "events",
    "http_head",
    "nchan_sse",
    "pokes",
    "posts",
    "tail",
    "websocket_head",
]

BATCH = 64  # events of one call at most


def websocket_head(path: str, token: str = "", *more: str) -> str:
    """A request to become a WebSocket."""
    fields = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *([f"Authorization: Bearer {token}"] if token else []),
        *more,
    ]
    return "\r\n".join(fields) + "\r\n\r\n"


def http_head(request: str, token: str = "", *more: str) -> str:
    """A request line with what every request of ours carries."""
    fields = [f"{request} HTTP/1.1", "Host: 127.0.0.1", *([f"Authorization: Bearer {token}"] if token else []), *more]
    return "\r\n".join(fields) + "\r\n\r\n"


def _posted(path: str, token: str = "") -> str:
    return http_head(f"POST {path}", token, "Content-Type: application/json", "Content-Length: {length}")


def tail(server: Started) -> Endpoint:
    """Our `/ws/tail`, one category per channel; written with `stream.writeMany`."""
    path = "/ws/tail?category=fan{c}"
    return Endpoint(
        subscribe=websocket_head(path, server.token),
        again=websocket_head(path + "&since={since}", server.token),
        position='"globalPosition":',
        **_written(server),
    )


def eventing(server: Started) -> Endpoint:
    """Our `/api/v1/ws`: one type of event per channel, chosen by filter; it says when nothing is missed any more."""
    path = "/api/v1/ws?types=Fan{c}"
    return Endpoint(
        subscribe=websocket_head(path, server.token),
        again=websocket_head(path + "&since={last}", server.token),
        ready="QueueStatus",
        position='"seq":',
        **_written(server, type="Fan{c}"),
    )


def events(server: Started) -> Endpoint:
    """Our `/api/v1/events`, the same as server-sent events."""
    request = "GET /api/v1/events?types=Fan{c}"
    return Endpoint(
        framing="sse",
        subscribe=http_head(request, server.token),
        again=http_head(request, server.token, "Last-Event-ID: {last}"),
        position="id: ",
        **_written(server, type="Fan{c}"),
    )


def broadcast(server: Started) -> Endpoint:
    """Our `/ws/broadcast` with its offsets. A channel is a stream: one call writes many messages here too."""
    head = websocket_head("/ws/broadcast", server.token)
    return Endpoint(
        subscribe=head,
        greeting='{"subscribe":["fan{c}"],"ack":1}',
        ready='"subscribed"',
        again=head,
        greeting_again='{"subscribe":["fan{c}"],"since":{"fan{c}":{last}},"ack":1}',
        position='"offset":',
        origin=-1,
        **_written(server, "channel-fan{c}", "measured"),
    )


def posts(server: Started) -> Endpoint:
    """The same with one `POST /broadcast` for each message, as many under way on one connection as are due."""
    return replace(
        broadcast(server),
        head=_posted("/broadcast", server.token),
        opening='{"channel":"fan{c}","event":"measured","payload":',
        item=EVENT,
        closing="}",
        batch=1,
    )


def pokes(server: Started) -> Endpoint:
    """Our `/subscribe`, an event stream: it tells the position of each event in a stream that is new every time."""
    name = f"fan{time.time_ns()}"
    return Endpoint(
        framing="sse",
        subscribe=http_head(f"GET /subscribe?stream={name}-1", server.token),
        ready="ready",
        number='"position":',
        **_written(server, f"{name}-1"),
    )


def _written(server: Started, stream: str = "fan{c}-1", type: str = "Measured") -> dict[str, Any]:
    return {
        "publish": "http",
        "head": _posted("/rpc", server.token),
        "opening": '["stream.writeMany",[',
        "item": f'{{"stream":"{stream}","type":"{type}","data":{EVENT}}}',
        "closing": "]]",
        "batch": BATCH,
    }


def _socketed(server: Started) -> Endpoint:
    """Bun, ws, websockets, trio-websocket, nchan: /sub and /pub with the channel in the query."""
    return Endpoint(subscribe=websocket_head("/sub?c=fan{c}"), publish="ws", hello=websocket_head("/pub?c=fan0"))


def _nchan(server: Started) -> Endpoint:
    return Endpoint(subscribe=websocket_head("/sub?c=fan{c}"), head=_posted("/pub?c=fan{c}"))


def nchan_sse(server: Started) -> Endpoint:
    """nchan's event stream."""
    head = http_head("GET /sub?c=fan{c}", "", "Accept: text/event-stream")
    return Endpoint(framing="sse", subscribe=head, head=_posted("/pub?c=fan{c}"))


def _redis(server: Started) -> Endpoint:
    return Endpoint(
        framing="resp",
        greeting="*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nfan{c}\r\n",
        ready="subscribe",
        publish="resp",
        head="*3\r\n$7\r\nPUBLISH\r\n$4\r\nfan{c}\r\n$160\r\n",
        closing="\r\n",
    )


def _encrypted(server: Started) -> Endpoint:
    return replace(eventing(server), tls=True)


ENDPOINTS: dict[str, Callable[[Started], Endpoint]] = {
    "appliance": eventing,
    "appliance broadcast": broadcast,
    "appliance posts": posts,
    "appliance tail": tail,
    "appliance sse": events,
    "appliance pokes": pokes,
    "appliance tls": _encrypted,
    "nchan": _socketed,
    "nchan many": _nchan,
    "nchan sse": nchan_sse,
    "bun": _socketed,
    "ws": _socketed,
    "websockets": _socketed,
    "trio": _socketed,
    "redis": _redis,
}
