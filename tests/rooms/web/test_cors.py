"""What a browser lets pages of other origins do here."""

from __future__ import annotations

import pytest

from appliance.model.http import Lane, Response, Route
from tests.rooms.web.house import Reply, a_house, get, post, stock_routes, upgrade

APP = "https://app.example:8443"
ORIGIN = f"Origin: {APP}"


def shown(reply: Reply) -> str | None:
    return reply.headers.get("access-control-allow-origin")


@pytest.mark.parametrize("path", ["/fast", "/rest", "/broken", "/secret", "/nothing", "/fast?x"])
async def test_page_of_a_listed_origin_may_read_every_answer_refusals_too(path: str):
    async with a_house(origins=[APP]) as house:
        peer = await house.peer()

        listed = await peer.ask(get(path, ORIGIN))
        other = await peer.ask(get(path, "Origin: https://evil.test"))
        none = await peer.ask(get(path))

        assert (shown(listed), listed.headers["vary"]) == (APP, "Origin")
        assert "Retry-After" in listed.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in listed.headers
        assert [shown(other), shown(none)] == [None, None]
        assert listed.status == other.status == none.status


@pytest.mark.parametrize("path", ["/count", "/count-rest"])
async def test_page_of_a_listed_origin_may_read_streams(path: str):
    async with a_house(origins=[APP]) as house:
        peer = await house.peer()

        reply = await peer.ask(get(path, ORIGIN))

        assert (shown(reply), reply.body) == (APP, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")


async def test_preflight_names_methods_and_the_headers_asked_for():
    async with a_house(origins=[APP]) as house:
        peer = await house.peer()
        asked = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, content-type")

        listed = await peer.ask(get("/echo", ORIGIN, *asked, method="OPTIONS"))
        other = await peer.ask(get("/echo", "Origin: https://evil.test", *asked, method="OPTIONS"))
        sent = await peer.ask(post("/echo", b"{}", ORIGIN))

        assert listed.status == 204
        assert listed.headers["access-control-allow-methods"] == "OPTIONS, POST"
        assert listed.headers["access-control-allow-headers"] == "authorization, content-type"
        assert int(listed.headers["access-control-max-age"]) > 0
        assert not [name for name in other.headers if name.startswith("access-control")]
        assert (sent.status, shown(sent), sent.body) == (200, APP, b"{}")


async def test_what_a_route_says_itself_is_not_said_twice():
    def routes(seen: list[str]) -> list[Route]:
        answer = Response(200, b"", "text/plain", (("Access-Control-Allow-Origin", "*"),))
        return [*stock_routes(seen), Route("GET", "/open", lambda _: answer, "open", lane=Lane.FAST)]

    async with a_house(routes, origins=[APP]) as house:
        peer = await house.peer()
        await peer.send(get("/open", ORIGIN) * 2)

        heads = [await peer.until(b"\r\n\r\n") for _ in range(2)]

        assert [head.lower().count(b"access-control-allow-origin") for head in heads] == [1, 1]
        assert b"Access-Control-Allow-Origin: *" in heads[1]


async def test_websocket_of_a_listed_origin_is_admitted():
    async with a_house(origins=[APP, "null"]) as house:
        statuses = {}
        for origin in (APP, "null", "https://app.example", f"{APP}.evil.test", "http://a"):
            peer = await house.peer()
            statuses[origin] = (await peer.ask(upgrade("/ws", f"Origin: {origin}"))).status

        assert list(statuses.values()) == [101, 101, 403, 403, 101]
