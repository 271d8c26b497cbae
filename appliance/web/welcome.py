"""The first visit: the page that a one-time link opens.

It is the same for everyone and holds no secret. Its script takes the code out of the fragment, exchanges it for a
token, keeps that for the tab alone, and then shows what happens here and sends a first event.
"""

from __future__ import annotations

from appliance.model.http import Lane, Request, Response, Route
from appliance.web.page import HTML, page

__all__ = ["welcome_page"]


def welcome_page() -> Route:
    """`GET /welcome`."""
    shown = page("welcome")
    body = shown.source.encode()

    def answer(_: Request) -> Response:
        return Response(200, body, HTML, shown.headers)

    return Route("GET", "/welcome", answer, "The page that a one-time link opens.", lane=Lane.FAST, tags=("access",))
