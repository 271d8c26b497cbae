"""The shelf over HTTP. All of it needs an admin's token that is bound to no memory: it holds events of all."""

from __future__ import annotations

from appliance.auth.bodies import decoded
from appliance.clock import stamp
from appliance.egress.dead_letters.service import DeadLetters
from appliance.egress.dead_letters.wishes import Choice, Chosen
from appliance.errors import Forbidden, Rejected, Unauthenticated
from appliance.model.http import Handler, Request, Response, Route, json_response
from appliance.model.letters import Letter
from appliance.model.principal import ADMIN

__all__ = ["dead_letter_routes", "letter_row"]

PATH = "/api/v1/dead-letters"
MOST_LISTED = 1000


def dead_letter_routes(letters: DeadLetters) -> tuple[Route, ...]:
    """The table."""
    desk, one = _Desk(letters), PATH + "/{letter_id}"

    def row(method: str, path: str, handler: Handler, summary: str, request: type | None = None) -> Route:
        return Route(method, path, handler, summary, scope=ADMIN, request=request, tags=("dead letters",))

    return (
        row("GET", PATH, desk.listed, "What failed for good, oldest first"),
        row("GET", one, desk.show, "One dead letter"),
        row("DELETE", one, desk.drop_one, "Drop a dead letter"),
        row("POST", PATH + "/retry", desk.retry, "Try dead letters again", Chosen),
        row("POST", PATH + "/drop", desk.drop, "Drop dead letters", Chosen),
    )


class _Desk:
    """The handlers."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    async def listed(self, request: Request) -> Response:
        query = request.query
        choice = Choice(query.get("kind"), query.get("source"), query.get("event"))
        found = await self._letters.some(_space(request), choice)
        rows = [letter_row(one) for one in found[: _limit(request)]]
        return json_response({"dead_letters": rows, "total": len(found)})

    async def show(self, request: Request) -> Response:
        return json_response(letter_row(await self._named(request)))

    async def drop_one(self, request: Request) -> Response:
        await self._letters.drop(_space(request), [await self._named(request)])
        return Response(204)

    async def retry(self, request: Request) -> Response:
        space, chosen = await self._chosen(request)
        done = await self._letters.retry(space, chosen)
        return json_response({"retried": done, "left": len(chosen) - done}, 202)

    async def drop(self, request: Request) -> Response:
        space, chosen = await self._chosen(request)
        await self._letters.drop(space, chosen)
        return json_response({"dropped": len(chosen)})

    async def _named(self, request: Request) -> Letter:
        return await self._letters.one(_space(request), request.params["letter_id"])

    async def _chosen(self, request: Request) -> tuple[int, list[Letter]]:
        space, wish = _space(request), decoded(request.body or b"{}", Chosen, like='{"ids": ["ID"]}')
        return space, await self._letters.chosen(space, wish)


def letter_row(letter: Letter) -> dict[str, object]:
    """Something on the shelf as clients see it."""
    return {
        "id": letter.id,
        "kind": letter.kind,
        "source": letter.source,
        "event_id": letter.event or None,
        "event_type": letter.type,
        "seq": letter.position,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "status_code": letter.status,
        "delivery_id": letter.delivery or None,
        "job_id": letter.job or None,
        "detail": letter.detail,
        "failed_at": stamp(letter.at),
    }


def _space(request: Request) -> int:
    """The caller's namespace. Raises Forbidden."""
    caller = request.principal
    if caller is None:
        raise Unauthenticated("this needs a token")
    if caller.memories:
        raise Forbidden("this token is bound to memories, the shelf is not", hint="use a token without --memory")
    return caller.namespace.key


def _limit(request: Request) -> int:
    text = request.query.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LISTED):
        raise Rejected(f"limit is 1 to {MOST_LISTED}")
    return int(text)
