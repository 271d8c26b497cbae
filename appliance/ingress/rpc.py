"""The message-store API over `POST /rpc`.

A handler begins synchronously: a write is queued and a version answered before anything is awaited, so
that calls which arrive together are written together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Counter

from appliance.auth.dialect import DialectError, in_dialect
from appliance.errors import ApplianceError
from appliance.ingress.calls import Call, parse_call
from appliance.model.http import Answer, Request, Response
from appliance.model.principal import Principal

__all__ = ["Method", "Reply", "Rpc", "only", "reply"]

T = TypeVar("T")

Method = Callable[[Principal, Call, Request], Answer | Awaitable[Answer]]

_encode = msgspec.json.Encoder().encode


class Reply(Generic[T]):
    """Work that has begun, and how its result becomes an answer. Nothing is lost if nobody awaits it.

    When the work `tells` that it is done (a ticket of the log does), so does the reply, and the front needs no
    task to wait for it.
    """

    __slots__ = ("_render", "_work", "tells")

    def __init__(self, work: Awaitable[T], render: Callable[[T], Answer]) -> None:
        self._work: Any = work
        self._render = render
        self.tells: bool = getattr(work, "tells", False)

    @property
    def done(self) -> bool:
        return bool(self._work.done)

    def tell(self, then: Callable[[], object]) -> None:
        self._work.tell(then)

    def result(self) -> Answer:
        try:
            return self._render(self._work.result())
        except ApplianceError as error:
            return in_dialect(error).response()

    def __await__(self) -> Generator[Any, Any, Answer]:
        try:
            return self._render((yield from self._work.__await__()))
        except ApplianceError as error:
            return in_dialect(error).response()


def reply(value: object) -> Response:
    """A JSON value and the newline that ends every answer of this API."""
    return Response(200, _encode(value) + b"\n")


def only(method: str, request: Request) -> None:
    """Raises DialectError 405."""
    if request.method != method:
        raise DialectError(405, "INVALID_REQUEST", f"Only {method} method allowed")


class Rpc:
    """Takes calls apart, finds their method, and puts every refusal into the API's form.

    Args:
        methods: by name; each gets the caller, who is authenticated, and the call.
    """

    def __init__(self, methods: dict[str, Method], registry: CollectorRegistry) -> None:
        self._methods = methods
        calls = Counter("appliance_rpc_calls", "Message-store calls, by method.", ["method"], registry=registry)
        self._count = {name: calls.labels(name).inc for name in methods}
        self._refused = Counter("appliance_rpc_refused", "Message-store calls refused at once.", registry=registry).inc

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a call whose `request.principal` is known (see `Identity.guarded`)."""
        assert request.principal is not None
        try:
            only("POST", request)
            name, call = parse_call(request.body)
            method = self._methods.get(name)
            if method is None:
                raise DialectError(404, "METHOD_NOT_FOUND", f"Unknown method: {name}")
            self._count[name]()
            return method(request.principal, call, request)
        except ApplianceError as error:
            self._refused()
            return in_dialect(error).response()
