"""Steps of traces: request, append, deliver, with the real library and an exporter in memory."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import trio
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from appliance.errors import ConfigError, Rejected
from appliance.model.event import Event
from appliance.model.http import Request, Response, Route
from appliance.model.tracing import TRACE
from appliance.telemetry.otel import OtelSpans, otlp
from appliance.telemetry.service import Telemetry
from appliance.telemetry.spans import around

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Told:
    """Spans, and those that are over."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans = OtelSpans(SimpleSpanProcessor(self._exporter), name="kitchen", version="1.0")

    @property
    def over(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()


def request(headers: Mapping[str, str] | None = None) -> Request:
    return Request("GET", "/api/v1/notes/annabel@example.com", headers=dict(headers or {}), request_id="r-1")


def route(handler: Any, tags: tuple[str, ...] = ()) -> Route:
    return Route("GET", "/api/v1/notes/{note_id}", handler, "", tags=tags)


async def test_a_request_is_a_step_named_by_its_route_and_never_by_its_path():
    told, seen = Told(), []

    async def handle(request: Request) -> Response:
        seen.append(TRACE.get())
        return Response(201)

    answer = await around(told.spans, route(handle))(request({"traceparent": PARENT}))  # type: ignore[misc]

    [span] = told.over
    assert answer.status == 201
    assert (span.name, f"{span.context.trace_id:032x}") == ("GET /api/v1/notes/{note_id}", PARENT[3:35])
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT[36:52]
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/api/v1/notes/{note_id}",
        "request_id": "r-1",
        "http.response.status_code": 201,
    }
    assert seen == [f"00-{PARENT[3:35]}-{span.context.span_id:016x}-01"]
    assert TRACE.get() == ""
    assert "annabel" not in span.to_json()


async def test_a_refusal_ends_its_step_with_a_word_and_not_with_a_message():
    told = Told()

    async def late(request: Request) -> Response:
        raise Rejected("annabel@example.com is no id")

    def at_once(request: Request) -> Response:
        raise KeyError("annabel@example.com")

    with pytest.raises(Rejected):
        await around(told.spans, route(late))(request())  # type: ignore[misc]
    with pytest.raises(KeyError):
        around(told.spans, route(at_once))(request())

    assert [(span.attributes or {})["error.type"] for span in told.over] == ["rejected", "KeyError"]
    assert not any(span.status.is_ok for span in told.over)
    assert "annabel" not in "".join(span.to_json() for span in told.over)


def test_an_answer_that_is_there_at_once_is_a_step_too_and_a_probe_is_none():
    told, handler = Told(), lambda request: Response(200)

    around(told.spans, route(handler))(request())
    probe = route(handler, ("operations",))

    assert len(told.over) == 1
    assert around(told.spans, probe) is handler


async def test_writes_and_deliveries_of_a_traced_event_are_steps(autojump_clock):
    told, clock = Told(), [5_000_000]

    async def flushed() -> None:
        clock[0] += 2000
        await trio.lowlevel.checkpoint()

    telemetry = Telemetry(flushed, lambda: 1, records=False, rate=1, spans=told.spans, wall_us=lambda: clock[0])
    traced = Event(1, "n", "NoteUpdated", 0, 1, "id-1", "{}", json.dumps({"traceparent": PARENT}), 4_990_000)
    plain = Event(1, "n", "NoteUpdated", 1, 2, "id-2", "{}", None, 4_990_000)
    async with trio.open_nursery() as nursery:
        await nursery.start(telemetry.run)
        telemetry.saw([traced, plain])
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    assert [(span.name, (span.end_time or 0) - (span.start_time or 0)) for span in told.over] == [
        ("append", 10_000_000),
        ("deliver", 2_000_000),
    ]
    assert {f"{span.parent.span_id:016x}" for span in told.over if span.parent} == {PARENT[36:52]}
    assert (told.over[0].attributes or {})["event.id"] == "id-1"


async def test_draining_sends_what_waits():
    told, closed = Told(), []
    told.spans.close = lambda: closed.append(True)  # type: ignore[method-assign]
    telemetry = Telemetry(trio.lowlevel.checkpoint, lambda: 0, records=False, rate=1, spans=told.spans)

    await telemetry.drain()

    assert closed == [True]


def test_spans_reach_a_collector():
    taken: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the test looks at what was taken."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        spans = otlp(f"http://127.0.0.1:{server.server_port}", name="kitchen", version="1.0")
        spans.begin("GET /", "", {}).end({})
        spans.close()
        server.shutdown()
        thread.join()

    [(path, body)] = taken
    assert path == "/v1/traces"
    assert b"GET /" in body
    assert b"kitchen" in body


def test_without_the_packages_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch):
    found = builtins.__import__

    def missing(name: str, *arguments: Any, **named: Any) -> ModuleType:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return found(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", missing)

    with pytest.raises(ConfigError, match=r"telemetry\.otlp") as refused:
        otlp("http://127.0.0.1:4318", name="kitchen", version="1.0")
    assert "appliance[otel]" in refused.value.hint
