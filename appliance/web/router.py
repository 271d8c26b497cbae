"""Which handler answers a request: the one route table, compiled.

A path stands for itself or is a template: `{name}` matches one segment, `{name:path}` the rest.
Exact paths win over templates, earlier templates over later ones.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import structlog
import trio

from appliance.errors import ApplianceError, Broken, MethodNotAllowed, NotFound, PeerFailed
from appliance.model.http import Answer, Handler, Lane, Request, Response, Route, SocketRoute, problem
from appliance.model.principal import Principal
from appliance.web.limits import Limits

__all__ = ["ID_HEADER", "Around", "Authenticate", "Plan", "Router", "compile_path", "failure", "named", "parameters"]

log = structlog.get_logger("web")

ID_HEADER = "x-request-id"

Authenticate = Callable[[Request], Principal]  # raises Unauthenticated
Around = Callable[[Route], Handler]  # what is asked instead of a route's handler, and asks that

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a request will be answered. Shared by all requests to a route without parameters."""

    lane: Lane
    limit: int | None  # bytes of body accepted
    streaming: bool
    begin: Callable[[Request], Answer | Awaitable[Answer]]  # may raise; see `failure`
    params: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Path:
    """All methods of one path."""

    methods: dict[str, Route] = field(default_factory=dict)

    def route(self, method: str) -> Route | None:
        found = self.methods.get(method) or self.methods.get("*")
        return self.methods.get("GET") if found is None and method == "HEAD" else found

    @property
    def allow(self) -> str:
        methods = set(self.methods) | {"OPTIONS"}
        return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


