"""What a tracing system is told: requests, writes and deliveries as steps of a trace. Pure.

    GET /api/v1/notes/{note_id}       a request, by its route: never by its path
      append                          from the event's time until it is acknowledged
      deliver                         from then until all readers that keep up were offered it

Nothing is told unless somebody has configured where to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from appliance.errors import ApplianceError
from appliance.model.http import Answer, Handler, Request, Response, Route, Stream
from appliance.model.tracing import TRACE, trace_of

__all__ = ["Said", "Span", "Spans", "around"]

OPERATIONS = "operations"  # the tag of routes that are about the appliance itself

Said = Mapping[str, str | int]


class Span(Protocol):
    """A step that is under way."""

    @property
    def traceparent(self) -> str:
        """What it causes belongs to this."""
        ...

    def end(self, said: Said, *, error: str = "") -> None:
        """It is over. `error`: why it failed, in one of a few words; empty: it did not."""
        ...


class Spans(Protocol):
    """Where steps are told."""

    def begin(self, name: str, parent: str, said: Said) -> Span:
        """A step begins. `parent`: a traceparent; empty: it is the first of its trace."""
        ...

    def record(self, name: str, parent: str, said: Said, *, began_us: int, ended_us: int) -> None:
        """A step that is over already, in microseconds since 1970."""
        ...

    def close(self) -> None:
        """Send what waits; may take a while."""
        ...


def around(spans: Spans, route: Route) -> Handler:
    """The route's handler as one step of a trace; a probe or a scrape is none."""
    if OPERATIONS in route.tags:
        return route.handler
    name, said = f"{route.method} {route.path}", {"http.request.method": route.method, "http.route": route.path}

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        span = spans.begin(name, trace_of(request.headers), said | {"request_id": request.request_id})
        outside = TRACE.set(span.traceparent)
        try:
            answer = route.handler(request)
        except Exception as error:
            span.end({}, error=_word(error))
            raise
        finally:
            TRACE.reset(outside)
        if isinstance(answer, (Response, Stream)):
            return _ended(span, answer)
        return _settled(span, answer)

    return handle


async def _settled(span: Span, answer: Awaitable[Answer]) -> Answer:
    outside = TRACE.set(span.traceparent)
    try:
        return _ended(span, await answer)
    except Exception as error:
        span.end({}, error=_word(error))
        raise
    finally:
        TRACE.reset(outside)


def _ended(span: Span, answer: Answer) -> Answer:
    """A stream's step ends with its head: how long it stays is told by the lines about connections."""
    span.end({"http.response.status_code": answer.status}, error="server_error" if answer.status >= 500 else "")
    return answer


def _word(error: Exception) -> str:
    return error.code if isinstance(error, ApplianceError) else type(error).__name__
