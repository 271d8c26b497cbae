"""What a request says about its sender. Nothing is believed here.

Two readers: `presented_token` goes by the rules of the message-store API, `shown` by those of everything else.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from appliance.auth.dialect import DialectError
from appliance.auth.tokens import MalformedToken, parse_token
from appliance.errors import Unauthenticated
from appliance.model.http import Request

__all__ = [
    "EVENTS",
    "Shown",
    "UnseenNamespace",
    "Way",
    "bearer",
    "claimed_namespace",
    "claimed_token",
    "presented_token",
    "refusal",
    "shown",
]

EVENTS = "/api/v1/events"  # the one path that stream tokens open
BEARER = "Bearer "  # exactly so
OFFER = "bearer."  # a subprotocol that is none


class UnseenNamespace(DialectError):
    """A token for a namespace nobody has made yet; in test mode it is made then."""

    def __init__(self, namespace: str, token: str) -> None:
        super().__init__(403, "AUTH_UNAUTHORIZED", "Token not authorized for namespace", {"namespace": namespace})
        self.namespace = namespace
        self.token = token


class Way(Enum):
    """How something came here, which decides what it may be."""

    NONE = "none"
    HEADER = "header"  # or subprotocol: any bearer
    QUERY = "query"  # of the message-store API: namespace tokens
    TICKET = "ticket"  # ?ticket= of an upgrade
    STREAM = "stream"  # ?token= of the events


class Shown(msgspec.Struct, frozen=True, gc=False):
    """What a request shows, and how."""

    way: Way = Way.NONE
    text: str = ""

    def __repr__(self) -> str:
        return f"Shown({self.way})"


def presented_token(request: Request) -> Shown:
    """The token of a message-store request, as the API's rules take it from query or header."""
    token = _query(request, "token")
    if token:
        return Shown(Way.QUERY, token)
    header = request.headers.get("authorization")
    if header is None:
        raise DialectError(401, "AUTH_REQUIRED", "Authorization header required")
    if not header.startswith(BEARER):
        raise DialectError(401, "AUTH_REQUIRED", "Authorization header must use Bearer scheme")
    token = header[len(BEARER) :]
    if not token:
        raise DialectError(401, "AUTH_REQUIRED", "Token required")
    return Shown(Way.HEADER, token)


def shown(request: Request) -> Shown:
    """What any other request shows. An address gets into histories, so it holds only what is soon worth nothing.

    Raises:
        Unauthenticated: a token is in the address, where none is taken.
    """
    token = bearer(request) or _offered_token(request)
    if token:
        return Shown(Way.HEADER, token)
    if ticket := _query(request, "ticket"):
        if "upgrade" in request.headers:
            return Shown(Way.TICKET, ticket)
        raise Unauthenticated("a ticket is for WebSockets only", hint="send the header Authorization: Bearer TOKEN")
    if token := _query(request, "token"):
        if request.path == EVENTS and "upgrade" not in request.headers:
            return Shown(Way.STREAM, token)
        raise Unauthenticated(
            "a token in the address is not taken here", hint="send the header Authorization: Bearer TOKEN"
        )
    return Shown()


def bearer(request: Request) -> str:
    """What the header says, or nothing."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _query(request: Request, name: str) -> str:
    return request.query.get(name, "") if request.raw_query else ""


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
    token = _query(request, "token") or (header[len(BEARER) :] if header.startswith(BEARER) else "")
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
