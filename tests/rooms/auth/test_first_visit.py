"""From a one-time link to an admin's token, and no further."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from appliance.auth.codes import LIFETIME
from appliance.auth.credentials import describe
from appliance.auth.routes import welcome_routes
from appliance.auth.service import Identity
from appliance.auth.store import TokenWish
from appliance.clock import parse_stamp
from appliance.errors import Forbidden, LimitReached, Rejected, Unauthenticated, Unavailable
from appliance.model.http import Request, Response
from appliance.world import RealWorld
from tests.rooms.ingress.room import TOKEN, Room, a_room, token_of

BASE = "http://192.168.1.5:8420"


class Noon(RealWorld):
    """A day on which the wall clock stands still; the other one can be put forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def wall_us(self) -> int:
        return parse_stamp("2026-01-02T12:00:00Z")


@asynccontextmanager
async def at_noon(room: Room) -> AsyncIterator[tuple[Identity, Noon]]:
    """Another identity on the log of `room`."""
    world = Noon()
    identity = Identity(room.log, world, token=TOKEN)
    async with trio.open_nursery() as nursery:
        await nursery.start(identity.run)
        yield identity, world
        nursery.cancel_scope.cancel()


def code_of(link: str) -> str:
    return link.removeprefix(f"{BASE}/welcome#code=")


def bearing(token: str, *fields: tuple[str, str]) -> Request:
    return Request("POST", "/", headers={"authorization": f"Bearer {token}", **dict(fields)})


async def reason(identity: Identity, code: str) -> object:
    with pytest.raises(Unauthenticated) as caught:
        await identity.redeem(code, "phone")
    return caught.value.facts["reason"]


async def test_the_code_stands_in_the_fragment_which_browsers_do_not_send():
    async with a_room() as room:
        links = [room.identity.one_time_link(BASE) for _ in range(2)]

    assert all(link.startswith(f"{BASE}/welcome#code=") and len(code_of(link)) == 22 for link in links)
    assert links[0] != links[1]


async def test_a_link_gives_an_admin_of_default_for_30_days_who_is_listed_and_can_be_revoked():
    async with a_room() as room, at_noon(room) as (identity, _):
        text, row = await identity.redeem(code_of(identity.one_time_link(BASE)), "phone")
        owner, visitor = (identity.authenticate(bearing(token)) for token in (TOKEN, text))
        listed = {one.id: describe(one, space) for one, space in identity.list_tokens(owner)}
        await identity.revoke_token(owner, row.id)
        with pytest.raises(Unauthenticated):
            identity.authenticate(bearing(text))

    assert (visitor.namespace.id, visitor.scopes, visitor.operator) == ("default", {"admin"}, True)
    assert listed[row.id]["name"] == "first visit 2026-01-02"
    assert listed[row.id]["expires"] == "2026-02-01T12:00:00.000000Z"


async def test_a_link_works_once():
    async with a_room() as room:
        code = code_of(room.identity.one_time_link(BASE))
        await room.identity.redeem(code, "phone")

        assert await reason(room.identity, code) == "used"
        assert await reason(room.identity, "never given") == "unknown"


async def test_of_many_who_race_with_one_link_one_gets_a_token():
    tokens, refusals = [], []

    async with a_room() as room:
        code = code_of(room.identity.one_time_link(BASE))

        async def race() -> None:
            try:
                tokens.append(await room.identity.redeem(code, "phone"))
            except Unauthenticated as error:
                refusals.append(error.facts["reason"])

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(race)
        rows = room.identity.list_tokens(room.identity.authenticate(bearing(TOKEN)))

    assert len(tokens) == 1
    assert refusals == ["used"] * 19
    assert len(rows) == 2


async def test_a_link_does_not_work_after_15_minutes_nor_after_a_restart():
    async with a_room() as room, at_noon(room) as (identity, world):
        code = code_of(identity.one_time_link(BASE))
        world.ahead = LIFETIME

        expired = await reason(identity, code)
        elsewhere = await reason(room.identity, code)

    assert (expired, elsewhere) == ("expired", "unknown")