class Router:
    """Finds routes, checks scopes, and answers for what is not there.

    Raises:
        ValueError: two routes claim the same method and path.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        sockets: Iterable[SocketRoute] = (),
        *,
        authenticate: Authenticate,
        limits: Limits,
        around: Around | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._around = around
        self._limits = limits
        self._exact: dict[str, _Path] = {}
        self._templates: dict[str, tuple[re.Pattern[str], _Path]] = {}
        self._plans: dict[Route, Plan] = {}  # by route; only parameters differ
        self.edition = 0  # of the table: higher after each change
        for route in routes:
            self._add(route)
        self._sockets = [(compile_path(socket.path), socket) for socket in sockets]

    def mount(self, gone: Sequence[Route], new: Sequence[Route]) -> None:
        """Take some routes away and bring others, while requests are answered. What is being answered goes on.

        Raises:
            ValueError: one is taken, or lies where others answer already; of `new` there is none then.
        """
        self.edition += 1
        for route in gone:
            self._remove(route)
        others = list(self._templates.items())
        added: list[Route] = []
        try:
            for route in new:
                self._check_free(route, others)
                self._add(route)
                added.append(route)
        except ValueError:
            for route in added:
                self._remove(route)
            raise

    def plan(self, method: str, path: str) -> Plan:
        """What to do with a request; never fails, since a refusal is a plan too."""
        found, params = self._find(path)
        if path == "*":
            return self._refusal(_allowed(""))
        if found is None:
            return self._refusal(_not_found)
        route = found.route(method)
        if route is not None:
            return self._serve(route, params)
        return self._refusal(_allowed(found.allow) if method == "OPTIONS" else _not_allowed(found.allow))

    def socket(self, path: str) -> tuple[SocketRoute, dict[str, str]] | None:
        """The WebSocket endpoint at `path`, and what its template found there."""
        for pattern, route in self._sockets:
            match = pattern.fullmatch(path)
            if match is not None:
                return route, match.groupdict()
        return None

    def allow(self, request: Request, scope: str | None) -> None:
        """Find out who asks, and whether they may.

        Raises:
            Unauthenticated, Forbidden
        """
        if scope is not None:
            request.principal = self._authenticate(request)
            request.principal.require(scope)

    # -- inside -----------------------------------------------------------------------------

    def _add(self, route: Route) -> None:
        if "{" in route.path:
            path = self._templates.setdefault(route.path, (compile_path(route.path), _Path()))[1]
        else:
            path = self._exact.setdefault(route.path, _Path())
        if route.method in path.methods:
            raise ValueError(f"two routes for {route.method} {route.path}")
        path.methods[route.method] = route

    def _remove(self, route: Route) -> None:
        paths = self._templates if "{" in route.path else self._exact
        found = paths[route.path]
        path = found[1] if isinstance(found, tuple) else found
        del path.methods[route.method]
        if not path.methods:
            del paths[route.path]
        self._plans.pop(route, None)

    def _check_free(self, route: Route, others: Sequence[tuple[str, tuple[re.Pattern[str], _Path]]]) -> None:
        """An exact path would win over a template of others, and a template lose against one of its form."""
        for text, (pattern, _) in others:
            same = text != route.path and _PARAMETER.sub("{}", text) == _PARAMETER.sub("{}", route.path)
            if same or ("{" not in route.path and pattern.fullmatch(route.path)):
                raise ValueError(f"{route.method} {route.path} lies under {text}, which others answer already")

    def _find(self, path: str) -> tuple[_Path | None, dict[str, str]]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        for pattern, templated in self._templates.values():
            match = pattern.fullmatch(path)
            if match is not None:
                return templated, match.groupdict()
        return None, {}

    def _serve(self, route: Route, params: dict[str, str]) -> Plan:
        plan = self._plans.get(route)
        if plan is None:
            plan = self._plans[route] = self._plan_for(route)
        return replace(plan, params=params) if params else plan

    def _plan_for(self, route: Route) -> Plan:
        limit = route.body_limit
        if limit is None and not route.streaming:
            limit = self._limits.json_body
        return Plan(route.lane, limit, route.streaming, self._guarded(route))

    def _guarded(self, route: Route) -> Callable[[Request], Answer | Awaitable[Answer]]:
        handler = route.handler if self._around is None else self._around(route)
        if route.scope is None:
            return handler
        scope = route.scope

        def guarded(request: Request) -> Answer | Awaitable[Answer]:
            self.allow(request, scope)
            return handler(request)

        return guarded

    def _refusal(self, answer: Callable[[Request], Response]) -> Plan:
        return Plan(Lane.FAST, self._limits.json_body, False, answer)


def compile_path(template: str) -> re.Pattern[str]:
    """A pattern for `/notes/{note_id}` or `/files/{name:path}`."""
    parts = _PARAMETER.split(template)
    pattern = re.escape(parts[0])
    for name, rest, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{'.+' if rest else '[^/]+'}){re.escape(literal)}"
    return re.compile(pattern)


def parameters(template: str) -> list[str]:
    """Names in a template, in order."""
    return [match[1] for match in _PARAMETER.finditer(template)]


def failure(error: Exception, request: Request) -> Response:
    """The answer for a handler that raised: ours as they are, everything else as a counted bug."""
    if isinstance(error, ApplianceError) and not isinstance(error, Broken):
        return _problem(error, request)
    if isinstance(error, trio.BrokenResourceError):  # the peer left its own body; nobody will read this
        return _problem(PeerFailed("the connection broke"), request)
    log.error("handler failed", method=request.method, request_id=request.request_id, exc_info=error)
    hint = "the log of the appliance has the details under this request_id"
    return _problem(Broken("something went wrong here; it is not your fault", hint=hint), request)


def _problem(error: ApplianceError, request: Request) -> Response:
    return named(problem(error, request.request_id), request)


def named(answer: Response, request: Request) -> Response:
    """The answer under the id of its request."""
    if any(name.lower() == ID_HEADER for name, _ in answer.headers):
        return answer
    return Response(answer.status, answer.body, answer.content_type, (*answer.headers, (ID_HEADER, request.request_id)))


# -- what is not there ------------------------------------------------------------------------

_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Not here</title>
<h1>Not here</h1><p>Nothing is served at this address. <a href="/">What runs here, and how to connect</a></p></html>
"""


def _not_found(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return Response(404, _PAGE, "text/html; charset=utf-8")
    answer = _problem(NotFound("Endpoint not found", hint="GET /openapi.json lists what is here"), request)
    # Clients of the message-store API look for exactly this `error`.
    body = msgspec.json.decode(answer.body) | {"error": {"code": "NOT_FOUND", "message": "Endpoint not found"}}
    return Response(404, msgspec.json.encode(body), "application/json", answer.headers)


def _not_allowed(allow: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        error = MethodNotAllowed(f"{request.method} is not served at {request.path}", hint=f"use {allow}")
        response = _problem(error, request)
        response.headers += (("allow", allow),)
        return response

    return answer


def _allowed(allow: str) -> Callable[[Request], Response]:
    return lambda _: Response(204, b"", "", (("allow", allow),))
