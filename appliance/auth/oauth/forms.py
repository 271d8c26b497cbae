"""What comes in forms, and who sends it, strictly. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_to_bytes

from appliance.auth.oauth.refusals import OAuthError, invalid_client
from appliance.model.http import Request

__all__ = ["FORM_BODY", "Form", "Proof", "proof_of", "read_form", "read_query"]

FORM_BODY = 16 * 1024  # bytes
FIELDS = 40
CONTENT = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """Fields of a form or a query; each is there once."""

    fields: dict[str, str]

    def get(self, name: str) -> str:
        """Empty: it is not there. A field without a value is treated as left out (RFC 6749, section 3.1)."""
        return self.fields.get(name, "")

    def need(self, name: str) -> str:
        """Raises OAuthError: it is not there."""
        value = self.get(name)
        if not value:
            raise OAuthError("invalid_request", f"{name} is missing")
        return value


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client says about itself."""

    client: str
    secret: str = field(repr=False)


def read_form(request: Request) -> Form:
    """The body of a form.

    Raises:
        OAuthError: it is none.
    """
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content != CONTENT:
        raise OAuthError("invalid_request", "this takes a form", hint=f"send Content-Type: {CONTENT}")
    try:
        return _read(request.body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise OAuthError("invalid_request", "a form is plain ASCII, the rest as %XX") from error


def read_query(request: Request) -> Form:
    """Raises OAuthError: a parameter is there twice, or is no UTF-8."""
    return _read(request.raw_query)


def proof_of(request: Request, form: Form) -> Proof:
    """Who sends a form: by HTTP Basic, or by fields, not by both (RFC 6749, section 2.3).

    Raises:
        OAuthError: nobody.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return Proof(form.need("client_id"), form.get("client_secret"))
    if scheme.lower() != "basic":
        raise invalid_client()
    client, secret = _basic(credentials.strip())
    if form.get("client_secret") or form.get("client_id") not in ("", client):
        raise OAuthError("invalid_request", "a client shows itself in one way, not in two")
    return Proof(client, secret)


def _basic(credentials: str) -> tuple[str, str]:
    try:
        client, colon, secret = base64.b64decode(credentials, validate=True).decode("utf-8").partition(":")
        if not colon:
            raise invalid_client()
        return _unquoted(client), _unquoted(secret)
    except (binascii.Error, ValueError) as error:
        raise invalid_client() from error


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")


def _read(text: str) -> Form:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=FIELDS, errors="strict"
        )
    except ValueError as error:
        raise OAuthError("invalid_request", "the parameters cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "a parameter is there twice")
    return Form(fields)
