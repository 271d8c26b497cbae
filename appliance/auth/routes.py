"""Tokens and one-time links over HTTP, for the command line and the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from appliance.auth.bodies import SECRET, decoded
from appliance.auth.codes import LIFETIME
from appliance.auth.credentials import describe
from appliance.auth.rights import require_admin
from appliance.auth.service import Identity
from appliance.auth.store import DEFAULT, TokenWish, first_visit
from appliance.clock import parse_stamp
from appliance.errors import Rejected
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN, Principal

__all__ = ["Code", "NewToken", "token_routes", "welcome_routes"]

CODE_BODY = 1024  # bytes


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


class Code(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/v1/welcome` takes: what stands behind `#code=` in a one-time link."""

    code: str


def token_routes(identity: Identity) -> tuple[Route, ...]:
    """List, create and revoke. All need an admin's token."""

    def caller(request: Request) -> Principal:
        return request.principal or identity.authenticate(request)

    def listed(request: Request) -> Response:
        return json_response([describe(row, space) for row, space in identity.list_tokens(caller(request))])

    async def create(request: Request) -> Response:
        who = caller(request)
        who.require(ADMIN)
        wanted = decoded(request.body, NewToken, like='{"scopes": ["read"], "name": "Anna\'s phone"}')
        wish = wanted.wish(who.namespace.id)
        text, row = await identity.create_token(who, wish)
        return json_response({"token": text} | describe(row, identity.namespace(wish.namespace)), 201, SECRET)

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


def welcome_routes(identity: Identity, base_url: Callable[[], str]) -> tuple[Route, ...]:
    """One-time links: made for an admin, and exchanged by the page they open.

    Args:
        base_url: the address by which others find us.
    """

    async def exchange(request: Request) -> Response:
        code = decoded(request.body, Code, like='{"code": "…"}').code
        text, row = await identity.redeem(code, request.peer)
        return json_response({"token": text} | describe(row, identity.namespace(DEFAULT)), 201, SECRET)

    def make(request: Request) -> Response:
        require_admin(request.principal or identity.authenticate(request), first_visit(0))
        base = base_url()
        link = identity.one_time_link(base)
        return json_response({"link": link, "path": link.removeprefix(base), "valid_s": int(LIFETIME)}, 201, SECRET)

    path, tags = "/api/v1/welcome", ("access",)
    return (
        Route(
            "POST",
            path,
            exchange,
            "Exchange the code of a one-time link, once, for an admin's token",
            request=Code,
            body_limit=CODE_BODY,
            tags=tags,
        ),
        Route(
            "POST", path + "/links", make, "Make a one-time link; whoever opens it is an admin", scope=ADMIN, tags=tags
        ),
    )
