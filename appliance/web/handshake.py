"""Whether a request may become a WebSocket (RFC 6455, section 4.2), strictly; and the head that says so."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wsproto.utilities import generate_accept_token

from appliance.errors import ApplianceError, Forbidden, NotFound
from appliance.model.http import Request, Response, SocketRoute
from appliance.web.head import Head
from appliance.web.refusal import Refusal, restarting
from appliance.web.router import failure
from appliance.web.shared import Shared

__all__ = ["accept_head", "admit", "check_upgrade", "choose_subprotocol"]

_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # canonical base64 of 16 bytes
_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
_TOKENS = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")


def check_upgrade(head: Head) -> None:
    """Pass a head that asks for a WebSocket as the standard says.

    Raises:
        Refusal: it does not. 426 names the version we speak.
    """
    headers = head.headers
    if head.method != "GET" or not head.http11:
        raise _refused("an upgrade is a GET of HTTP/1.1")
    if head.chunked or "content-length" in headers or "expect" in headers:
        raise _refused("an upgrade has no body")
    if "upgrade" not in _tokens(headers.get("connection", "")) or headers["upgrade"].lower() != "websocket":
        raise _refused("an upgrade says Connection: Upgrade and Upgrade: websocket")
    if headers.get("sec-websocket-version") != "13":
        raise Refusal(426, "upgrade", "WebSocket version 13 is spoken here", hint="send Sec-WebSocket-Version: 13")
    if _KEY.fullmatch(headers.get("sec-websocket-key", "")) is None:
        raise _refused("Sec-WebSocket-Key is not 16 bytes in base64")
    offered = headers.get("sec-websocket-protocol")
    if offered is not None and _TOKENS.fullmatch(offered) is None:
        raise _refused("Sec-WebSocket-Protocol is not a list of tokens")


def choose_subprotocol(head: Head, spoken: Sequence[str]) -> str | None:
    """The first of the client's offers that we speak."""
    offered = [name.strip() for name in head.headers.get("sec-websocket-protocol", "").split(",")]
    return next((name for name in offered if name in spoken), None)


def admit(shared: Shared, head: Head, request: Request) -> SocketRoute | Response:
    """The endpoint that may have this upgrade, or the HTTP answer that refuses it."""
    try:
        check_upgrade(head)
        found = shared.router.socket(head.path)
        if found is None:
            raise NotFound("no WebSocket is served here", hint="GET /openapi.json lists what is here")
        route, request.params = found
        if shared.draining:
            raise restarting()
        if not shared.origins.admits(request):
            raise Forbidden(
                "this Origin may not open a WebSocket",
                hint="open it from a page of this appliance, or list the Origin in clients.origins",
            )
        shared.router.allow(request, route.scope)
        if route.admit is not None:
            route.admit(request)
    except Exception as error:  # noqa: BLE001 - the border: an answer, not a crash
        if isinstance(error, ApplianceError):
            shared.refused("upgrade")
            shared.meter.turned_down[error.code] += 1
        answer = failure(error, request)
        if answer.status == 426:
            answer.headers += (("sec-websocket-version", "13"),)
        return answer
    return route


def accept_head(head: Head, subprotocol: str | None) -> bytes:
    """The answer to an upgrade. Extensions are not accepted: we speak none."""
    token = generate_accept_token(head.headers["sec-websocket-key"].encode("ascii"))
    spoken = b"" if subprotocol is None else b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode("ascii")
    return b"%bSec-WebSocket-Accept: %b\r\n%b\r\n" % (_SWITCHING, token, spoken)


def _tokens(text: str) -> list[str]:
    return [token.strip() for token in text.lower().split(",")]


def _refused(message: str) -> Refusal:
    return Refusal(400, "upgrade", message)
