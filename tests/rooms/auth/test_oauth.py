"""OAuth 2 as its standards tell it, and what happens to whoever tells it otherwise."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import trio
import trio.testing

from appliance.errors import Unauthenticated, Unavailable
from tests.rooms.auth.desk import HOUR, Desk, Keeping, Reply, a_desk
from tests.rooms.ingress.room import TOKEN, token_of

BACK = "https://app.example/done?of=it"
VERIFIER = "a-verifier-of-43-characters-or-more-is-needed"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ISSUER = "http://kitchen.local:8420"
ITSELF = {"client_name": "Kitchen display", "grant_types": ["client_credentials"], "scope": "read write"}
FOR_ANNA = {"client_name": "Notes app", "redirect_uris": [BACK], "scope": "read write"}

Pair = tuple[str, str]


async def registered(desk: Desk, wish: dict[str, Any], *, token: str = TOKEN) -> Pair:
    made = await desk.ask("POST", "/oauth/register", wish, token=token)
    assert made.status == 201, made.body
    return made.json["client_id"], made.json.get("client_secret", "")


async def token_for(desk: Desk, client: Pair, **form: str) -> Reply:
    return await desk.ask("POST", "/oauth/token", form=form, basic=client)


async def its_own(desk: Desk, client: Pair, **form: str) -> str:
    made = await token_for(desk, client, grant_type="client_credentials", **form)
    assert made.status == 200, made.body
    text: str = made.json["access_token"]
    return text


def asking(client: Pair, **changed: str) -> dict[str, str]:
    """The query of a consent page."""
    asked = {
        "response_type": "code",
        "client_id": client[0],
        "redirect_uri": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "xyz",
    } | changed
    return {name: value for name, value in asked.items() if value}


async def agreed(desk: Desk, client: Pair, *, token: str = TOKEN, **changed: str) -> str:
    form = asking(client, **changed) | {"decision": "agree"}
    told = await desk.ask("POST", "/oauth/authorize", form=form, token=token)
    assert told.status == 200, told.body
    return parse_qs(urlsplit(told.json["redirect_to"]).query)["code"][0]


async def by_code(desk: Desk, client: Pair, code: str, **changed: str) -> Reply:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER} | changed
    return await token_for(desk, client, **form)


async def again(desk: Desk, client: Pair, refresh: str, **form: str) -> Reply:
    return await token_for(desk, client, grant_type="refresh_token", refresh_token=refresh, **form)


def counts(desk: Desk, token: str) -> bool:
    try:
        desk.who(token)
    except Unauthenticated:
        return False
    return True


def told(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.json["error"]


# A client for itself


async def test_a_client_of_an_admin_gets_a_token_at_once():
    async with a_desk() as desk:
        made = await desk.ask("POST", "/oauth/register", ITSELF)
        client = (made.json["client_id"], made.json["client_secret"])
        token = await token_for(desk, client, grant_type="client_credentials")
        who = desk.who(token.json["access_token"])

    assert (made.status, made.json["client_secret_expires_at"], made.headers["cache-control"]) == (201, 0, "no-store")
    assert made.json["registration_client_uri"] == f"{ISSUER}/oauth/register/{client[0]}"
    assert token.json.items() >= {"token_type": "Bearer", "expires_in": 3600, "scope": "read write"}.items()
    assert (len(token.json["access_token"]), token.json["access_token"][:6]) == (54, "mm_at_")
    assert "refresh_token" not in token.json
    assert token.headers["cache-control"] == "no-store"
    assert (who.scopes, who.subject, who.operator) == ({"read", "write"}, "Kitchen display", False)


async def test_a_client_gets_less_if_it_asks_for_less_and_never_more():
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)
        less = await its_own(desk, client, scope="read")
        more = [
            told(await token_for(desk, client, grant_type="client_credentials", scope=scope))
            for scope in ("read admin", "delete", "everything", "read,write")
        ]

        assert desk.who(less).scopes == {"read"}

    assert more == [(400, "invalid_scope")] * 4


async def test_a_stranger_cannot_register_a_client_that_acts_for_itself():
    async with a_desk() as desk:
        reader = await desk.token("read")
        answers = [await desk.ask("POST", "/oauth/register", ITSELF, token=token) for token in ("", reader, "wrong")]

    assert [answer.status for answer in answers] == [401, 401, 401]
    assert [answer.json["error"] for answer in answers[:2]] == ["invalid_token"] * 2


async def test_in_test_mode_the_seed_registers_without_a_token():
    async with a_desk(relaxed=True) as desk:
        client = await registered(desk, ITSELF, token="")
        token = await its_own(desk, client)

        assert desk.who(token).scopes == {"read", "write"}


async def test_a_client_may_show_itself_by_fields_and_not_with_a_wrong_secret():
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)
        form = {"grant_type": "client_credentials", "client_id": client[0]}
        right = await desk.ask("POST", "/oauth/token", form=form | {"client_secret": client[1]}, token="")
        wrong = [
            await desk.ask("POST", "/oauth/token", form=form | more, token="") for more in ({}, {"client_secret": "x"})
        ]
        wrong.append(await token_for(desk, (client[0], "x"), grant_type="client_credentials"))
        wrong.append(await token_for(desk, ("mm_nobody", client[1]), grant_type="client_credentials"))

    assert right.status == 200
    assert {told(answer) for answer in wrong} == {(401, "invalid_client")}
    assert {answer.headers["www-authenticate"] for answer in wrong} == {'Basic realm="oauth"'}
    assert len({answer.body for answer in wrong}) == 1


async def test_secrets_are_guessed_slowly():
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)
        statuses = [
            (await token_for(desk, (client[0], f"x{n}"), grant_type="client_credentials")).status for n in range(31)
        ]

        assert counts(desk, await its_own(desk, client))

    assert statuses == [401] * 30 + [429]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unauthorized_client"),
        ({"grant_type": "authorization_code", "code": "x"}, "unauthorized_client"),
    ],
)
async def test_what_a_client_may_not_ask_for_has_a_name(form: dict[str, str], error: str):
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)

        assert told(await token_for(desk, client, **form)) == (400, error)


async def test_an_access_token_lives_an_hour_after_its_last_use_and_a_day_with_mcp():
    engine = Keeping()
    async with a_desk(engine) as desk:
        client = await registered(desk, ITSELF | {"scope": "read mcp"})
        hour, day = await its_own(desk, client, scope="read"), await its_own(desk, client)
        live = desk.who(hour)
        steps = []
        for ahead in (0.9 * HOUR, 1.8 * HOUR, 2.7 * HOUR):
            desk.world.ahead = ahead
            steps.append(counts(desk, hour))
        desk.world.ahead = 3.8 * HOUR
        late = (desk.identity.verdict(live), counts(desk, hour), counts(desk, day))
        await desk.identity.drain()
    async with a_desk(engine) as desk:
        desk.world.ahead = 27 * HOUR
        after = counts(desk, day)

    assert (steps, late, after) == ([True] * 3, ("Token expired", False, True), True)


async def test_a_client_has_only_so_many_tokens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("appliance.auth.oauth.service.MOST_OF_ONE", 2)
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)
        statuses = [(await token_for(desk, client, grant_type="client_credentials")).status for _ in range(3)]
        desk.world.ahead = HOUR
        later = await token_for(desk, client, grant_type="client_credentials")

    assert (statuses, later.status) == ([200, 200, 429], 200)


# A client for somebody


async def test_a_stranger_s_client_acts_for_the_admin_who_agreed():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA, token="")
        question = await desk.ask("GET", "/oauth/authorize/question", query=urlencode(asking(client)), token="")
        form = asking(client) | {"decision": "agree"}
        going = await desk.ask("POST", "/oauth/authorize", form=form)
        place = urlsplit(going.json["redirect_to"])
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        pair = await by_code(desk, client, query["code"])
        who = desk.who(pair.json["access_token"])

    assert question.json == {
        "client_name": "Notes app",
        "client_uri": "",
        "redirect_uri": BACK,
        "scopes": ["read", "write"],
        "registered_by_admin": False,
    }
    assert (place.scheme, place.netloc, place.path) == ("https", "app.example", "/done")
    assert query.items() >= {"of": "it", "state": "xyz", "iss": ISSUER}.items()
    assert (pair.status, pair.json["scope"], pair.json["refresh_token"][:6]) == (200, "read write", "mm_rt_")
    assert (who.scopes, who.namespace.id, who.operator) == ({"read", "write"}, "default", False)


async def test_only_an_admin_agrees_and_nobody_gives_away_more_than_theirs():
    async with a_desk() as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        client = await registered(desk, FOR_ANNA, token="")
        form = asking(client) | {"decision": "agree"}
        writer, bound = await desk.token("read", "write"), await desk.token("admin", memories=["work"])
        statuses = [(await desk.ask("POST", "/oauth/authorize", form=form, token=one)).status for one in ("", writer)]
        tokens = [
            (await by_code(desk, client, await agreed(desk, client, token=one))).json["access_token"]
            for one in (token_of("shop"), bound)
        ]

        assert [(who.namespace.id, who.memories) for who in map(desk.who, tokens)] == [
            ("shop", set()),
            ("default", {"work"}),
        ]

    assert statuses == [401, 403]


async def test_who_refuses_sends_the_client_an_error():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA, token="")
        going = await desk.ask("POST", "/oauth/authorize", form=asking(client) | {"decision": "refuse"})
        unclear = await desk.ask("POST", "/oauth/authorize", form=asking(client) | {"decision": "perhaps"})

    query = parse_qs(urlsplit(going.json["redirect_to"]).query)
    assert (query["error"], query["state"], query["iss"], "code" in query) == (
        ["access_denied"],
        ["xyz"],
        [ISSUER],
        False,
    )
    assert told(unclear) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": ""}, "invalid_request"),
        ({"client_id": "mm_nobody"}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/done?of=it"}, "invalid_request"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "read admin"}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
async def test_what_nobody_can_agree_to_is_told_here_and_not_to_the_client(changed: dict[str, str], error: str):
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA, token="")
        question = await desk.ask("GET", "/oauth/authorize/question", query=urlencode(asking(client, **changed)))
        answer = await desk.ask("POST", "/oauth/authorize", form=asking(client, **changed) | {"decision": "agree"})

    assert told(question) == told(answer) == (400, error)


async def test_a_code_is_for_one_client_one_address_and_one_verifier():
    async with a_desk() as desk:
        client, other = [await registered(desk, FOR_ANNA) for _ in range(2)]
        answers = [
            await by_code(desk, other, await agreed(desk, client)),
            await by_code(desk, client, await agreed(desk, client), code_verifier=VERIFIER + "x"),
            await by_code(desk, client, await agreed(desk, client), code_verifier=""),
            await by_code(desk, client, await agreed(desk, client), redirect_uri="https://app.example/done"),
            await by_code(desk, client, "never-given"),
        ]
        code = await agreed(desk, client)
        desk.world.ahead = 600.0
        answers.append(await by_code(desk, client, code))

    assert {told(answer) for answer in answers} == {(400, "invalid_grant")}


async def test_a_code_that_comes_twice_ends_what_came_of_it():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA)
        code = await agreed(desk, client)
        pair = (await by_code(desk, client, code)).json
        before = counts(desk, pair["access_token"])
        twice = await by_code(desk, client, code)
        after = counts(desk, pair["access_token"])
        refresh = await again(desk, client, pair["refresh_token"])

    assert (before, after) == (True, False)
    assert told(twice) == told(refresh) == (400, "invalid_grant")


# Refreshing


async def test_a_refresh_token_is_exchanged_for_a_new_pair_within_its_scope():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA)
        first = (await by_code(desk, client, await agreed(desk, client))).json
        wider = await again(desk, client, first["refresh_token"], scope="read admin")
        second = (await again(desk, client, first["refresh_token"], scope="read")).json
        third = (await again(desk, client, second["refresh_token"])).json

        assert [counts(desk, one["access_token"]) for one in (first, second, third)] == [True] * 3

    assert told(wider) == (400, "invalid_scope")
    assert [one["scope"] for one in (first, second, third)] == ["read write", "read", "read write"]
    assert len({one["refresh_token"] for one in (first, second, third)}) == 3


async def test_a_refresh_token_that_comes_twice_ends_the_whole_family():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA)
        first = (await by_code(desk, client, await agreed(desk, client))).json
        stranger = (await by_code(desk, client, await agreed(desk, client))).json
        second = (await again(desk, client, first["refresh_token"])).json
        live = desk.who(second["access_token"])

        stolen = await again(desk, client, first["refresh_token"])
        later = await again(desk, client, second["refresh_token"])

        assert desk.identity.verdict(live) == "Token revoked"
        assert [counts(desk, one["access_token"]) for one in (first, second, stranger)] == [False, False, True]

    assert told(stolen) == told(later) == (400, "invalid_grant")


async def test_of_two_who_race_with_a_refresh_token_none_keeps_anything():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA)
        first = (await by_code(desk, client, await agreed(desk, client))).json
        answers: list[Reply] = []

        async def race() -> None:
            answers.append(await again(desk, client, first["refresh_token"]))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(race)
        pairs = [answer.json["access_token"] for answer in answers if answer.status == 200]

        assert [token for token in (first["access_token"], *pairs) if counts(desk, token)] == []
        assert [row for row, _ in desk.identity.list_tokens(desk.who(TOKEN)) if row.client] == []

    assert {told(answer) for answer in answers if answer.status != 200} == {(400, "invalid_grant")}


async def test_of_two_who_race_with_a_code_none_keeps_anything():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA)
        code, answers = await agreed(desk, client), []

        async def race() -> None:
            answers.append(await by_code(desk, client, code))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(race)

        assert [row for row, _ in desk.identity.list_tokens(desk.who(TOKEN)) if row.client] == []

    assert sum(answer.status == 200 for answer in answers) <= 1


async def test_a_client_that_ends_takes_what_is_being_made_for_it_along():
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                form = {"grant_type": "client_credentials"}
                nursery.start_soon(lambda form=form: token_for(desk, client, **form))
                if number == 5:
                    nursery.start_soon(desk.ask, "DELETE", f"/api/v1/oauth/clients/{client[0]}")

        assert [row for row, _ in desk.identity.list_tokens(desk.who(TOKEN)) if row.client] == []
        assert desk.identity.book.clients == {}


async def test_a_use_does_not_bring_back_a_token_that_is_being_ended():
    async with a_desk() as desk:
        client = await registered(desk, ITSELF)
        text = await its_own(desk, client)
        desk.world.ahead = 600.0
        assert counts(desk, text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: revoked(desk, text, basic=client))
            await trio.testing.wait_all_tasks_blocked()
            with contextlib.suppress(Unavailable):
                await desk.identity.housekeeping.write_down()
        await desk.identity.housekeeping.write_down()

        assert not counts(desk, text)


async def test_a_refresh_token_is_one_client_s_lives_30_days_and_survives_a_restart():
    engine = Keeping()
    async with a_desk(engine) as desk:
        client, other = [await registered(desk, FOR_ANNA) for _ in range(2)]
        pairs = [(await by_code(desk, client, await agreed(desk, client))).json for _ in range(2)]
        foreign = await again(desk, other, pairs[0]["refresh_token"])
        bearer = counts(desk, pairs[0]["refresh_token"])
    async with a_desk(engine) as desk:
        kept = await again(desk, client, pairs[0]["refresh_token"])
        stolen = await again(desk, client, pairs[0]["refresh_token"])
        desk.world.ahead = 30 * 24 * HOUR + 1
        late = await again(desk, client, pairs[1]["refresh_token"])

    assert (kept.status, bearer) == (200, False)
    assert told(foreign) == told(stolen) == told(late) == (400, "invalid_grant")


async def test_a_client_without_a_secret_lives_by_its_verifier():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA | {"token_endpoint_auth_method": "none"}, token="")
        form = {"client_id": client[0], "grant_type": "authorization_code", "redirect_uri": BACK}
        form |= {"code": await agreed(desk, client), "code_verifier": VERIFIER}
        pair = await desk.ask("POST", "/oauth/token", form=form, token="")
        asked = await desk.ask(
            "POST", "/oauth/introspect", form={"client_id": client[0], "token": pair.json["access_token"]}, token=""
        )

    assert (client[1], pair.status) == ("", 200)
    assert told(asked) == (401, "invalid_client")


# Looking at tokens, and ending them


async def introspected(desk: Desk, client: Pair, token: str) -> Any:
    answer = await desk.ask("POST", "/oauth/introspect", form={"token": token, "token_type_hint": "x"}, basic=client)
    assert answer.status == 200
    return answer.json


async def revoked(desk: Desk, text: str, /, **by: Any) -> int:
    return (await desk.ask("POST", "/oauth/revoke", form={"token": text}, **by)).status


async def test_a_client_is_told_what_its_tokens_are_good_for():
    async with a_desk() as desk:
        client = await registered(desk, FOR_ANNA, token="")
        pair = (await by_code(desk, client, await agreed(desk, client))).json
        access, refresh = [await introspected(desk, client, pair[name]) for name in ("access_token", "refresh_token")]
        desk.world.ahead = HOUR
        late = await introspected(desk, client, pair["access_token"])

    same = {
        "active": True,
        "scope": "read write",
        "client_id": client[0],
        "aud": client[0],
        "sub": client[0],
        "iss": ISSUER,
    }
    assert access.items() >= (same | {"token_type": "Bearer"}).items()
    assert refresh.items() >= (same | {"token_type": "refresh_token"}).items()
    assert (access["exp"] - access["iat"], refresh["exp"] - refresh["iat"]) == (3600, 30 * 24 * 3600)
    assert late == {"active": False}


async def test_what_is_not_a_client_s_business_is_not_active_to_it():
    async with a_desk() as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        stranger, server = await registered(desk, FOR_ANNA, token=""), await registered(desk, ITSELF)
        other = await registered(desk, ITSELF, token=token_of("shop"))
        ours, theirs = await its_own(desk, server), await its_own(desk, other)
        stranger_s = (await by_code(desk, stranger, await agreed(desk, stranger))).json["access_token"]

        seen = {
            name: [
                (await introspected(desk, client, token))["active"] for token in (ours, theirs, stranger_s, TOKEN, "x")
            ]
            for name, client in (("stranger", stranger), ("server", server), ("other", other))
        }

    assert seen == {
        "stranger": [False, False, True, False, False],
        "server": [True, False, True, False, False],
        "other": [False, True, False, False, False],
    }


async def test_a_client_ends_its_own_tokens_and_always_hears_yes():
    async with a_desk() as desk:
        client, other = [await registered(desk, FOR_ANNA) for _ in range(2)]
        pairs = [(await by_code(desk, client, await agreed(desk, client))).json for _ in range(2)]
        live = desk.who(pairs[0]["access_token"])
        statuses = [await revoked(desk, token, basic=other) for token in (pairs[0]["access_token"], "x", TOKEN)]
        before = counts(desk, pairs[0]["access_token"])
        statuses += [await revoked(desk, pairs[0]["access_token"], basic=client) for _ in range(2)]
        statuses += [await revoked(desk, pairs[1]["refresh_token"], basic=client)]
        after = [counts(desk, pair["access_token"]) for pair in pairs]
        nobody = await revoked(desk, "x", basic=("mm_x", "y"))

        assert desk.identity.verdict(live) == "Token revoked"
        assert counts(desk, TOKEN)

    assert (statuses, before, after, nobody) == ([200] * 6, True, [False, False], 401)


async def test_a_token_ends_itself_and_an_admin_ends_any_of_the_namespace():
    async with a_desk() as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        client = await registered(desk, ITSELF)
        tokens = [await its_own(desk, client) for _ in range(3)]
        for token, by in (
            (tokens[0], tokens[1]),
            (tokens[0], token_of("shop")),
            (tokens[1], tokens[1]),
            (tokens[2], TOKEN),
        ):
            assert await revoked(desk, token, token=by) == 200

        assert [counts(desk, token) for token in tokens] == [True, False, False]


# Registrations


async def test_a_registration_can_be_read_and_ended_by_its_own_token():
    async with a_desk() as desk:
        made = (await desk.ask("POST", "/oauth/register", ITSELF)).json
        client, path = (made["client_id"], made["client_secret"]), f"/oauth/register/{made['client_id']}"
        access, own = await its_own(desk, client), made["registration_access_token"]
        read = await desk.ask("GET", path, token=own)
        wrong = [await desk.ask(method, path, token=TOKEN) for method in ("GET", "DELETE")]
        ended = await desk.ask("DELETE", path, token=own)
        gone = await desk.ask("GET", path, token=own)

        assert not counts(desk, access)
        assert told(await token_for(desk, client, grant_type="client_credentials")) == (401, "invalid_client")

    assert read.json == {name: made[name] for name in read.json}
    assert "client_secret" not in read.json
    assert [answer.status for answer in (*wrong, ended, gone)] == [401, 401, 204, 401]


async def test_an_admin_lists_and_ends_the_clients_of_the_namespace():
    async with a_desk() as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        ours, theirs = await registered(desk, ITSELF), await registered(desk, ITSELF, token=token_of("shop"))
        path = "/api/v1/oauth/clients"
        seen = [(await desk.ask("GET", path, token=one)).json["clients"] for one in (TOKEN, token_of("shop"))]
        statuses = [
            (await desk.ask("DELETE", f"{path}/{id}", token=token)).status
            for id, token in ((ours[0], token_of("shop")), (ours[0], TOKEN), ("mm_x", TOKEN))
        ]

    assert [[client["client_id"] for client in one] for one in seen] == [[ours[0], theirs[0]], [theirs[0]]]
    assert statuses == [404, 204, 404]


async def test_strangers_register_slowly_and_are_forgotten_if_nobody_agrees():
    engine = Keeping()
    async with a_desk(engine) as desk:
        answers = [await desk.ask("POST", "/oauth/register", FOR_ANNA, token="") for _ in range(11)]
        clients = [(answer.json["client_id"], answer.json["client_secret"]) for answer in answers[:10]]
        admin_s = await registered(desk, ITSELF)
        await agreed(desk, clients[0])
        desk.world.ahead = 25 * HOUR
        await desk.identity.housekeeping.round()
        kept = set(desk.identity.book.clients)
    async with a_desk(engine) as desk:
        stored = set(desk.identity.book.clients)

    assert [answer.status for answer in answers] == [201] * 10 + [429]
    assert kept == stored == {clients[0][0], admin_s[0]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"redirect_uris": "x"}', {"client_name": 1}, {}])
async def test_what_is_no_registration_is_named(body: object):
    async with a_desk() as desk:
        assert told(await desk.ask("POST", "/oauth/register", body)) == (400, "invalid_client_metadata")


async def test_what_no_client_asks_for_is_ignored():
    async with a_desk() as desk:
        await registered(desk, ITSELF | {"software_id": "x", "jwks": {}, "contacts": ["a@b.example"]})


# Metadata


async def test_the_metadata_names_us_as_the_caller_does():
    async with a_desk() as desk:
        server = (await desk.ask("GET", "/.well-known/oauth-authorization-server", token="")).json
        resource = (await desk.ask("GET", "/.well-known/oauth-protected-resource", token="")).json

        paths = {row.path for row in desk.rows}
        named = {value.removeprefix(ISSUER) for name, value in server.items() if name.endswith("_endpoint")}

    assert (server["issuer"], resource["resource"], resource["authorization_servers"]) == (ISSUER, ISSUER, [ISSUER])
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert named <= paths
