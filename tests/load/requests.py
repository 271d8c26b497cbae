"""What the generator sends: templates of RPC calls (placeholders: see generator.c)."""

from __future__ import annotations

import json

__all__ = ["DATA", "STREAMS", "VERSION", "append", "batch", "http", "read_category", "read_stream", "subscribe", "xadd"]

STREAMS = 10_000  # over which writes and reads are spread
DATA = json.dumps(  # 160 bytes, as in every figure we compare with
    {"sensor": "boiler-7", "celsius": 61.25, "pressure": 1.84, "valve": "open", "note": "x" * 82}, separators=(",", ":")
)
_MESSAGE = f'{{"type":"Measured","data":{DATA}}}'


def http(body: str, token: str = "", path: str = "/rpc") -> bytes:
    """A POST as a program would send it on a kept-alive connection."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Content-Length: {length}"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def append(stream: str = f"bench-{{rand:{STREAMS}}}") -> str:
    return f'["stream.write","{stream}",{_MESSAGE},{{}}]'


def batch(count: int, stream: str = f"bench-{{rand:{STREAMS}}}") -> str:
    """One `stream.writeMany` of `count` events, each to any stream."""
    message = f'{{"stream":"{stream}","type":"Measured","data":{DATA}}}'
    return f'["stream.writeMany",[{",".join([message] * count)}]]'


def read_stream(streams: int, positions: int) -> str:
    """A hundred events from anywhere in any of `streams` streams, each at least `positions` + 100 long."""
    return f'["stream.get","bench-{{rand:{streams}}}",{{"position":{{rand:{positions}}},"batchSize":100}}]'


def read_category(positions: int, *, group: int = 0, correlation: bool = False) -> str:
    """A hundred events of a category from anywhere in the log."""
    options = f'"position":{{rand:{positions}}},"batchSize":100'
    if group:
        options += f',"consumerGroup":{{"member":{{rand:{group}}},"size":{group}}}'
    if correlation:
        options += ',"correlation":"order"'
    return f'["category.get","bench",{{{options}}}]'


VERSION = f'["stream.version","bench-{{rand:{STREAMS}}}"]'


def subscribe(stream: str, token: str) -> bytes:
    head = [f"GET /subscribe?stream={stream} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def xadd() -> bytes:
    """One XADD in the Redis protocol; the stream's name keeps its width, so the lengths are constant."""
    words = ["XADD", f"bench-{{pad:{STREAMS}}}", "*", "data", DATA]
    sizes = [len(word) if "{" not in word or word == DATA else len("bench-0000") for word in words]
    return (f"*{len(words)}\r\n" + "".join(f"${n}\r\n{w}\r\n" for n, w in zip(sizes, words, strict=True))).encode()
