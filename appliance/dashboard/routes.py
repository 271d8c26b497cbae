"""The dashboard over HTTP: one page for every address of it, and the files it loads.

The page holds nothing secret and is the same for everybody: who looks at it shows a token to the API, as any client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from appliance.dashboard.assets import Asset, Assets, files_of
from appliance.errors import NotFound
from appliance.model.http import Lane, Request, Response, Route

__all__ = ["dashboard_routes"]

PATH = "/dashboard"
ASSETS = f"{PATH}/assets"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
GUARDS = (
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("vary", "accept-encoding"),
)
FOR_EVER = "public, max-age=31536000, immutable"  # the address changes with the bytes
LOOK_AGAIN = "no-cache"


def dashboard_routes(snippets: Mapping[str, str]) -> tuple[Route, ...]:
    """The pages.

    Args:
        snippets: programs that verify a webhook, by language.
    """
    files = files_of("appliance.dashboard", "static") | {"snippets.json": json.dumps(dict(snippets)).encode()}
    assets = Assets(files, base=ASSETS)

    def page(request: Request) -> Response:
        return _sent(request, assets.page, LOOK_AGAIN)

    def asset(request: Request) -> Response:
        found = assets.find(request.params["digest"], request.params["path"])
        if found is None:
            raise NotFound("this file of the dashboard is not there any more", hint="load the page again")
        return _sent(request, found, FOR_EVER)

    tags = ("dashboard",)
    return (
        Route("GET", "/welcome", page, "The dashboard, as a one-time link opens it", lane=Lane.FAST, tags=tags),
        Route("GET", PATH, page, "The dashboard", lane=Lane.FAST, tags=tags),
        Route("GET", f"{ASSETS}/{{digest}}/{{path:path}}", asset, "A file of it", lane=Lane.FAST, tags=tags),
        Route("GET", f"{PATH}/{{page:path}}", page, "A page of it", lane=Lane.FAST, tags=tags),
    )


def _sent(request: Request, asset: Asset, keeping: str) -> Response:
    headers = (*GUARDS, ("etag", asset.etag), ("cache-control", keeping))
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(304, b"", "", headers)
    if asset.compressed and _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(200, asset.compressed, asset.content_type, (*headers, ("content-encoding", "gzip")))
    return Response(200, asset.body, asset.content_type, headers)


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
