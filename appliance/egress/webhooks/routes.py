"""Webhooks over HTTP. All of it needs an admin's token."""

from __future__ import annotations

from typing import Protocol

from appliance.auth.bodies import SECRET, decoded
from appliance.auth.rights import memories_for
from appliance.auth.signing import public_key
from appliance.egress.webhooks.endpoint import Endpoint, delivery_row
from appliance.egress.webhooks.entry import no_such_webhook, visible
from appliance.egress.webhooks.preview import Ask, Preview
from appliance.egress.webhooks.redacted import redacted_delivery, redacted_endpoint
from appliance.egress.webhooks.service import Webhooks
from appliance.egress.webhooks.showing import Showing
from appliance.egress.webhooks.wishes import Again, Change, New, Rotation
from appliance.errors import Conflict, NotFound, Rejected, Unauthenticated
from appliance.model.event import Event, Query
from appliance.model.http import Handler, Request, Response, Route, json_response
from appliance.model.principal import ADMIN, Principal

__all__ = ["webhook_routes"]

PATH = "/api/v1/webhooks"
MOST_LISTED = 1000
MOST_AGAIN = 1000  # events of a range; for more, go back with `since` alone
LIKE = '{"url": "https://example.org/hook", "events": ["NoteUpdated"]}'


class _Log(Protocol):
    async def events(self, query: Query) -> list[Event]: ...

    async def find(self, namespace: int, id: str) -> Event | None: ...


def webhook_routes(webhooks: Webhooks, showing: Showing, preview: Preview, log: _Log) -> tuple[Route, ...]:
    """The table."""
    desk = _Desk(webhooks, showing, preview, log)
    one = PATH + "/{webhook_id}"

    def row(method: str, path: str, handler: Handler, summary: str, request: type | None = None) -> Route:
        return Route(method, path, handler, summary, scope=ADMIN, request=request, tags=("webhooks",))

    return (
        row("POST", PATH, desk.create, "Tell a URL of events", New),
        row("GET", PATH, desk.listed, "Webhooks, newest first"),
        row("POST", PATH + "/preview", desk.preview, "What would be sent for an event, without sending it", Ask),
        row("GET", one, desk.show, "One webhook, and how far it has come"),
        row("PATCH", one, desk.change, "Change a webhook, pause or resume it", Change),
        row("DELETE", one, desk.delete, "End a webhook and forget its deliveries"),
        row("POST", one + "/pause", desk.pause, "Tell it nothing for now; nothing is lost"),
        row("POST", one + "/resume", desk.resume, "Go on where it stopped"),
        row("POST", one + "/test", desk.test, "Send a test event now, and say what came of it"),
        row("POST", one + "/rotate", desk.rotate, "A new secret; the old one stays good for a while", Rotation),
        row("GET", one + "/deliveries", desk.deliveries, "What was sent, newest first"),
        row("GET", one + "/deliveries/{delivery_id}", desk.delivery, "One delivery with its request and answer"),
        row("POST", one + "/redeliver", desk.redeliver, "Send a delivery, an event or a range again", Again),
    )


