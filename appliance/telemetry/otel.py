"""Spans for OpenTelemetry, sent over OTLP/HTTP by threads of its own. Needs the extra `otel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.errors import ConfigError
from appliance.telemetry.spans import Said

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

__all__ = ["OtelSpans", "otlp"]

PATH = "/v1/traces"
NANOSECONDS = 1000  # in a microsecond


def otlp(endpoint: str, *, name: str, version: str) -> OtelSpans:
    """Spans that go to a collector.

    Args:
        endpoint: its address, as "http://127.0.0.1:4318"; the path is added if there is none.

    Raises:
        ConfigError: the packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        raise ConfigError(
            "telemetry.otlp: the packages that send spans are not installed",
            hint="pip install 'appliance[otel]' (the one file does not have them), or take telemetry.otlp out",
        ) from missing
    bare = endpoint.partition("://")[2]
    target = endpoint if "/" in bare.rstrip("/") else endpoint.rstrip("/") + PATH
    return OtelSpans(BatchSpanProcessor(OTLPSpanExporter(endpoint=target)), name=name, version=version)


class OtelSpans:
    """`telemetry.spans.Spans`."""

    def __init__(self, processor: SpanProcessor, *, name: str, version: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        about = {"service.name": "appliance", "service.instance.id": name, "service.version": version}
        self._provider: TracerProvider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("appliance", version)
        self._extract = TraceContextTextMapPropagator().extract

    def begin(self, name: str, parent: str, said: Said) -> _Span:
        from opentelemetry.trace import SpanKind

        return _Span(self._tracer.start_span(name, self._context(parent), SpanKind.SERVER, dict(said)))

    def record(self, name: str, parent: str, said: Said, *, began_us: int, ended_us: int) -> None:
        span = self._tracer.start_span(
            name, self._context(parent), attributes=dict(said), start_time=began_us * NANOSECONDS
        )
        span.end(ended_us * NANOSECONDS)

    def close(self) -> None:
        """Send what waits. Blocks: call it in a thread."""
        self._provider.shutdown()

    def _context(self, parent: str) -> Any:
        from opentelemetry.context import Context

        return self._extract({"traceparent": parent}, Context()) if parent else Context()


class _Span:
    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def end(self, said: Said, *, error: str = "") -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attributes(dict(said))
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
