"""Answers requests for a plugin: its routes, as the table of the front wants them.

A route stays in the table as long as its plugin is known to have it. While the plugin is parked it says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog
import trio

from appliance.api import RouteDoor, Unavailable
from appliance.errors import ApplianceError
from appliance.model.event import Namespace
from appliance.model.http import Lane, Request, Response, Route
from appliance.model.principal import ADMIN, MCP, Principal
from appliance.plugins.asking import Asked
from appliance.plugins.border import Crash, contained
from appliance.plugins.cause import Cause
from appliance.plugins.context import PluginContext
from appliance.plugins.desk import Desk
from appliance.plugins.requests import asking, rendered

__all__ = ["PluginFailed", "Reception", "visitor"]

log = structlog.get_logger("plugins")

TIMEOUT = 30.0  # seconds of one request


class PluginFailed(ApplianceError):
    """A plugin's handler went wrong, or gave what cannot be sent. Status and log have the details."""

    code = "plugin_failed"


@dataclass(frozen=True, slots=True)
class Reception:
    """One plugin's.

    Args:
        desk: of the plugin while it runs; None: it does not.
        crash: why it does not run.
        failed: is told of a handler that went wrong, and of which.
    """

    plugin: str
    desk: Callable[[], Desk[Any] | None]
    crash: Callable[[], Crash]
    failed: Callable[[str, Exception], None]

    def route(self, door: RouteDoor, ask: Asked) -> Route:
        """A row of the front's table."""

        async def answer(request: Request) -> Response:
            return await self.answer(door, ask, request)

        return Route(
            door.method,
            door.path,
            answer,
            door.summary or f"{door.method} {door.path} of plugin {self.plugin}",
            scope=door.scope,
            lane=Lane.FAST,
            request=door.request,
            answer=door.answer,
            tags=(self.plugin,),
        )

    async def answer(self, door: RouteDoor, ask: Asked, request: Request) -> Response:
        """Call the handler, within its time.

        Raises:
            PluginFailed: it went wrong.
            Unavailable: the plugin does not run, or took too long.
        """
        desk = self.desk()
        if desk is None:
            raise self._parked(request.principal)
        said = asking(request)
        given = ask.converted(request.params)
        context = PluginContext(desk, visitor(desk, request, said.memory))
        offers = context.offers(request=said)
        try:
            with trio.move_on_after(TIMEOUT):
                value = await contained(ask, offers, given, aside=desk.threads if door.blocking else None)
                return rendered(value, door.status)
        except ApplianceError as error:
            if error.status < 500 or isinstance(error, Unavailable):
                raise
            raise self._failed(ask.what, error) from error
        except Exception as error:
            raise self._failed(ask.what, error) from error
        late = Unavailable(f"plugin {self.plugin} gave no answer within {TIMEOUT:g} s", hint="try again later")
        self.failed(ask.what, late)
        raise late

    def _parked(self, who: Principal | None) -> Unavailable:
        """Why there is no answer; what went wrong inside is for admins."""
        crash = self.crash()
        because = f": {crash.reason}" if crash.reason and who is not None and who.may(ADMIN) else ""
        return Unavailable(
            f"plugin {self.plugin} does not run{because}",
            hint=crash.hint
            if because and crash.hint
            else f"an admin begins it again: appliance plugin restart {self.plugin}",
            retry_after=30 if crash.reason else 1,  # without a reason it is only being loaded
        )

    def _failed(self, what: str, error: Exception) -> PluginFailed:
        self.failed(what, error)
        log.error("plugin failed", plugin=self.plugin, what=what, exc_info=error)
        return PluginFailed(
            f"plugin {self.plugin} went wrong; it is not your fault",
            hint="the log has the details under this request_id; an admin sees the last one under Plugins",
            plugin=self.plugin,
        )


def visitor(desk: Desk[Any], request: Request, memory: str) -> Cause:
    """On whose behalf a request is answered."""
    who = request.principal
    space: Namespace = desk.ports.spaces()[0] if who is None else who.namespace
    said = (request.method, request.path, request.raw_query, request.body)
    fingerprint = hashlib.sha256(msgspec.json.encode(said)).digest()
    cause = Cause(space, memory, fingerprint=fingerprint)
    if who is None:
        return cause
    agent = MCP in who.scopes and ADMIN not in who.scopes
    return replace(cause, actor={"kind": "agent" if agent else "user", "id": who.subject})
