"""Plugins over HTTP, for admins: how they are, what they show and keep, and begin again.

GET  /api/v1/plugins                      all, with their doors, consumers and configuration
GET  /api/v1/plugins/NAME                 one
GET  /api/v1/plugins/NAME/panels          its cards, evaluated now
GET  /api/v1/plugins/NAME/state           what it keeps in the caller's namespace
POST /api/v1/plugins/NAME/restart         code and configuration afresh
POST /api/v1/plugins/NAME/actions/ACTION  the body's members are the action's arguments
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from appliance.errors import Rejected
from appliance.ingress import jsontext
from appliance.model.http import Lane, Request, Response, Route, json_response
from appliance.model.principal import ADMIN, Principal
from appliance.plugins.border import PanelView
from appliance.plugins.host import Host
from appliance.plugins.status import PluginStatus

__all__ = ["plugin_routes"]

PATH = "/api/v1/plugins"
PAGE = 100  # values of a page, unless asked for otherwise
LARGEST_PAGE = 1000
_NO_STORE = (("cache-control", "no-store"),)


class PanelList(msgspec.Struct):
    panels: tuple[PanelView, ...]


class Kept(msgspec.Struct):
    key: str
    value: Any
    version: int


class KeptList(msgspec.Struct):
    items: list[Kept]
    count: int  # of all that begin so
    next: str | None  # `after` of the next page


def plugin_routes(host: Host) -> tuple[Route, ...]:
    """The routes."""
    rows = _Management(host)
    tags, one = ("plugins",), f"{PATH}/{{plugin}}"

    def route(method: str, path: str, handler: Any, summary: str, answer: type | None = None) -> Route:
        return Route(method, path, handler, summary, scope=ADMIN, lane=Lane.FAST, answer=answer, tags=tags)

    return (
        route("GET", PATH, rows.all, "All plugins: how they are, what they bring, and their configuration"),
        route("GET", one, rows.one, "One plugin"),
        route("GET", f"{one}/panels", rows.panels, "The cards of a plugin, as they are now", PanelList),
        route("GET", f"{one}/state", rows.state, "What a plugin keeps: ?prefix, ?after, ?limit", KeptList),
        route("POST", f"{one}/restart", rows.restart, "Load a plugin afresh, code and configuration", PluginStatus),
        route("POST", f"{one}/actions/{{action}}", rows.act, "Ask for an action; the body holds its arguments"),
    )


class _Management:
    def __init__(self, host: Host) -> None:
        self._host = host

    def all(self, request: Request) -> Response:
        return json_response({"plugins": [self._row(one) for one in self._host.snapshot()]}, headers=_NO_STORE)

    def one(self, request: Request) -> Response:
        return json_response(self._row(self._host.status(request.params["plugin"])), headers=_NO_STORE)

    async def panels(self, request: Request) -> Response:
        views = await self._host.panels(self._host.status(request.params["plugin"]).name)
        return json_response(PanelList(views), headers=_NO_STORE)

    async def state(self, request: Request) -> Response:
        name = self._host.status(request.params["plugin"]).name
        prefix, after, limit = request.query.get("prefix", ""), request.query.get("after", ""), _limit(request)
        rows, count = await self._host.kept(name, _caller(request).namespace.key, prefix, after, limit)
        items = [Kept(row.key, msgspec.json.decode(row.value), row.version) for row in rows]
        more = rows[-1].key if len(rows) == limit else None
        return json_response(KeptList(items, count, more), headers=_NO_STORE)

    async def restart(self, request: Request) -> Response:
        name = request.params["plugin"]
        await self._host.restarted(name)
        return json_response(self._row(self._host.status(name)), headers=_NO_STORE)

    async def act(self, request: Request) -> Response:
        given: Any = {}
        if request.body:
            jsontext.check(request.body, unique_names=True)
            given = msgspec.json.decode(request.body)
        if not isinstance(given, dict):
            raise Rejected("the arguments of an action are one object", hint='send {"name": value}')
        who = _caller(request)
        actor = {"kind": "user", "id": who.subject}
        result = await self._host.act(
            request.params["plugin"], request.params["action"], given, who.namespace, actor=actor
        )
        return json_response({"result": result})

    def _row(self, status: PluginStatus) -> dict[str, Any]:
        return asdict(status) | {"config": [asdict(one) for one in self._host.config(status.name)]}


def _caller(request: Request) -> Principal:
    assert request.principal is not None  # the routes have a scope
    return request.principal


def _limit(request: Request) -> int:
    text = request.query.get("limit", str(PAGE))
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PAGE:
        raise Rejected(f"limit is a number from 1 to {LARGEST_PAGE}, not {text[:20]!r}")
    return int(text)
