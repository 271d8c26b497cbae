"""Errors as OAuth writes them (RFC 6749, section 5.2; RFC 7591, section 3.2.2)."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from appliance.errors import ApplianceError
from appliance.model.http import Response

__all__ = ["SECRET_HEADERS", "OAuthError", "invalid_client"]

SECRET_HEADERS = (("cache-control", "no-store"), ("pragma", "no-cache"))


class OAuthError(ApplianceError):
    """A refusal with one of the codes that OAuth prescribes."""

    code: ClassVar[str] = "oauth_error"
    status: ClassVar[int] = 400  # unless its instance says otherwise

    def __init__(self, error: str, message: str, *, status: int = 400, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.http_status = status
        self.error = error

    def response(self) -> Response:
        told = {"error": self.error, "error_description": self.message} | ({"hint": self.hint} if self.hint else {})
        challenge = (("www-authenticate", 'Basic realm="oauth"'),) if self.http_status == 401 else ()
        return Response(self.http_status, msgspec.json.encode(told), headers=SECRET_HEADERS + challenge)


def invalid_client() -> OAuthError:
    """Unknown, and known with a wrong secret, sound the same."""
    return OAuthError("invalid_client", "this client is not known, or its secret is wrong", status=401)
