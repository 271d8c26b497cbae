"""Tokens over HTTP, for the command line and the dashboard."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.auth.service import Identity
from appliance.auth.store import TokenWish, describe
from appliance.clock import parse_stamp
from appliance.errors import Rejected
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN, Principal

__all__ = ["NewToken", "token_routes"]


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/v1/tokens` takes."""

    scopes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    namespace: str = ""  # empty: the caller's
    name: str = ""
    memories: tuple[str, ...] = ()
    expires: str | None = None  # RFC 3339

    def wish(self, home: str) -> TokenWish:
        return TokenWish(self.scopes, self.namespace or home, self.name, self.memories, self._expiry())

    def _expiry(self) -> int | None:
        try:
            return None if self.expires is None else parse_stamp(self.expires)
        except (ValueError, OverflowError) as error:
            raise Rejected("expires is not a time", hint="write it as 2030-01-31T12:00:00Z") from error


def token_routes(identity: Identity) -> tuple[Route, ...]:
    """List, create and revoke. All need an admin's token."""

    def caller(request: Request) -> Principal:
        return request.principal or identity.authenticate(request)

    def listed(request: Request) -> Response:
        return json_response([describe(row, space) for row, space in identity.list_tokens(caller(request))])

    async def create(request: Request) -> Response:
        who = caller(request)
        who.require(ADMIN)
        try:
            wanted = msgspec.json.decode(request.body, type=NewToken)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Rejected(str(error), hint='a body is like {"scopes": ["read"], "name": "Anna\'s phone"}') from error
        wish = wanted.wish(who.namespace.id)
        text, row = await identity.create_token(who, wish)
        return json_response({"token": text} | describe(row, identity.namespace(wish.namespace)), 201)

    async def revoke(request: Request) -> Response:
        row = await identity.revoke_token(caller(request), request.params["token_id"])
        return json_response({"id": row.id, "revoked": True})

    path, tags = "/api/v1/tokens", ("access",)
    return (
        Route("GET", path, listed, "The tokens of a namespace, without their texts", scope=ADMIN, tags=tags),
        Route(
            "POST", path, create, "Make a token; its text is shown this once", scope=ADMIN, request=NewToken, tags=tags
        ),
        Route("DELETE", path + "/{token_id}", revoke, "End a token at once", scope=ADMIN, tags=tags),
    )
