"""What a request says about its sender. Nothing is believed here.

Two readers: `presented_token` goes by the rules of the message-store API, `ordinary_token` by those of everything else.
"""

from __future__ import annotations

from appliance.auth.dialect import DialectError
from appliance.auth.tokens import MalformedToken, parse_token
from appliance.model.http import Request

__all__ = [
    "UnseenNamespace",
    "claimed_namespace",
    "claimed_token",
    "ordinary_token",
    "presented_token",
    "refusal",
]

BEARER = "Bearer "  # exactly so
OFFER = "bearer."  # a subprotocol that is none


class UnseenNamespace(DialectError):
    """A token for a namespace nobody has made yet; in test mode it is made then."""

    def __init__(self, namespace: str, token: str) -> None:
        super().__init__(403, "AUTH_UNAUTHORIZED", "Token not authorized for namespace", {"namespace": namespace})
        self.namespace = namespace
        self.token = token


def presented_token(request: Request) -> str:
    """The token of a message-store request, as the API's rules take it from query or header."""
    token = _query_token(request)
    if token:
        return token
    header = request.headers.get("authorization")
    if header is None:
        raise DialectError(401, "AUTH_REQUIRED", "Authorization header required")
    if not header.startswith(BEARER):
        raise DialectError(401, "AUTH_REQUIRED", "Authorization header must use Bearer scheme")
    token = header[len(BEARER) :]
    if not token:
        raise DialectError(401, "AUTH_REQUIRED", "Token required")
    return token


def _query_token(request: Request) -> str:
    return request.query.get("token", "") if request.raw_query else ""


def ordinary_token(request: Request, *, query_token: bool = False) -> str:
    """The token of any other request, or nothing."""
    token = _query_token(request) if query_token else ""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if not token and scheme.lower() == "bearer":
        token = credentials.strip()
    return token or _offered_token(request)


def _offered_token(request: Request) -> str:
    """What an upgrade offers as subprotocol `bearer.TOKEN`.

    A script in a browser can put it nowhere else: it cannot set headers on a WebSocket, and an address gets into
    histories and logs. What is chosen and echoed is another subprotocol, never this one.
    """
    if "upgrade" not in request.headers:
        return ""
    offers = (offer.strip() for offer in request.headers.get("sec-websocket-protocol", "").split(","))
    return next((offer.removeprefix(OFFER) for offer in offers if offer.startswith(OFFER)), "")


def claimed_token(request: Request) -> str:
    """A token that can be one, or nothing."""
    header = request.headers.get("authorization", "")
    token = _query_token(request) or (header[len(BEARER) :] if header.startswith(BEARER) else "")
    return token if claimed_namespace(token) else ""


def claimed_namespace(token: str) -> str:
    """Empty: it is no token."""
    try:
        return parse_token(token).namespace
    except MalformedToken:
        return ""


def refusal(token: str) -> DialectError:
    """Unknown namespace and wrong secret sound the same: what exists is not told to strangers."""
    try:
        namespace = parse_token(token).namespace
    except MalformedToken as error:
        return DialectError(401, "AUTH_INVALID_TOKEN", "Invalid token format", {"error": str(error)})
    return DialectError(403, "AUTH_UNAUTHORIZED", "Token not authorized for namespace", {"namespace": namespace})