async def test_whoever_guesses_waits_and_the_owner_elsewhere_does_not():
    async with a_room() as room:
        code = code_of(room.identity.one_time_link(BASE))
        for _ in range(30):
            await reason(room.identity, "a guess")

        with pytest.raises(LimitReached):
            await room.identity.redeem(code, "phone")
        _, row = await room.identity.redeem(code, "laptop")

    assert row.scopes == ("admin",)


async def test_a_link_is_not_used_up_when_its_token_could_not_be_stored(monkeypatch: pytest.MonkeyPatch):
    async def full(work: object) -> None:
        raise Unavailable("the disk is full")

    async with a_room() as room:
        code = code_of(room.identity.one_time_link(BASE))
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(room.log, "control", full)
            await room.identity.redeem(code, "phone")

        text, _ = await room.identity.redeem(code, "phone")

    assert text.startswith("ns_")


# Over HTTP


def asked(body: bytes, *, token: str = "") -> Request:
    return Request("POST", "/", headers={"authorization": f"Bearer {token}"} if token else {}, body=body, peer="phone")


async def exchanged(room: Room, body: bytes) -> Response:
    exchange, _ = welcome_routes(room.identity, lambda: BASE)
    return await exchange.handler(asked(body))  # type: ignore[misc,return-value]


def made(room: Room, token: str) -> Response:
    _, make = welcome_routes(room.identity, lambda: BASE)
    return make.handler(asked(b"", token=token))  # type: ignore[return-value]


async def test_an_admin_makes_a_link_and_its_visitor_exchanges_the_code():
    async with a_room() as room:
        link = json.loads(made(room, TOKEN).body)
        answer = await exchanged(room, json.dumps({"code": code_of(link["link"])}).encode())

    told = json.loads(answer.body)
    assert link == {"link": BASE + link["path"], "path": link["path"], "valid_s": 900}
    assert (answer.status, told["scopes"], told["namespace"]) == (201, ["admin"], "default")
    assert ("cache-control", "no-store") in answer.headers


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"code": 1}', b'{"code": "x", "more": 1}', b"\xff"])
async def test_what_is_no_code_at_all_is_the_clients_mistake(body: bytes):
    async with a_room() as room:
        with pytest.raises(Rejected):
            await exchanged(room, body)


async def test_nobody_makes_a_link_to_more_than_they_may_themselves():
    async with a_room() as room:
        owner = room.identity.authenticate(bearing(TOKEN))
        await room.identity.create_namespace("shop", token=token_of("shop"))
        bound, _ = await room.identity.create_token(owner, TokenWish(("admin",), memories=("work",)))
        writer, _ = await room.identity.create_token(owner, TokenWish(("write",)))

        for token in (token_of("shop"), bound, writer):
            with pytest.raises(Forbidden):
                made(room, token)
        with pytest.raises(Unauthenticated):
            made(room, "")


# The token of a browser's WebSocket


async def test_a_token_among_the_subprotocols_counts_for_an_upgrade_only():
    offer = ("sec-websocket-protocol", f"appliance.tail, bearer.{TOKEN}")
    async with a_room() as room:
        live = room.identity.authenticate(Request("GET", "/", headers=dict([offer, ("upgrade", "websocket")])))

        for fields in ([offer], [("upgrade", "websocket")], [("upgrade", "websocket"), (offer[0], "bearer.x")]):
            with pytest.raises(Unauthenticated):
                room.identity.authenticate(Request("GET", "/", headers=dict(fields)))

    assert live.operator


async def test_a_header_counts_more_than_a_subprotocol():
    async with a_room() as room:
        await room.identity.create_namespace("shop", token=token_of("shop"))
        both = bearing(TOKEN, ("upgrade", "websocket"), ("sec-websocket-protocol", f"bearer.{token_of('shop')}"))

        assert room.identity.authenticate(both).namespace.id == "default"
