"""Requests as plugins read them, and their answers as they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeVar, get_type_hints, overload

import msgspec

from appliance.api import Caller, Misdeclared, Rejected, Response
from appliance.config.strict import closest
from appliance.ingress import jsontext
from appliance.ingress.labels import memory_of
from appliance.model import http

__all__ = ["Asking", "asking", "rendered"]

T = TypeVar("T")

RESERVED = frozenset({"connection", "content-length", "content-type", "date", "server", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True)
class Asking:
    """`appliance.api.Request`."""

    _request: http.Request
    caller: Caller | None
    memory: str

    @property
    def method(self) -> str:
        return self._request.method

    @property
    def path(self) -> str:
        return self._request.path

    @property
    def query(self) -> Mapping[str, str]:
        return self._request.query

    @property
    def headers(self) -> Mapping[str, str]:
        return self._request.headers

    @property
    def body(self) -> bytes:
        return self._request.body

    @property
    def idempotency_key(self) -> str:
        return self._request.headers.get("idempotency-key", "")

    @property
    def id(self) -> str:
        return self._request.request_id

    @overload
    async def json(self) -> Any: ...

    @overload
    async def json(self, into: type[T]) -> T: ...

    async def json(self, into: Any = None) -> Any:
        """See `appliance.api.Request.json`."""
        jsontext.check(self.body, unique_names=True)
        value = msgspec.json.decode(self.body)
        if into is None:
            return value
        _refuse_unknown(value, into, "")
        try:
            return msgspec.convert(value, into)
        except msgspec.ValidationError as error:
            raise Rejected(str(error)) from error


def asking(request: http.Request) -> Asking:
    """The request of somebody whose scope was checked already.

    Raises:
        Forbidden: the memory is none of the caller's.
        Rejected: the caller is bound to several memories and names none.
    """
    who = request.principal
    memory = request.memory or ""
    if who is None:
        return Asking(request, None, memory)
    caller = Caller(who.subject, who.namespace.id, who.scopes, who.memories)
    return Asking(request, caller, memory_of(who, memory))


def rendered(value: object, status: int) -> http.Response:
    """The answer that a handler gave.

    Raises:
        Misdeclared, TypeError, ValueError: it is nothing that can be sent.
    """
    if not isinstance(value, Response):
        if value is None:
            return http.Response(204, b"", "")
        return http.Response(status, msgspec.json.encode(value))
    if not 200 <= value.status <= 599:
        raise Misdeclared(f"an answer has a status from 200 to 599, not {value.status}")
    headers = tuple((name.lower(), text) for name, text in value.headers.items())
    for name, text in headers:
        if name in RESERVED or not name.isascii() or not (name + text).isprintable():
            raise Misdeclared(f"an answer cannot have this header: {name!r}")
    match value.body:
        case None:
            return http.Response(value.status, b"", value.content_type, headers)
        case bytes(body):
            return http.Response(value.status, body, value.content_type or "application/octet-stream", headers)
        case str(text):
            kind = value.content_type or "text/plain; charset=utf-8"
            return http.Response(value.status, text.encode(), kind, headers)
        case other:
            kind = value.content_type or "application/json"
            return http.Response(value.status, msgspec.json.encode(other), kind, headers)


def _refuse_unknown(value: object, into: Any, path: str) -> None:
    """msgspec ignores unknown members of dataclasses; a typing error must not be ignored."""
    if not (is_dataclass(into) and isinstance(value, dict)):
        return
    hints = get_type_hints(into)
    for name, inner in value.items():
        if name not in hints:
            raise Rejected(f"unknown member {name!r} at {path or 'the top'}", hint=closest(name, hints))
        _refuse_unknown(inner, hints[name], f"{path}.{name}".lstrip("."))
