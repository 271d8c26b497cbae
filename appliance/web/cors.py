"""Answers that pages of listed origins may read (CORS, as the Fetch standard has it).

Only requests that carry an Origin come here, so everybody else's answers cost nothing more. No cookie is ever
looked at, so credentials are not allowed: a page brings a token.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from appliance.model.http import Answer, Request
from appliance.web.answers import begin, settle

__all__ = ["readable"]

REMEMBERED = 600  # seconds a browser may keep the answer to a preflight
SHOWN = "Retry-After, X-Request-Id, X-Global-Position"  # fields a page may read besides the few it always may

_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z, -]{1,1024}")


def readable(
    origin: str, handler: Callable[[Request], Answer | Awaitable[Answer]]
) -> Callable[[Request], Awaitable[Answer]]:
    """The same handler, whose answers, refusals too, say that pages of `origin` may read them."""

    async def shown(request: Request) -> Answer:
        return _show(origin, request, await settle(begin(handler, request), request))

    return shown


def _show(origin: str, request: Request, answer: Answer) -> Answer:
    present = {name.lower(): value for name, value in answer.headers}
    fields = (
        ("access-control-allow-origin", origin),
        ("access-control-expose-headers", SHOWN),
        ("vary", "Origin"),
        *_preflight(request, present.get("allow", "")),
    )
    return replace(answer, headers=answer.headers + tuple(field for field in fields if field[0] not in present))


def _preflight(request: Request, allow: str) -> list[tuple[str, str]]:
    """What a browser asks before it sends anything that a plain form could not."""
    if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
        return []
    asked = request.headers.get("access-control-request-headers", "")
    headers = [("access-control-allow-headers", asked)] if _NAMES.fullmatch(asked) else []
    return [("access-control-allow-methods", allow), ("access-control-max-age", str(REMEMBERED)), *headers]
