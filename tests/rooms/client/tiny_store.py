"""A message store in some hundred lines, on loopback and in this process, for the client to talk to.

It keeps messages in a list and speaks just enough of the API; `script` lets a test decide what a subscription
sends on its n-th connection, and `refuse` what the n-th request gets instead of an answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "ns_ZGVmYXVsdA_" + "0" * 64


@dataclass
class TinyStore:
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    script: list[list[str]] = field(default_factory=list)  # SSE text per connection of /subscribe
    on_subscribe: list[Callable[[], object]] = field(default_factory=list)  # done before each connection of it
    refuse: list[tuple[int, bytes]] = field(default_factory=list)  # answers given before anything else
    drop: int = 0  # requests answered by closing the connection
    offers_token: bool = False
    has_export: bool = True
    stays_open: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)  # a subscriber went away
    url: str = ""

    def targets(self) -> list[str]:
        return [target for _, target, _, _ in self.requests]

    def write(self, stream: str, type: str = "T", data: dict[str, Any] | None = None, time: str = "") -> dict[str, Any]:
        place = len(self.messages) + 1
        position = sum(m["stream"] == stream for m in self.messages)
        stored = {
            "id": f"0190-{place}",
            "stream": stream,
            "type": type,
            "pos": position,
            "gpos": place,
            "data": data or {},
            "meta": None,
            "time": time or f"2026-01-01T00:00:{place % 60:02d}Z",
        }
        self.messages.append(stored)
        return stored

    def rpc(self, method: str, *args: Any) -> Any:
        return getattr(self, method.replace(".", "_"))(*args)

    def stream_write(self, stream: str, message: dict[str, Any], options: dict[str, Any]) -> Any:
        version = sum(m["stream"] == stream for m in self.messages) - 1
        expected = options.get("expectedVersion")
        if expected is not None and expected != version:
            raise Refused(409, "STREAM_VERSION_CONFLICT", expected=expected, actual=version)
        stored = self.write(stream, message["type"], message["data"])
        return {"position": stored["pos"], "globalPosition": stored["gpos"]}

    def stream_writeMany(self, messages: list[dict[str, Any]]) -> Any:
        return [self.stream_write(message["stream"], message, message) for message in messages]

    def stream_get(self, stream: str, options: dict[str, Any]) -> Any:
        found = [m for m in self.messages if m["stream"] == stream and m["pos"] >= options["position"]]
        return [self._row(m) for m in found[: options["batchSize"]]]

    def category_get(self, category: str, options: dict[str, Any]) -> Any:
        wanted = [m for m in self.messages if category in ("", m["stream"].partition("-")[0])]
        found = [m for m in wanted if m["gpos"] >= options["position"]][: options["batchSize"]]
        return [[self._row(m)[0], m["stream"], *self._row(m)[1:]] for m in found]

    def stream_last(self, stream: str, options: dict[str, Any]) -> Any:
        found = [m for m in self.messages if m["stream"] == stream and options.get("type") in (None, m["type"])]
        return self._row(found[-1]) if found else None

    def stream_version(self, stream: str) -> Any:
        return sum(m["stream"] == stream for m in self.messages) - 1 if self.stream_last(stream, {}) else None

    def ns_streams(self, options: dict[str, Any]) -> Any:
        names = sorted({m["stream"] for m in self.messages if m["stream"].startswith(options.get("prefix", ""))})
        page = [name for name in names if name > options.get("cursor", "")][: options["limit"]]
        return [{"stream": n, "version": self.stream_version(n), "lastActivity": None} for n in page]

    def ns_categories(self) -> Any:
        names = sorted({m["stream"].partition("-")[0] for m in self.messages})
        return [{"category": n, "streamCount": 1, "messageCount": 1} for n in names]

    def ns_create(self, namespace: str, options: dict[str, Any]) -> Any:
        return {"namespace": namespace, "token": options.get("token", TOKEN), "createdAt": "t"}

    def ns_delete(self, namespace: str) -> Any:
        return {"namespace": namespace, "deletedAt": "t", "messagesDeleted": len(self.messages)}

    def ns_list(self) -> Any:
        return [self.ns_info("default")]

    def ns_info(self, namespace: str) -> Any:
        if namespace != "default":
            raise Refused(404, "NAMESPACE_NOT_FOUND")
        return {"namespace": "default", "description": "d", "createdAt": "t", "messageCount": len(self.messages)}

    def sys_health(self) -> Any:
        return {"status": "ok", "backend": "tiny", "connections": 0}

    def _row(self, m: dict[str, Any]) -> list[Any]:
        return [m["id"], m["type"], m["pos"], m["gpos"], m["data"], m["meta"], m["time"]]


class Refused(Exception):
    def __init__(self, status: int, code: str, **details: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"code": code, "message": code.lower(), "details": details}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: TinyStore

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        store = self.store
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        store.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if store.drop:
            store.drop -= 1
            self.close_connection = True
            return
        if store.refuse:
            status, text = store.refuse.pop(0)
            self._answer(status, text)
            return
        path = urlsplit(self.path).path
        handle = {"/rpc": self._rpc, "/subscribe": self._subscribe, "/import": self._import, "/export": self._export}
        handle.get(path, self._other)(body)

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.store.offers_token:
            self.send_header("X-EventoDB-Token", TOKEN)
        self.end_headers()
        self.wfile.write(body)

    def _rpc(self, body: bytes) -> None:
        method, *args = json.loads(body)
        try:
            self._answer(200, json.dumps(self.store.rpc(method, *args)).encode())
        except Refused as refused:
            self._answer(refused.status, json.dumps(refused.body).encode())

    def _subscribe(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        last = len(self.store.script) == 1
        if self.store.on_subscribe:
            self.store.on_subscribe.pop(0)()
        for text in self.store.script.pop(0):
            self.wfile.write(text.encode())
            self.wfile.flush()
        if last:
            self._wait_for_leave()
        self.close_connection = True

    def _wait_for_leave(self) -> None:
        self.store.stays_open.set()
        self.rfile.read(1)  # ends when the client does
        self.store.left.set()

    def _import(self, body: bytes) -> None:
        if self.path.endswith("force=true"):
            self.store.messages.clear()
        records = [json.loads(line) for line in body.splitlines() if line]
        self.store.messages += records
        events = [{"imported": len(records), "gpos": records[-1]["gpos"]}] if records else []
        events.append({"done": True, "imported": len(records), "elapsed": "0.0s"})
        self._answer(200, "".join(f"data: {json.dumps(e)}\n\n" for e in events).encode(), "text/event-stream")

    def _export(self, body: bytes) -> None:
        if not self.store.has_export:
            self._answer(404, b'{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}')
            return
        wanted = dict(parse_qsl(urlsplit(self.path).query)).get("categories", "")
        lines = [m for m in self.store.messages if not wanted or m["stream"].partition("-")[0] in wanted.split(",")]
        self._answer(200, b"".join(json.dumps(m).encode() + b"\n" for m in lines), "application/x-ndjson")

    def _other(self, body: bytes) -> None:
        match self.path:
            case "/version":
                self._answer(200, b'{"version":"1.2.3"}')
            case _:
                self._answer(404, b'{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}')


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def a_tiny_store() -> Iterator[TinyStore]:
    store = TinyStore()
    kind = type("Bound", (Handler,), {"store": store})
    server = Listener(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def poke(store: TinyStore, message: dict[str, Any]) -> str:
    place = {"stream": message["stream"], "position": message["pos"], "globalPosition": message["gpos"]}
    return f"event: poke\ndata: {json.dumps(place)}\n\n"


READY = ": ready\n\n"
