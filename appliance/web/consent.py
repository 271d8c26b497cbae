"""The page on which an admin lets a client act for them, or does not.

It is the same for everyone and holds no secret. Its script asks what the client wants, sends the answer with the
admin's token in a header, and goes on to the address it is told: no cookie is involved, so no other page can answer.
"""

from __future__ import annotations

from appliance.model.http import Lane, Request, Response, Route
from appliance.web.page import HTML, page

__all__ = ["consent_page"]


def consent_page() -> Route:
    """`GET /oauth/authorize`."""
    shown = page("consent")
    body = shown.source.encode()

    def answer(_: Request) -> Response:
        return Response(200, body, HTML, shown.headers)

    return Route(
        "GET",
        "/oauth/authorize",
        answer,
        "The page on which an admin lets a client act for them",
        lane=Lane.FAST,
        tags=("oauth",),
    )
