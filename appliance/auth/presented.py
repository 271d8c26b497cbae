"""What a request says about its sender, read by the rules of the message-store API. Nothing is believed here."""

from __future__ import annotations

from appliance.auth.dialect import DialectError
from appliance.auth.tokens import MalformedToken, parse_token
from appliance.model.http import Request

__all__ = ["claimed_namespace", "claimed_token", "presented_token", "refusal"]

BEARER = "Bearer "  # exactly so


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
