"""The configuration over HTTP: what `config explain` shows, for the dashboard."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from appliance.config.explain import Explained, explain
from appliance.config.load import Loaded
from appliance.errors import Forbidden
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN

__all__ = ["ConfigJson", "config_route"]


class ConfigJson(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/config`."""

    file: str | None  # None: there is none
    keys: list[Explained]


def config_route(loaded: Callable[[], Loaded]) -> Route:
    """`GET /api/v1/config`: what is in force, where each value comes from. Secrets are never shown."""

    def answer(request: Request) -> Response:
        if request.principal is None or not request.principal.operator:
            raise Forbidden("the configuration is that of all namespaces", hint="ask with a token of namespace default")
        now = loaded()
        file = None if now.file is None else str(now.file)
        return json_response(ConfigJson(file, explain(now)), headers=(("cache-control", "no-store"),))

    return Route(
        "GET",
        "/api/v1/config",
        answer,
        "Every key with its value, origin and meaning",
        scope=ADMIN,
        answer=ConfigJson,
        tags=("operations",),
    )
