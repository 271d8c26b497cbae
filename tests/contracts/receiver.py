"""A receiver of webhooks for tests: a plain HTTP server that keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Receiver", "Taken", "receiving"]


@dataclass(frozen=True)
class Taken:
    """One request."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float  # monotonic seconds

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answer` is asked for the status of each request, in the server's threads."""

    answer: Callable[[Taken], int] = lambda _: 200
    taken: list[Taken] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)  # of every answer
    body: bytes = b"thanks"
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def until(self, count: int, patience: float = 30.0) -> list[Taken]:
        """The first `count` requests, as soon as they are there."""
        deadline = time.monotonic() + patience
        while len(self.taken) < count:
            assert time.monotonic() < deadline, f"{len(self.taken)} of {count} requests came"
            time.sleep(0.01)
        return self.taken[:count]


@contextmanager
def receiving(receiver: Receiver | None = None) -> Iterator[Receiver]:
    """A receiver on loopback until the block ends."""
    kept = receiver or Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken = Taken(self.path, {k.lower(): v for k, v in self.headers.items()}, body, time.monotonic())
            status = kept.answer(taken)
            kept.taken.append(taken)
            self.send_response(status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(kept.body)))
            self.end_headers()
            self.wfile.write(kept.body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a sender that was killed

    server = Server(("127.0.0.1", kept.port), Handler)
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
