"""Incoming webhooks over HTTP: receivers for admins, and the one open door for those who send."""

from __future__ import annotations

import msgspec

from appliance.auth.bodies import SECRET, decoded
from appliance.auth.rights import memories_for
from appliance.errors import Forbidden, Unauthenticated
from appliance.ingress.incoming.receiver import Change, New, Receiver, Trial, receiver_row
from appliance.ingress.incoming.service import Accepted, Incoming
from appliance.ingress.jsontext import decode
from appliance.model.http import Handler, Lane, Request, Response, Route, json_response
from appliance.model.principal import ADMIN, READ, Principal

__all__ = ["incoming_routes"]

PATH = "/api/v1/webhooks/incoming"
LIKE = '{"slug": "erp", "provider": "ERP"}'


class Verdict(msgspec.Struct):
    """What a payload was found to be."""

    valid: bool
    schema_ref: str
    errors: list[str]


def incoming_routes(incoming: Incoming, *, body_limit: int) -> tuple[Route, ...]:
    """The table.

    Args:
        body_limit: bytes of what arrives.
    """
    desk, one, tags = _Desk(incoming), PATH + "/{slug}", ("incoming webhooks",)

    def row(method: str, path: str, handler: Handler, summary: str, request: type | None = None) -> Route:
        return Route(method, path, handler, summary, scope=ADMIN, request=request, tags=tags)

    return (
        row("POST", PATH, desk.create, "Let another system tell us of something", New),
        row("GET", PATH, desk.listed, "Receivers, newest first"),
        row("GET", one, desk.show, "One receiver"),
        row("PATCH", one, desk.change, "Change a receiver, switch it off, replace its secret", Change),
        row("DELETE", one, desk.delete, "End a receiver; its events stay"),
        Route(
            "POST",
            PATH + "/validate",
            desk.validate,
            "Hold a payload against a schema",
            scope=READ,
            request=Trial,
            answer=Verdict,
            body_limit=body_limit,
            tags=tags,
        ),
        Route(
            "POST",
            one,
            desk.take,
            "A webhook arrives: signed by its sender, without a token",
            lane=Lane.FAST,
            answer=Accepted,
            body_limit=body_limit,
            tags=tags,
        ),
    )


class _Desk:
    """The handlers."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    async def take(self, request: Request) -> Response:
        return json_response(await self._incoming.take(request.params["slug"], request.headers, request.body))

    async def create(self, request: Request) -> Response:
        caller, wish = _caller(request), decoded(request.body, New, like=LIKE)
        if caller.memories and wish.memory not in (memories_for(caller, None) or ()):
            raise Forbidden("this token is bound to memories", hint='name one of them as "memory"')
        receiver, secret = await self._incoming.create(caller.namespace.key, wish)
        return json_response(receiver_row(receiver, 0) | {"hmac_secret": secret}, 201, SECRET)

    async def listed(self, request: Request) -> Response:
        return json_response([await self._row(one) for one in self._mine(request)])

    async def show(self, request: Request) -> Response:
        return json_response(await self._row(self._named(request)))

    async def change(self, request: Request) -> Response:
        receiver = self._named(request)
        wish = decoded(request.body or b"{}", Change, like='{"is_active": false}')
        return json_response(await self._row(await self._incoming.change(receiver.namespace, receiver.slug, wish)))

    async def delete(self, request: Request) -> Response:
        receiver = self._named(request)
        await self._incoming.delete(receiver.namespace, receiver.slug)
        return Response(204)

    def validate(self, request: Request) -> Response:
        wish = decode(request.body, Trial)
        errors = self._incoming.trial(self._mine(request), wish.schema_ref, bytes(wish.payload))
        return json_response(Verdict(not errors, wish.schema_ref, errors))

    async def _row(self, receiver: Receiver) -> dict[str, object]:
        return receiver_row(receiver, await self._incoming.count(receiver))

    def _mine(self, request: Request) -> list[Receiver]:
        caller = _caller(request)
        return [one for one in self._incoming.all(caller.namespace.key) if _visible(caller, one)]

    def _named(self, request: Request) -> Receiver:
        caller, slug = _caller(request), request.params["slug"]
        receiver = self._incoming.one(caller.namespace.key, slug)
        return receiver if _visible(caller, receiver) else self._incoming.one(-1, slug)  # raises, as if there were none


def _caller(request: Request) -> Principal:
    if request.principal is None:
        raise Unauthenticated("this needs a token")
    return request.principal


def _visible(caller: Principal, receiver: Receiver) -> bool:
    return not caller.memories or receiver.memory in caller.memories
