"""API keys, tickets and stream tokens: how they are had, what they open, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.auth.passes import MOST_OF_ONE
from appliance.auth.presented import EVENTS
from appliance.errors import LimitReached, Unauthenticated
from appliance.model.http import Request
from tests.rooms.auth.desk import HOUR, Desk, Keeping, a_desk
from tests.rooms.ingress.room import TOKEN, token_of

UPGRADE = {"upgrade": "websocket"}


def refused(desk: Desk, token: str = "", **asked: Any) -> bool:
    with pytest.raises(Unauthenticated):
        desk.who(token, **asked)
    return True


# API keys


async def test_an_api_key_is_shown_once_and_then_only_how_it_begins():
    async with a_desk() as desk:
        made = await desk.ask("POST", "/api/v1/api-keys", {"name": "doorbell", "description": "at the gate"})
        listed = await desk.ask("GET", "/api/v1/api-keys")

        who = desk.who(made.json["api_key"])

    key = made.json
    assert (made.status, made.headers["cache-control"], len(key["api_key"])) == (201, "no-store", 39)
    assert key["api_key"].startswith(key["key_prefix"])
    assert {name: key[name] for name in ("name", "description", "scope", "expires_at")} == {
        "name": "doorbell",
        "description": "at the gate",
        "scope": "read",
        "expires_at": None,
    }
    assert listed.json == {"api_keys": [{name: value for name, value in key.items() if name != "api_key"}]}
    assert (who.scopes, who.subject, who.operator) == ({"read"}, "doorbell", False)
    assert key["api_key"].encode() not in listed.body


async def test_an_api_key_ends_by_hand_or_by_itself():
    async with a_desk() as desk:
        keys = [
            (await desk.ask("POST", "/api/v1/api-keys", {"name": "a", "expires_in_days": days})).json for days in (1, 2)
        ]
        live = [desk.who(key["api_key"]) for key in keys]
        gone = await desk.ask("DELETE", f"/api/v1/api-keys/{keys[0]['id']}")
        again = await desk.ask("DELETE", f"/api/v1/api-keys/{keys[0]['id']}")
        verdicts = [desk.identity.verdict(who) for who in live]
        desk.world.ahead = 48 * HOUR

        assert refused(desk, keys[0]["api_key"])
        assert refused(desk, keys[1]["api_key"])
        assert desk.identity.verdict(live[1]) == "Token expired"

    assert (gone.status, again.status, verdicts) == (204, 404, ["Token revoked", ""])


async def test_api_keys_are_an_admins_and_stay_in_their_namespace():
    async with a_desk() as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        ours = (await desk.ask("POST", "/api/v1/api-keys", {"name": "ours"})).json
        theirs = (await desk.ask("POST", "/api/v1/api-keys", {"name": "theirs"}, token=token_of("shop"))).json
        reader = await desk.token("read", "write", "delete", "mcp")

        asked = [(await desk.ask("GET", "/api/v1/api-keys", token=token)).json for token in (TOKEN, token_of("shop"))]
        crossing = [
            (await desk.ask("DELETE", f"/api/v1/api-keys/{key['id']}", token=token)).status
            for key, token in ((theirs, TOKEN), (ours, token_of("shop")))
        ]
        denied = [
            (await desk.ask(method, path, {"name": "x"}, token=reader)).status
            for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{ours['id']}"))
            for path in [f"/api/v1/api-keys{path}"]
        ]

    assert [[key["name"] for key in one["api_keys"]] for one in asked] == [["ours"], ["theirs"]]
    assert (crossing, denied) == ([404, 404], [403, 403, 403])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        {},
        {"name": ""},
        {"name": "a\x00"},
        {"name": "a", "scope": ""},
        {"name": "a", "scope": "everything"},
        {"name": "a", "expires_in_days": 0},
        {"name": "a", "expires_in_days": "1"},
        {"name": "a", "memories": ["a b"]},
        {"name": "a", "more": 1},
        {"name": "a", "description": "x" * 1001},
    ],
)
async def test_what_no_api_key_can_be_is_the_clients_mistake(body: object):
    async with a_desk() as desk:
        assert (await desk.ask("POST", "/api/v1/api-keys", body)).status == 422


async def test_an_admin_bound_to_memories_makes_only_keys_that_are():
    async with a_desk() as desk:
        bound = await desk.token("admin", memories=["work"])

        answers = [
            await desk.ask("POST", "/api/v1/api-keys", {"name": "a", "memories": memories}, token=bound)
            for memories in ([], ["home"], ["work"])
        ]

    assert [answer.status for answer in answers] == [403, 403, 201]


# Tickets


async def test_a_ticket_opens_one_websocket_with_the_rights_of_its_holder():
    async with a_desk() as desk:
        reader = await desk.token("read", memories=["work"], name="Anna's phone")
        made = await desk.ask("POST", "/api/v1/tickets", token=reader)

        query = f"ticket={made.json['ticket']}"
        assert refused(desk, query=query)  # no upgrade
        who = desk.who(query=query, **UPGRADE)
        assert refused(desk, query=query, **UPGRADE)

    assert (made.status, made.json["expires_in"], made.headers["cache-control"]) == (201, 30, "no-store")
    assert (who.scopes, who.memories, who.subject) == ({"read"}, {"work"}, "Anna's phone")


async def test_a_ticket_is_late_after_30_seconds_and_worth_nothing_when_its_maker_is():
    async with a_desk() as desk:
        reader = await desk.token("read")
        tickets = [(await desk.ask("POST", "/api/v1/tickets", token=reader)).json["ticket"] for _ in range(2)]
        id = next(row.id for row, _ in desk.identity.list_tokens(desk.who(TOKEN)) if row.scopes == ("read",))
        await desk.ask("DELETE", f"/api/v1/tokens/{id}")

        assert refused(desk, query=f"ticket={tickets[0]}", **UPGRADE)
        ticket = (await desk.ask("POST", "/api/v1/tickets")).json["ticket"]
        desk.world.ahead = 30.0
        assert refused(desk, query=f"ticket={ticket}", **UPGRADE)
        assert (await desk.ask("POST", "/api/v1/tickets", token="")).status == 401


async def test_a_ticket_is_no_token_and_a_token_no_ticket():
    async with a_desk() as desk:
        ticket = (await desk.ask("POST", "/api/v1/tickets")).json["ticket"]

        assert refused(desk, ticket)
        assert refused(desk, query=f"ticket={TOKEN}", **UPGRADE)
        assert desk.who(query=f"ticket={ticket}", **UPGRADE).operator


# Stream tokens


async def stream_token(desk: Desk, token: str = TOKEN, body: object = None) -> dict[str, Any]:
    made = await desk.ask("POST", EVENTS + "/tokens", body, token=token)
    assert (made.status, made.headers["cache-control"]) == (201, "no-store"), made.body
    return made.json


async def test_a_stream_token_opens_the_events_again_and_again_and_nothing_else():
    async with a_desk() as desk:
        reader = await desk.token("read", memories=["work"])
        made = await stream_token(desk, reader)
        query = f"token={made['token']}"

        who = [desk.who(path=EVENTS, query=query) for _ in range(3)]

        assert refused(desk, path=EVENTS + "/tokens", query=query)
        assert refused(desk, path="/api/v1/status", query=query)
        assert refused(desk, path=EVENTS, query=query, **UPGRADE)
        assert refused(desk, made["token"], path=EVENTS)
        assert refused(desk, path=EVENTS, query=f"token={reader}")

    assert made["expires_in"] == 3600
    assert {(one.scopes, one.memories, one.namespace.id) for one in who} == {
        (frozenset({"read"}), frozenset({"work"}), "default")
    }


async def test_a_stream_token_can_be_bound_to_one_memory():
    async with a_desk() as desk:
        bound = await desk.token("read", memories=["work", "home"])
        narrow = await stream_token(desk, bound, {"memory": "work"})
        elsewhere = await desk.ask("POST", EVENTS + "/tokens", {"memory": "gym"}, token=bound)
        nameless = await desk.ask("POST", EVENTS + "/tokens", {"memory": ""}, token=bound)

        who = desk.who(path=EVENTS, query=f"token={narrow['token']}")

    assert (who.memories, elsewhere.status, nameless.status) == ({"work"}, 403, 422)


async def test_a_stream_token_ends_by_hand_by_itself_and_with_its_maker():
    async with a_desk() as desk:
        reader = await desk.token("read")
        by_hand, with_maker, by_itself = [await stream_token(desk, token) for token in (reader, reader, TOKEN)]
        live = [desk.who(path=EVENTS, query=f"token={one['token']}") for one in (by_hand, with_maker, by_itself)]

        path = f"{EVENTS}/tokens/{by_hand['token_id']}"
        ended = [(await desk.ask("DELETE", path, token=reader)).status for _ in range(2)]
        first = [desk.identity.verdict(who) for who in live]
        id = next(row.id for row, _ in desk.identity.list_tokens(desk.who(TOKEN)) if row.scopes == ("read",))
        await desk.ask("DELETE", f"/api/v1/tokens/{id}")
        second = [desk.identity.verdict(who) for who in live]
        desk.world.ahead = HOUR
        third = [desk.identity.verdict(who) for who in live]

        assert refused(desk, path=EVENTS, query=f"token={by_itself['token']}")

    assert ended == [204, 404]
    assert first == ["Token revoked", "", ""]
    assert second == ["Token revoked", "Token revoked", ""]
    assert third == ["Token revoked", "Token expired", "Token expired"]


async def test_a_stream_token_is_ended_by_its_maker_or_an_admin_of_the_namespace():
    async with a_desk() as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        one, other = await desk.token("read"), await desk.token("read")
        made = [await stream_token(desk, one) for _ in range(2)]
        paths = [f"{EVENTS}/tokens/{each['token_id']}" for each in made]

        statuses = [
            (await desk.ask("DELETE", path, token=token)).status
            for path, token in (
                (paths[0], other),
                (paths[0], token_of("shop")),
                (paths[0], one),
                (paths[1], TOKEN),
                (f"{EVENTS}/tokens/owner", TOKEN),
            )
        ]

    assert statuses == [404, 404, 204, 204, 404]


async def test_a_stream_token_survives_a_restart():
    engine = Keeping()
    async with a_desk(engine) as desk:
        made = await stream_token(desk)
    async with a_desk(engine) as desk:
        assert desk.who(path=EVENTS, query=f"token={made['token']}").namespace.id == "default"


async def test_a_token_has_only_so_many_stream_tokens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("appliance.auth.passes.MOST_OF_ONE", 2)
    async with a_desk() as desk:
        statuses = [(await desk.ask("POST", EVENTS + "/tokens")).status for _ in range(4)]

    assert MOST_OF_ONE > 2
    assert statuses == [201, 201, 429, 429]


# Addresses hold no lasting secret


@pytest.mark.parametrize("path", ["/api/v1/status", EVENTS, EVENTS + "/tokens", "/api/v1/ws"])
async def test_a_lasting_token_in_an_address_is_refused(path: str):
    async with a_desk() as desk:
        key = (await desk.ask("POST", "/api/v1/api-keys", {"name": "a", "scope": "admin"})).json["api_key"]

        for name in ("token", "ticket"):
            for text in (TOKEN, key):
                assert refused(desk, path=path, query=f"{name}={text}")
                assert refused(desk, path=path, query=f"{name}={text}", **UPGRADE)
        assert desk.who(TOKEN, path=path, query="token=whatever").operator


# Guesses


async def test_guesses_are_counted_by_address_and_a_valid_token_always_passes():
    async with a_desk() as desk:
        for number in range(30):
            assert refused(desk, f"mm_key_{number}")
        with pytest.raises(LimitReached) as limited:
            desk.who("mm_key_more")

        assert desk.who(TOKEN).operator
        assert (await desk.ask("GET", "/api/v1/tokens", token="mm_key_more")).status == 429
        with pytest.raises(Unauthenticated):
            desk.who()  # shows nothing, guesses nothing
        desk.peer = "laptop"
        assert refused(desk, "mm_key_more")
        desk.peer, desk.world.ahead = "phone", 60.0
        assert refused(desk, "mm_key_more")

    assert 0 < limited.value.retry_after <= 60


async def test_what_was_good_once_is_no_guess():
    async with a_desk() as desk:
        token = await desk.token("read")
        id = next(row.id for row, _ in desk.identity.list_tokens(desk.who(TOKEN)) if row.scopes == ("read",))
        await desk.ask("DELETE", f"/api/v1/tokens/{id}")

        assert all(refused(desk, token) for _ in range(50))


async def test_a_present_but_invalid_token_is_refused_where_strangers_are_not():
    async with a_desk() as desk:
        stranger = desk.identity.visitor(Request("GET", "/ws/broadcast"))
        guest = desk.identity.visitor(Request("GET", "/ws/broadcast", headers={"authorization": f"Bearer {TOKEN}"}))
        with pytest.raises(Unauthenticated):
            desk.identity.visitor(Request("GET", "/ws/broadcast", headers={"authorization": "Bearer x"}, peer="a"))

    assert stranger is None
    assert guest is not None
    assert guest.operator