class _Desk:
    """The handlers of endpoints."""

    def __init__(self, webhooks: Webhooks, showing: Showing, preview: Preview, log: _Log) -> None:
        self._webhooks = webhooks
        self._showing = showing
        self._preview = preview
        self._log = log

    async def create(self, request: Request) -> Response:
        caller, wish = _caller(request), decoded(request.body, New, like=LIKE)
        seen = memories_for(caller, wish.memory)
        id, secret = await self._webhooks.create(caller.namespace.key, wish, seen)
        return json_response(self._webhooks.row(caller.namespace.key, id) | {"secret": secret}, 201, SECRET)

    def listed(self, request: Request) -> Response:
        caller = _caller(request)
        mine = [one for one in self._webhooks.endpoints(caller.namespace.key) if visible(caller, one)]
        return json_response([self._row(request, one) for one in mine])

    def show(self, request: Request) -> Response:
        return json_response(self._row(request, self._mine(request)))

    async def preview(self, request: Request) -> Response:
        caller, ask = _caller(request), decoded(request.body, Ask, like='{"event": "ID"}')
        if ask.webhook is not None:
            endpoint = self._named(caller, ask.webhook)
        else:
            endpoint = self._preview.endpoint(caller.namespace.key, ask, memories_for(caller, ask.memory))
        return json_response(await self._preview.of(endpoint, ask.event))

    async def change(self, request: Request) -> Response:
        return await self._changed(request, decoded(request.body or b"{}", Change, like='{"is_active": false}'))

    async def pause(self, request: Request) -> Response:
        return await self._changed(request, Change(is_active=False))

    async def resume(self, request: Request) -> Response:
        return await self._changed(request, Change(is_active=True))

    async def delete(self, request: Request) -> Response:
        endpoint = self._mine(request)
        await self._webhooks.delete(endpoint.namespace, endpoint.id)
        return Response(204)

    async def test(self, request: Request) -> Response:
        endpoint = self._mine(request)
        delivery = await self._webhooks.test(endpoint.namespace, endpoint.id)
        status = "delivered" if delivery.state == "succeeded" else "failed"
        return json_response(delivery_row(delivery) | {"status": status})

    async def rotate(self, request: Request) -> Response:
        endpoint = self._mine(request)
        wish = decoded(request.body or b"{}", Rotation, like='{"overlap_s": 86400}')
        secret = await self._webhooks.rotate(endpoint.namespace, endpoint.id, wish)
        made = {"id": endpoint.id, "secret": secret, "public_key": public_key(secret) or None}
        return json_response(made | {"overlap_s": wish.overlap_s}, headers=SECRET)

    async def deliveries(self, request: Request) -> Response:
        rows = await self._showing.rows(self._mine(request), _limit(request))
        return json_response([redacted_delivery(row) for row in rows] if _redact(request) else rows)

    async def delivery(self, request: Request) -> Response:
        return json_response(await self._showing.row(self._mine(request), request.params["delivery_id"]))

    async def redeliver(self, request: Request) -> Response:
        endpoint = self._mine(request)
        wish = decoded(request.body or b"{}", Again, like='{"delivery": "ID"} or {"since": 120}')
        if wish.since is not None and wish.through is None:
            await self._webhooks.rewind(endpoint.namespace, endpoint.id, wish.since)
            return json_response({"since": wish.since}, 202)
        events = await self._events(endpoint, wish)
        made = await self._webhooks.again(endpoint.namespace, endpoint.id, events)
        return json_response({"deliveries": [delivery_row(one) for one in made]}, 202)

    async def _events(self, endpoint: Endpoint, wish: Again) -> list[Event]:
        """Those of one delivery, one id, or a range that this endpoint is told of."""
        if wish.since is not None:
            return await self._range(endpoint, wish.since, wish.through or wish.since)
        if wish.delivery is not None:
            id = (await self._showing.delivery(endpoint, wish.delivery)).event
            if not id:
                raise Rejected("that was a test", hint=f"POST {PATH}/{endpoint.id}/test sends another one")
        elif wish.event is not None:
            id = wish.event
        else:
            raise Rejected("say what to send again", hint='give "delivery", "event", or "since"')
        event = await self._log.find(endpoint.namespace, id)
        if event is None or not self._webhooks.tells(endpoint, event):
            raise NotFound(f"there is no event {id} for this webhook", hint="retention may have removed it", event=id)
        return [event]

    async def _range(self, endpoint: Endpoint, since: int, through: int) -> list[Event]:
        found: list[Event] = []
        while since <= through:
            page = await self._log.events(
                Query(endpoint.namespace, global_position=since, through=through, limit=MOST_AGAIN)
            )
            if not page:
                break
            found += [event for event in page if self._webhooks.tells(endpoint, event)]
            if len(found) > MOST_AGAIN:
                raise Conflict(f"a range holds {MOST_AGAIN} events at most", hint='leave "through" out to go back')
            since = page[-1].global_position + 1
        return found

    def _row(self, request: Request, endpoint: Endpoint) -> dict[str, object]:
        row = self._webhooks.row(endpoint.namespace, endpoint.id)
        return redacted_endpoint(row) if _redact(request) else row

    def _mine(self, request: Request) -> Endpoint:
        return self._named(_caller(request), request.params["webhook_id"])

    def _named(self, caller: Principal, id: str) -> Endpoint:
        endpoint = self._webhooks.endpoint(caller.namespace.key, id)
        if not visible(caller, endpoint):
            raise no_such_webhook(id)
        return endpoint

    async def _changed(self, request: Request, wish: Change) -> Response:
        endpoint = self._mine(request)
        await self._webhooks.change(endpoint.namespace, endpoint.id, wish)
        return json_response(self._webhooks.row(endpoint.namespace, endpoint.id))


def _caller(request: Request) -> Principal:
    if request.principal is None:
        raise Unauthenticated("this needs a token")
    return request.principal


def _redact(request: Request) -> bool:
    text = request.query.get("redact", "false")
    if text not in ("true", "false"):
        raise Rejected("redact is true or false")
    return text == "true"


def _limit(request: Request) -> int:
    text = request.query.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LISTED):
        raise Rejected(f"limit is 1 to {MOST_LISTED}")
    return int(text)
