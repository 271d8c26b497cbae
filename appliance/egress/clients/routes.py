"""Who is connected, over HTTP: for the command line and the dashboard."""

from __future__ import annotations

from appliance.egress.clients.service import Manager
from appliance.errors import Rejected, Unauthenticated
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN, Principal

__all__ = ["clients_routes"]

REASON = "closed by an admin"  # unless they say another
LONGEST = 120  # bytes of a reason: a close frame holds 123


def clients_routes(manager: Manager) -> tuple[Route, ...]:
    """List and close. Both need an admin's token; only the operator sees beyond its own namespace."""

    def listed(request: Request) -> Response:
        return json_response({"clients": manager.rows(_viewer(request))}, headers=(("cache-control", "no-store"),))

    def close(request: Request) -> Response:
        manager.close(_viewer(request), request.params["client_id"], _reason(request))
        return Response(204)

    path, tags = "/api/v1/clients", ("clients",)
    return (
        Route("GET", path, listed, "Live connections, longest first", scope=ADMIN, tags=tags),
        Route("DELETE", path + "/{client_id}", close, "End a live connection (1008)", scope=ADMIN, tags=tags),
    )


def _reason(request: Request) -> str:
    reason = request.query.get("reason", "").strip() or REASON
    if len(reason.encode()) > LONGEST or not reason.isprintable():
        raise Rejected(f"a reason has up to {LONGEST} bytes and no control characters")
    return reason


def _viewer(request: Request) -> Principal:
    if request.principal is None:
        raise Unauthenticated("this needs a token")
    return request.principal
