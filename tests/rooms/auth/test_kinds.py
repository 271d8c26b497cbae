"""Tokens of every kind in one list, with and without a server."""

from __future__ import annotations

import pytest

from appliance.auth import store
from appliance.auth.presented import EVENTS
from appliance.errors import NotFound, Rejected, Unavailable
from tests.rooms.auth.desk import HOUR, Desk, Keeping, a_desk
from tests.rooms.ingress.room import TOKEN, token_of

ITSELF = {"client_name": "Kitchen display", "grant_types": ["client_credentials"]}


async def one_of_each(desk: Desk) -> dict[str, str]:
    """A token's text by its kind."""
    client = (await desk.ask("POST", "/oauth/register", ITSELF)).json
    basic = (client["client_id"], client["client_secret"])
    access = await desk.ask("POST", "/oauth/token", form={"grant_type": "client_credentials"}, basic=basic)
    return {
        "token": await desk.token("read"),
        "api key": (await desk.ask("POST", "/api/v1/api-keys", {"name": "doorbell"})).json["api_key"],
        "access": access.json["access_token"],
        "stream": (await desk.ask("POST", EVENTS + "/tokens")).json["token"],
    }


async def test_every_kind_is_listed_and_ended_alike():
    async with a_desk() as desk:
        texts = await one_of_each(desk)
        listed = (await desk.ask("GET", "/api/v1/tokens")).json
        ids = {row["kind"]: row["id"] for row in listed if row["id"] != "owner"}
        ended = [(await desk.ask("DELETE", f"/api/v1/tokens/{ids[kind]}")).json for kind in texts]
        after = (await desk.ask("GET", "/api/v1/tokens")).json

        assert all(desk.identity.book.fate(ids[kind], desk.world.wall_us()) for kind in texts)

    assert sorted(ids) == ["access", "api key", "stream", "token"]
    assert ended == [{"id": ids[kind], "revoked": True} for kind in texts]
    assert [(row["kind"], bool(row["revoked"])) for row in after] == [("token", False), ("token", True)]


async def test_every_kind_is_listed_and_ended_where_no_server_runs():
    engine = Keeping()
    async with a_desk(engine) as desk:
        texts = await one_of_each(desk)
    ids = {row.kind: row.id for row, space in store.list_tokens(engine) if row.id != "owner" and space.id == "default"}

    for kind in texts:
        store.end_token(engine, ids[kind], now_us=1)
    with pytest.raises(Rejected):
        store.end_token(engine, "owner", now_us=1)
    with pytest.raises(NotFound):
        store.end_token(engine, ids["access"], now_us=1)

    async with a_desk(engine) as desk:
        assert [desk.identity.book.find(texts[kind]) for kind in ("api key", "access", "stream")] == [None] * 3
        assert desk.identity.book.fate(ids["token"], 0) == "Token revoked"
        assert desk.who(TOKEN).operator


async def test_everything_of_a_namespace_goes_with_it():
    engine = Keeping()
    async with a_desk(engine) as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        made = await desk.ask("POST", "/oauth/register", ITSELF, token=token_of("shop"))
        basic = (made.json["client_id"], made.json["client_secret"])
        form = {"grant_type": "client_credentials"}
        text = (await desk.ask("POST", "/oauth/token", form=form, basic=basic)).json["access_token"]
        live = desk.who(text)
        await desk.identity.delete_namespace("shop")
        verdict, again = desk.identity.verdict(live), await desk.ask("POST", "/oauth/token", form=form, basic=basic)
    async with a_desk(engine) as desk:
        left = [known.row.id for known in desk.identity.book], desk.identity.book.clients

    assert (verdict, again.status, left) == ("Token revoked", 401, (["owner"], {}))


async def test_what_has_expired_is_put_away_and_api_keys_stay_in_the_list():
    engine = Keeping()
    async with a_desk(engine) as desk:
        await one_of_each(desk)
        await desk.ask("POST", "/api/v1/api-keys", {"name": "short", "expires_in_days": 1})
        kinds = []
        for ahead in (1.5 * HOUR, 2.5 * HOUR, 48 * HOUR):
            desk.world.ahead = ahead
            await desk.identity.housekeeping.round()
            kinds.append(sorted(known.row.kind for known in desk.identity.book))
    async with a_desk(engine) as desk:
        stored = sorted(known.row.kind for known in desk.identity.book)

    lasting = ["api key", "api key", "token", "token"]
    assert kinds == [sorted([*lasting, "access", "stream"]), lasting, lasting]
    assert stored == lasting


async def test_a_full_disk_puts_off_what_can_wait(monkeypatch: pytest.MonkeyPatch):
    engine = Keeping()

    def full(_: object) -> int:
        raise Unavailable("the disk is full")

    async with a_desk(engine) as desk:
        texts = await one_of_each(desk)
        desk.world.ahead = 0.9 * HOUR
        desk.who(texts["access"])
        with monkeypatch.context() as patch:
            patch.setattr(engine, "change_state", full)
            with pytest.raises(Unavailable):
                await desk.identity.housekeeping.round()
            await desk.identity.drain()
        await desk.identity.drain()
    async with a_desk(engine) as desk:
        desk.world.ahead = 1.5 * HOUR

        assert desk.who(texts["access"]).scopes == {"read"}


async def test_no_text_of_any_kind_is_stored():
    engine = Keeping()
    async with a_desk(engine) as desk:
        texts = await one_of_each(desk)
        made = (await desk.ask("POST", "/oauth/register", ITSELF)).json
        secrets = [*texts.values(), made["client_secret"], made["registration_access_token"]]
        stored = repr(engine.tokens()) + repr(engine._values._kept) + repr(desk.identity.tickets)

    assert [secret for secret in secrets if secret[-20:] in stored] == []
