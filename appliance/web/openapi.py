"""The OpenAPI 3.1 document, made of the route table: what is declared is what is described."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from appliance.model.http import Lane, Request, Response, Route, SocketRoute
from appliance.web.router import parameters

__all__ = ["document", "openapi_route"]

Json = dict[str, Any]

_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457: what happened, and what to do.",
    "required": ["status", "code", "message"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable, snake_case"},
        "message": {"type": "string"},
        "hint": {"type": "string", "description": "the next step"},
        "request_id": {"type": "string"},
    },
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def document(
    routes: Sequence[Route], sockets: Sequence[SocketRoute] = (), *, title: str = "appliance", version: str = "0"
) -> Json:
    """The document of an API, as plain values."""
    types = [type for route in routes for type in (route.request, route.answer) if type is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, schemas, strict=True))
    paths: Json = {}
    for route in routes:
        at = paths.setdefault(_plain(route.path), {})
        for method in _METHODS if route.method == "*" else (route.method,):
            at.setdefault(method.lower(), _operation(route, method, schema_of))
    for socket in sockets:
        paths.setdefault(_plain(socket.path), {}).setdefault("get", _upgrade(socket))
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **components},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def openapi_route(describe: Callable[[], Json], changing: Callable[[], object] = lambda: None) -> Route:
    """`GET /openapi.json`. The document is made on the first request, and anew when `changing` gives something else."""
    known: list[tuple[object, bytes]] = []

    def openapi(_: Request) -> Response:
        now = changing()
        if not known or known[0][0] != now:
            known[:] = [(now, msgspec.json.encode(describe()))]
        return Response(200, known[0][1])

    return Route("GET", "/openapi.json", openapi, "This API, as OpenAPI 3.1.", lane=Lane.FAST, tags=("operations",))


def _operation(route: Route, method: str, schema_of: dict[type, Json]) -> Json:
    operation: Json = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{route.path}").strip("_"),
        "responses": {"200": _ok(route, schema_of), "default": _problem()},
    }
    if route.tags:
        operation["tags"] = list(route.tags)
    if parameters(route.path):
        operation["parameters"] = _parameters(route.path)
    if route.request is not None and method != "GET":
        operation["requestBody"] = {"required": True, "content": _json(schema_of[route.request])}
    elif route.streaming:
        operation["requestBody"] = {"content": {"application/octet-stream": {}}}
    if route.scope is not None or route.guarded:
        operation["security"] = [{"token": []}]
    if route.scope is not None:
        operation["x-scope"] = route.scope
    return operation


def _upgrade(socket: SocketRoute) -> Json:
    operation: Json = {
        "summary": socket.summary,
        "operationId": re.sub(r"\W+", "_", f"socket{socket.path}").strip("_"),
        "description": "A WebSocket: ask with `Upgrade: websocket`.",
        "responses": {"101": {"description": "upgraded"}, "default": _problem()},
    }
    if parameters(socket.path):
        operation["parameters"] = _parameters(socket.path)
    if socket.scope is not None:
        operation["security"] = [{"token": []}]
        operation["x-scope"] = socket.scope
    return operation


def _parameters(path: str) -> list[Json]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters(path)]


def _ok(route: Route, schema_of: dict[type, Json]) -> Json:
    if route.answer is None:
        return {"description": "done"}
    return {"description": "done", "content": _json(schema_of[route.answer])}


def _problem() -> Json:
    return {
        "description": "refused or failed",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _plain(path: str) -> str:
    return path.replace(":path}", "}")
