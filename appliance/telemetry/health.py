"""How it is, at three speeds.

    GET /livez, /health/live   the loop answers; nothing else is asked
    GET /readyz                whether work may be sent here: the writer answers and can write, nothing starts or stops
    GET /health                all about it in one object; `status` is "ok" as clients of the message-store API expect

`/health` and `/readyz` say 503 while we stop. A disk that is full makes us not ready, and healthy still: reads and
live streams go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import trio

from appliance.errors import Unavailable
from appliance.model.http import Lane, Request, Response, Route, json_response

__all__ = ["Health", "HealthJson", "Lifecycle", "Ready"]

PATIENCE = 2.0  # seconds until a writer that does not answer is called silent

_NO_STORE = (("cache-control", "no-store"),)
_ALIVE = Response(200, b'{"status":"ok"}', headers=_NO_STORE)


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of `/readyz`."""

    status: str  # "ready", "not_ready"
    reason_code: str = ""  # "initializing", "draining", "required_dependency_unavailable"
    detail: str = ""


class Lifecycle(msgspec.Struct, frozen=True):
    ready: bool
    draining: bool


class HealthJson(msgspec.Struct, frozen=True):
    """The answer of `/health`."""

    status: str  # "ok"; "draining"
    healthy: bool  # the same as a yes or no
    version: str
    backend_type: str
    backend_healthy: bool  # whether the newest write succeeded
    job_processing: str  # "running", "paused"
    lifecycle: Lifecycle
    capabilities: dict[str, bool]
    dependencies: dict[str, str]  # by name: "ok", "unavailable"
    sse: Mapping[str, int]  # the nine counts of the event streams


class _Log(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def trouble(self) -> Unavailable | None: ...

    async def probe(self) -> None: ...


class Health:
    """The routes.

    Args:
        state: one word for all services, see `status.overall`.
        streams: the nine counts.
        paused: whether jobs wait for somebody to let them go on.
        auth_required: whether callers need a token.
    """

    def __init__(
        self,
        version: str,
        log: _Log,
        *,
        state: Callable[[], str],
        streams: Callable[[], Mapping[str, int]],
        paused: Callable[[], bool],
        auth_required: bool,
    ) -> None:
        self._version = version
        self._log = log
        self._state = state
        self._streams = streams
        self._paused = paused
        self._capabilities = {"auth_required": auth_required}

    def routes(self) -> tuple[Route, ...]:
        def route(
            method: str,
            path: str,
            handler: Callable[[Request], Response | Awaitable[Response]],
            summary: str,
            answer: type | None = None,
        ) -> Route:
            return Route(method, path, handler, summary, lane=Lane.FAST, answer=answer, tags=("operations",))

        return (
            route("*", "/health", self.health, "How the server is; 503 while it stops", HealthJson),
            route("GET", "/health/live", self.alive, "Whether the process answers"),
            route("GET", "/livez", self.alive, "Whether the process answers"),
            route("GET", "/readyz", self.ready, "Whether it can do its work now; 503 and why, if not", Ready),
        )

    def alive(self, request: Request) -> Response:
        return _ALIVE

    async def ready(self, request: Request) -> Response:
        found = await self._readiness()
        return json_response(found, 200 if found.status == "ready" else 503, _NO_STORE)

    def health(self, request: Request) -> Response:
        state, trouble = self._state(), self._log.trouble
        draining = state == "stopping"
        told = HealthJson(
            status="draining" if draining else "ok",
            healthy=not draining,
            version=self._version,
            backend_type=self._log.kind,
            backend_healthy=trouble is None,
            job_processing="paused" if self._paused() else "running",
            lifecycle=Lifecycle(ready=state in ("well", "degraded") and trouble is None, draining=draining),
            capabilities=self._capabilities,
            dependencies={"storage": "ok" if trouble is None else "unavailable"},
            sse=self._streams(),
        )
        return json_response(told, 503 if draining else 200, _NO_STORE)

    async def _readiness(self) -> Ready:
        match self._state():
            case "starting":
                return Ready("not_ready", "initializing")
            case "stopping":
                return Ready("not_ready", "draining")
        try:
            with trio.fail_after(PATIENCE):
                await self._log.probe()
        except Unavailable as trouble:
            return Ready("not_ready", "required_dependency_unavailable", trouble.message)
        except trio.TooSlowError:
            silent = f"the log has not answered for {PATIENCE:g} s"
            return Ready("not_ready", "required_dependency_unavailable", silent)
        return Ready("ready")
