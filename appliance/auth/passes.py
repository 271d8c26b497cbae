"""API keys for programs, tickets and stream tokens for browsers: over HTTP.

A script in a browser can set no header on a WebSocket or an EventSource, and an address gets into histories and logs.
So it asks for something that is soon worth nothing, and shows that in the address: a ticket for one WebSocket, or a
stream token, which an EventSource may show again each time it reconnects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from appliance.auth.bodies import SECRET, decoded
from appliance.auth.credentials import PREFIX, SHOWN, Credential, mint, secret_text
from appliance.auth.presented import EVENTS
from appliance.auth.rights import memories_for, require_admin
from appliance.auth.service import Identity
from appliance.auth.store import TokenWish
from appliance.auth.tickets import LIFETIME
from appliance.clock import MICROSECONDS, stamp
from appliance.errors import LimitReached, NotFound
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN, READ, Principal
from appliance.world import World

__all__ = ["MOST_OF_ONE", "NewKey", "NewStreamToken", "pass_routes"]

DAY = 24 * 3600 * MICROSECONDS
STREAM_TOKEN = 3600  # seconds
MOST_OF_ONE = 1000  # stream tokens of one token at once
TEXT = 1000  # characters of a description

_TAGS = ("access",)


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/v1/api-keys` takes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    description: Annotated[str, msgspec.Meta(max_length=TEXT)] | None = None
    scope: str = "read"  # separated by blanks
    memories: tuple[str, ...] = ()
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None

    def wish(self, namespace: str, now_us: int) -> TokenWish:
        end = None if self.expires_in_days is None else now_us + self.expires_in_days * DAY
        return TokenWish(tuple(sorted(set(self.scope.split()))), namespace, self.name, self.memories, end)


class NewStreamToken(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/v1/events/tokens` takes; an empty body is one too."""

    memory: Annotated[str, msgspec.Meta(min_length=1)] | None = None  # bind it to this one


def pass_routes(identity: Identity, world: World) -> tuple[Route, ...]:
    """`/api/v1/api-keys`, `/api/v1/tickets` and `/api/v1/events/tokens`."""
    return (*_key_routes(identity, world), *_browser_routes(identity, world))


def _key_routes(identity: Identity, world: World) -> tuple[Route, ...]:
    def caller(request: Request) -> Principal:
        return request.principal or identity.authenticate(request)

    async def create(request: Request) -> Response:
        who = caller(request)
        who.require(ADMIN)
        wanted = decoded(request.body, NewKey, like='{"name": "doorbell", "scope": "read write"}')
        now = world.wall_us()
        wish = wanted.wish(who.namespace.id, now)
        wish.check(now)
        require_admin(who, wish)
        text, digest = mint("api key", world.secret)
        row = Credential(
            world.new_id(),
            "api key",
            digest,
            who.namespace.key,
            wish.scopes,
            name=wish.name,
            memories=tuple(sorted(set(wish.memories))),
            created=now,
            expires=wish.expires,
            prefix=text[: len(PREFIX["api key"]) + SHOWN],
            description=wanted.description or "",
        )
        await identity.keep(row)
        return json_response({"api_key": text} | _key(row), 201, SECRET)

    def listed(request: Request) -> Response:
        who = caller(request)
        rows = [row for row, space in identity.list_tokens(who) if space == who.namespace and row.kind == "api key"]
        return json_response({"api_keys": [_key(row) for row in rows]})

    async def delete(request: Request) -> Response:
        who, id = caller(request), request.params["key_id"]
        known = identity.book.get(id)
        if known is None or known.row.kind != "api key" or known.principal.namespace != who.namespace:
            raise NotFound("there is no such API key", hint="GET /api/v1/api-keys lists them")
        row = known.row
        await identity.keep(drop=lambda: [row])
        return Response(204)

    path = "/api/v1/api-keys"
    return (
        Route("POST", path, create, "Make an API key; it is shown this once", scope=ADMIN, request=NewKey, tags=_TAGS),
        Route("GET", path, listed, "The API keys of a namespace, without their texts", scope=ADMIN, tags=_TAGS),
        Route("DELETE", path + "/{key_id}", delete, "End an API key at once", scope=ADMIN, tags=_TAGS),
    )


def _browser_routes(identity: Identity, world: World) -> tuple[Route, ...]:
    def ticket(request: Request) -> Response:
        who = identity.authenticate(request)
        text = "mm_wt_" + secret_text(32, world.secret)
        identity.tickets.issue(text, who, world.now())
        return json_response({"ticket": text, "expires_in": int(LIFETIME)}, 201, SECRET)

    async def create(request: Request) -> Response:
        who = request.principal or identity.authenticate(request)
        wanted = decoded(request.body or b"{}", NewStreamToken, like='{"memory": "work"}')
        text, digest = mint("stream", world.secret)
        row = _stream_token(who, wanted.memory, world.new_id(), digest, world.wall_us())
        parents = [known.row.parent for known in identity.book if known.row.kind == "stream"]
        if parents.count(who.token_id) >= MOST_OF_ONE:
            raise LimitReached("this token has too many stream tokens", retry_after=60, hint="use one of them again")
        await identity.keep(row)
        assert row.expires is not None
        left = (row.expires - row.created) // MICROSECONDS
        return json_response({"token": text, "token_id": row.id, "expires_in": left}, 201, SECRET)

    async def revoke(request: Request) -> Response:
        who = identity.authenticate(request)
        known = identity.book.get(request.params["token_id"])
        mine = known is not None and (known.row.parent == who.token_id or who.may(ADMIN))
        if known is None or known.row.kind != "stream" or known.principal.namespace != who.namespace or not mine:
            raise NotFound("there is no such stream token")
        row = known.row
        await identity.keep(drop=lambda: [row])
        return Response(204)

    path = EVENTS + "/tokens"
    return (
        Route(
            "POST",
            "/api/v1/tickets",
            ticket,
            "A ticket for one WebSocket, for `?ticket=` within 30 seconds",
            guarded=True,
            tags=_TAGS,
        ),
        Route(
            "POST",
            path,
            create,
            "A token for `?token=` of an EventSource, for an hour",
            scope=READ,
            request=NewStreamToken,
            tags=_TAGS,
        ),
        Route("DELETE", path + "/{token_id}", revoke, "End a stream token at once", guarded=True, tags=_TAGS),
    )


def _stream_token(who: Principal, memory: str | None, id: str, digest: bytes, now_us: int) -> Credential:
    """It may what its maker may, on one path, for an hour, and never longer than its maker."""
    memories: Sequence[str] = sorted(who.memories)
    if memory is not None:
        memories = memories_for(who, memory) or ()
    end = now_us + STREAM_TOKEN * MICROSECONDS
    return Credential(
        id,
        "stream",
        digest,
        who.namespace.key,
        tuple(sorted(who.scopes)),
        name=who.subject,
        memories=tuple(memories),
        created=now_us,
        expires=end if who.expires is None else min(end, who.expires),
        parent=who.token_id,
    )


def _key(row: Credential) -> dict[str, object]:
    return {
        "id": row.id,
        "key_prefix": row.prefix,
        "name": row.name,
        "description": row.description or None,
        "scope": " ".join(row.scopes),
        "memories": list(row.memories),
        "expires_at": None if row.expires is None else stamp(row.expires),
        "created_at": stamp(row.created),
    }
