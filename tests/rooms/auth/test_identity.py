"""Who is let in, by which rules, and what a restart keeps of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from appliance.auth import store
from appliance.auth.credentials import describe
from appliance.auth.guard import TOKEN_HEADERS
from appliance.auth.routes import token_routes
from appliance.auth.service import Identity
from appliance.auth.store import TokenWish
from appliance.auth.tokens import hash_token
from appliance.errors import ConfigError, Forbidden, NotFound, Rejected, Unauthenticated
from appliance.model.http import Request
from appliance.model.principal import SCOPES
from appliance.storage.memory import MemoryEngine
from appliance.world import RealWorld
from tests.rooms.ingress.room import SECRET, TOKEN, Room, a_room, token_of

OTHER = "ns_ZGVmYXVsdA_" + "6" * 64
HOUR = 3600 * 1_000_000


class Keeping(MemoryEngine):
    """Outlives the service that closes it."""

    def close(self) -> None:
        pass


def sent(token: str = "", *, header: str | None = None, query: str = "") -> Request:
    headers = {"authorization": header if header is not None else f"Bearer {token}"} if token or header else {}
    return Request("POST", "/rpc", query, headers)


async def denied(room: Room, header: str | None, query: str = "") -> tuple[int, str, str, object]:
    headers = None if header is None else {"authorization": header}
    pairs = {"token": query} if query else {}
    answer = await room.ask("/rpc", b'["sys.version"]', token=None, headers=headers, query=pairs)
    error = json.loads(answer.body).get("error", {}) if answer.status != 200 else {}  # type: ignore[union-attr]
    return answer.status, error.get("code", ""), error.get("message", ""), error.get("details")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (401, "AUTH_REQUIRED", "Authorization header required", None)),
        ("Basic abc", (401, "AUTH_REQUIRED", "Authorization header must use Bearer scheme", None)),
        ("bearer " + TOKEN, (401, "AUTH_REQUIRED", "Authorization header must use Bearer scheme", None)),
        ("Bearer", (401, "AUTH_REQUIRED", "Authorization header must use Bearer scheme", None)),
        ("Bearer ", (401, "AUTH_REQUIRED", "Token required", None)),
        (
            "Bearer abc",
            (
                401,
                "AUTH_INVALID_TOKEN",
                "Invalid token format",
                {"error": "invalid token format: missing 'ns_' prefix"},
            ),
        ),
        (f"Bearer {OTHER}", (403, "AUTH_UNAUTHORIZED", "Token not authorized for namespace", {"namespace": "default"})),
        (
            f"Bearer {token_of('nowhere')}",
            (403, "AUTH_UNAUTHORIZED", "Token not authorized for namespace", {"namespace": "nowhere"}),
        ),
        (f"Bearer {TOKEN}", (200, "", "", None)),
    ],
)
async def test_message_store_says_in_its_own_words_who_is_not_let_in(header, expected):
    async with a_room() as room:
        assert await denied(room, header) == expected


async def test_token_in_the_query_wins_over_the_header_and_an_empty_one_counts_as_none():
    async with a_room() as room:
        by_query = await denied(room, "Basic abc", query=TOKEN)
        wrong_query = await denied(room, f"Bearer {TOKEN}", query="abc")
        empty = await room.ask("/rpc", b'["sys.version"]', query={"token": ""})

    assert by_query[0] == 200
    assert wrong_query[1] == "AUTH_INVALID_TOKEN"
    assert empty.status == 200


async def test_query_with_too_many_parameters_is_the_clients_mistake():
    async with a_room() as room:
        answer = await room.ask("/rpc", b'["sys.version"]', query={f"q{n}": "1" for n in range(200)})

    assert answer.status == 400


async def test_ordinary_routes_take_the_scheme_in_any_case_and_tell_strangers_one_thing():
    async with a_room() as room:
        who = room.identity.authenticate(sent(header=f"bEaReR {TOKEN}"))
        assert (who.namespace.id, who.operator, who.scopes) == ("default", True, SCOPES)
        for request in (sent(), sent(query=f"token={TOKEN}"), sent(OTHER), sent("abc"), sent(header="Basic abc")):
            with pytest.raises(Unauthenticated):
                room.identity.authenticate(request)


async def test_owner_token_lives_in_a_private_file_and_works_after_a_restart(tmp_path: Path):
    engine, run = Keeping(), tmp_path / "run"

    async with a_room(engine, token="", run_folder=run) as room:
        first = room.identity.owner_token
    async with a_room(engine, token="", run_folder=run) as room:
        second = room.identity.owner_token
        status = await denied(room, f"Bearer {second}")

    assert first == second == (run / "owner.token").read_text().strip()
    assert status[0] == 200
    assert (run / "owner.token").stat().st_mode & 0o777 == 0o600
    assert run.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in run.iterdir()] == ["owner.token"]
    assert [row.hash for row in engine.tokens()] == [hash_token(first)]


@pytest.mark.parametrize("damage", ["missing", "stale", "garbage", "binary"])
async def test_owner_token_that_is_missing_or_stale_is_made_anew(tmp_path: Path, damage: str):
    engine, file = Keeping(), tmp_path / "owner.token"
    async with a_room(engine, token="", run_folder=tmp_path) as room:
        old = room.identity.owner_token
    file.unlink()
    if damage != "missing":
        file.write_bytes({"stale": OTHER.encode(), "garbage": b"???", "binary": b"\xff\xfe"}[damage])

    async with a_room(engine, token="", run_folder=tmp_path) as room:
        new = room.identity.owner_token
        answers = [(await denied(room, f"Bearer {token}"))[0] for token in (old, new)]

    assert answers == [403, 200]
    assert file.read_text().strip() == new != old


async def test_owner_file_that_others_can_read_is_made_private_again(tmp_path: Path):
    engine, file = Keeping(), tmp_path / "owner.token"
    async with a_room(engine, token="", run_folder=tmp_path) as room:
        token = room.identity.owner_token
    file.chmod(0o644)

    async with a_room(engine, token="", run_folder=tmp_path) as room:
        assert room.identity.owner_token == token

    assert file.stat().st_mode & 0o777 == 0o600


async def test_given_token_takes_the_place_of_the_one_before_and_stays(tmp_path: Path):
    engine = Keeping()
    async with a_room(engine, token="", run_folder=tmp_path) as room:
        old = room.identity.owner_token

    async with a_room(engine, token=TOKEN, run_folder=tmp_path) as room:
        answers = [(await denied(room, f"Bearer {token}"))[0] for token in (old, TOKEN)]
    async with a_room(engine, token="", run_folder=tmp_path) as room:
        kept = room.identity.owner_token

    assert answers == [403, 200]
    assert kept == TOKEN


@pytest.mark.parametrize("token", ["abc", token_of("other")])
async def test_given_token_that_cannot_be_the_owners_stops_the_start(token: str):
    async with a_room() as room:
        with pytest.raises(ConfigError):
            Identity(room.log, RealWorld(), token=token)


async def test_namespaces_and_scoped_tokens_are_there_after_a_restart():
    engine = Keeping()
    async with a_room(engine) as room:
        await room.identity.create_namespace("shop", "Sells", token_of("shop"))
        owner = room.identity.authenticate(sent(TOKEN))
        text, _ = await room.identity.create_token(owner, TokenWish(("read",), "shop", "Anna's phone"))

    async with a_room(engine) as room:
        phone = room.identity.authenticate(sent(text))
        itself = room.identity.authenticate(sent(token_of("shop")))

    assert (phone.namespace.id, phone.scopes, phone.subject, phone.operator) == (
        "shop",
        frozenset({"read"}),
        "Anna's phone",
        False,
    )
    assert (itself.scopes, itself.operator) == (SCOPES, False)


async def test_scoped_token_may_only_what_its_scopes_say():
    async with a_room() as room:
        owner = room.identity.authenticate(sent(TOKEN))
        text, _ = await room.identity.create_token(owner, TokenWish(("read",)))

        status, error = await room.refusal("stream.write", "a-1", {"type": "T", "data": {}}, token=text)
        listing = await room.refusal("ns.list", token=text)
        forced = await room.ask("/import", chunks=[], token=text)
        read = await room.rpc("stream.get", "a-1", token=text)

    assert (status, error["code"], error["details"]) == (403, "AUTH_UNAUTHORIZED", {"needed": "write"})
    assert listing[0] == 403
    assert forced.status == 403
    assert read == []


async def test_write_token_cannot_read():
    async with a_room() as room:
        owner = room.identity.authenticate(sent(TOKEN))
        text, _ = await room.identity.create_token(owner, TokenWish(("write",)))
        await room.rpc("stream.write", "a-1", {"type": "T", "data": {}}, token=text)

        calls = ("stream.get", "stream.last", "stream.version", "category.get", "ns.info")
        statuses = [(await room.refusal(call, "default", token=text))[0] for call in calls]
        statuses += [(await room.refusal(call, token=text))[0] for call in ("ns.streams", "ns.categories")]
        statuses.append((await room.ask("/export", method="GET", token=text)).status)
        statuses.append((await room.ask("/import", chunks=[], query={"force": "true"}, token=text)).status)

    assert statuses == [403] * 9


async def test_token_bound_to_memories_is_refused_where_memories_are_unknown():
    async with a_room() as room:
        owner = room.identity.authenticate(sent(TOKEN))
        text, _ = await room.identity.create_token(owner, TokenWish(("read", "admin"), memories=("work",)))

        status, error = await room.refusal("stream.get", "a-1", token=text)
        bound = room.identity.authenticate(sent(text))
        with pytest.raises(Forbidden):
            await room.identity.create_token(bound, TokenWish(("read",)))
        _, row = await room.identity.create_token(bound, TokenWish(("read",), memories=("work",)))

    assert (status, error["code"]) == (403, "AUTH_UNAUTHORIZED")
    assert row.memories == ("work",)


async def test_revoked_token_ends_at_once_for_new_and_live_callers():
    async with a_room() as room:
        owner = room.identity.authenticate(sent(TOKEN))
        text, row = await room.identity.create_token(owner, TokenWish(("read",)))
        live = room.identity.authenticate(sent(text))
        before = room.identity.verdict(live)

        revoked = await room.identity.revoke_token(owner, row.id)
        again = await room.identity.revoke_token(owner, row.id)

        assert (before, room.identity.verdict(live)) == ("", "Token revoked")
        assert revoked == again
        assert (await denied(room, f"Bearer {text}"))[0] == 403
        with pytest.raises(Unauthenticated):
            room.identity.authenticate(sent(text))


async def test_expired_token_is_no_token():
    class Later(RealWorld):
        ahead = 0

        def wall_us(self) -> int:
            return super().wall_us() + self.ahead

    async with a_room() as room:
        world = Later()
        identity = Identity(room.log, world, token=TOKEN)
        async with trio.open_nursery() as nursery:
            await nursery.start(identity.run)
            owner = identity.authenticate(sent(TOKEN))
            wish = TokenWish(("read",), expires=world.wall_us() + HOUR)
            text, _ = await identity.create_token(owner, wish)
            live = identity.authenticate(sent(text))

            world.ahead = 2 * HOUR

            assert identity.verdict(live) == "Token expired"
            assert identity.verdict(owner) == ""
            with pytest.raises(Unauthenticated):
                identity.authenticate(sent(text))
            nursery.cancel_scope.cancel()


async def test_callers_of_a_deleted_namespace_are_not_valid_any_more():
    async with a_room() as room:
        await room.identity.create_namespace("shop", token=token_of("shop"))
        live = room.identity.authenticate(sent(token_of("shop")))

        await room.identity.delete_namespace("shop")
        await room.identity.create_namespace("shop")

        assert room.identity.verdict(live) == "Token revoked"
        assert (await denied(room, f"Bearer {token_of('shop')}"))[0] == 403


async def test_default_cannot_be_deleted_and_strange_ids_cannot_be_made():
    async with a_room() as room:
        with pytest.raises(Forbidden):
            await room.identity.delete_namespace("default")
        for id in ("", "a\0b", "x" * 256, "ü" * 128, "\ud800"):
            with pytest.raises(Rejected):
                await room.identity.create_namespace(id)
        made = [(await room.identity.create_namespace(id))[0].id for id in ("../../etc", "a-b", "a_b", "a b", "ü")]

    assert made == ["../../etc", "a-b", "a_b", "a b", "ü"]


async def test_change_is_carried_out_even_if_its_caller_leaves():
    async with a_room() as room:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(room.identity.create_namespace, "shop", "", token_of("shop"))
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        while (await denied(room, f"Bearer {token_of('shop')}"))[0] != 200:
            await trio.lowlevel.checkpoint()

        names = [space.id for space in await room.log.reading(lambda reader: reader.namespaces())]

    assert names == ["default", "shop"]


async def test_admin_acts_at_home_and_only_the_operator_elsewhere():
    async with a_room() as room:
        await room.identity.create_namespace("shop", token=token_of("shop"))
        shop = room.identity.authenticate(sent(token_of("shop")))
        owner = room.identity.authenticate(sent(TOKEN))
        _, foreign = await room.identity.create_token(owner, TokenWish(("read",)))
        _, own = await room.identity.create_token(shop, TokenWish(("read",), "shop"))
        reader_text, _ = await room.identity.create_token(owner, TokenWish(("read",), "shop"))
        reader = room.identity.authenticate(sent(reader_text))

        with pytest.raises(Forbidden):
            await room.identity.create_token(shop, TokenWish(("read",)))
        with pytest.raises(Forbidden):
            await room.identity.create_token(reader, TokenWish(("read",), "shop"))
        with pytest.raises(NotFound):
            await room.identity.revoke_token(shop, foreign.id)
        with pytest.raises(NotFound):
            await room.identity.create_token(owner, TokenWish(("read",), "nowhere"))
        seen = {row.id for row, _ in room.identity.list_tokens(shop)}
        everything = {row.id for row, _ in room.identity.list_tokens(owner)}

    assert own.id in seen
    assert foreign.id not in seen
    assert {own.id, foreign.id, "owner"} < everything


@pytest.mark.parametrize(
    "wish",
    [
        TokenWish(()),
        TokenWish(("fly",)),
        TokenWish(("read",), expires=1),
        TokenWish(("read",), name="x" * 201),
        TokenWish(("read",), name="a\nb"),
        TokenWish(("read",), memories=("two words",)),
        TokenWish(("read",), memories=("",)),
    ],
)
def test_token_that_makes_no_sense_is_not_made(wish: TokenWish):
    with pytest.raises(Rejected):
        wish.check(now_us=1000)


# Test mode


async def test_in_test_mode_nobody_needs_a_token_and_is_given_one():
    async with a_room(relaxed=True) as room:
        answers = [
            await room.ask("/rpc", b'["ns.list"]', token=None, headers={"authorization": header})
            for header in ("", "Basic x", "Bearer", "Bearer ", "Bearer abc")
        ]
        anyone = room.identity.authenticate(sent())

    assert [answer.status for answer in answers] == [200] * 5
    assert {answer.headers for answer in answers} == {tuple((name, TOKEN) for name in TOKEN_HEADERS)}
    assert anyone.operator


async def test_in_test_mode_who_brings_a_token_is_given_none():
    async with a_room(relaxed=True) as room:
        answer = await room.ask("/rpc", b'["ns.list"]', token=TOKEN)

    assert answer.headers == ()


async def test_in_test_mode_a_claim_is_believed_and_namespaces_are_made_on_first_use():
    """MDB003_3B_T4"""
    async with a_room(relaxed=True) as room:
        written = await room.rpc("stream.write", "a-1", {"type": "T", "data": {}}, token=token_of("fresh"))
        wrong_secret = await room.rpc("stream.get", "a-1", token=token_of("fresh")[:-1] + "0")
        elsewhere = await room.rpc("stream.get", "a-1", token=OTHER)
        for request in (sent(token_of("fresh")[:-1] + "0"), sent(token_of("fresh"))):
            assert room.identity.authenticate(request).namespace.id == "fresh"
        with pytest.raises(Unauthenticated):
            room.identity.authenticate(sent(token_of("unseen")))

    assert written == {"position": 0, "globalPosition": 1}
    assert len(wrong_secret) == 1
    assert elsewhere == []


async def test_in_test_mode_a_namespace_asked_for_by_many_at_once_is_made_once():
    statuses: list[int] = []

    async with a_room(relaxed=True) as room:

        async def ask() -> None:
            answer = await room.ask("/rpc", b'["ns.streams"]', token=token_of("fresh"))
            statuses.append(answer.status)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        names = [space.id for space in room.identity.namespaces]

    assert statuses == [200] * 10
    assert sorted(names) == ["default", "fresh"]


async def test_in_test_mode_a_deleted_namespace_stays_refused_until_it_is_made_again():
    async with a_room(relaxed=True) as room:
        await room.rpc("stream.version", "a-1", token=token_of("brief"))
        await room.rpc("ns.delete", "brief")
        refused = await room.refusal("stream.version", "a-1", token=token_of("brief"))
        await room.rpc("ns.create", "brief")

        assert refused[:1] == (403,)
        assert refused[1]["code"] == "AUTH_UNAUTHORIZED"
        assert await room.rpc("stream.version", "a-1", token=token_of("brief")) is None


async def test_in_test_mode_revoked_tokens_and_impossible_names_are_refused_all_the_same():
    async with a_room(relaxed=True) as room:
        owner = room.identity.authenticate(sent())
        text, row = await room.identity.create_token(owner, TokenWish(("read",)))
        scoped = await room.refusal("stream.write", "a-1", {"type": "T", "data": {}}, token=text)
        await room.identity.revoke_token(owner, row.id)

        revoked = await room.refusal("stream.version", "a-1", token=text)
        impossible = await room.refusal("stream.version", "a-1", token=token_of("a\nb"))
        still = room.identity.verdict(room.identity.authenticate(sent(OTHER)))

    assert (scoped[0], revoked[0], impossible[0], still) == (403, 403, 400, "")


# Without a server


def test_tokens_are_managed_on_a_folder_that_nobody_serves(tmp_path: Path):
    engine = MemoryEngine()
    file = store.OwnerFile(tmp_path / "run")
    owner = store.settle_owner(engine, file, given="", secret=lambda size: bytes.fromhex(SECRET), now_us=5)

    text, row = store.create_token(
        engine, TokenWish(("read", "read"), name="cron"), id="t1", secret=lambda size: b"7" * size, now_us=9
    )
    revoked = store.revoke_token(engine, "t1", now_us=11)
    listed = [describe(row, space) for row, space in store.list_tokens(engine)]

    assert owner == TOKEN == file.read()
    assert (row.hash, row.scopes) == (hash_token(text), ("read",))
    assert revoked.revoked == 11
    assert [(one["id"], one["namespace"], one["scopes"]) for one in listed] == [
        ("owner", "default", sorted(SCOPES)),
        ("t1", "default", ["read"]),
    ]
    assert listed[1]["revoked"] == "1970-01-01T00:00:00.000011Z"
    with pytest.raises(Rejected):
        store.revoke_token(engine, "owner", now_us=11)
    with pytest.raises(NotFound):
        store.revoke_token(engine, "t2", now_us=11)


# Over HTTP


async def test_token_routes_make_list_and_revoke():
    async with a_room() as room:
        handlers = {row.method: row.handler for row in token_routes(room.identity)}
        make, see, end = handlers["POST"], handlers["GET"], handlers["DELETE"]
        ask = sent(TOKEN)
        ask.body = b'{"scopes": ["read"], "name": "phone", "expires": "2999-01-01T00:00:00Z"}'

        made = await make(ask)  # type: ignore[misc]
        told = json.loads(made.body)
        phone = room.identity.authenticate(sent(told["token"]))
        listed = json.loads(see(sent(TOKEN)).body)  # type: ignore[union-attr]
        gone = sent(TOKEN)
        gone.params = {"token_id": told["id"]}
        ended = await end(gone)  # type: ignore[misc]

        assert (made.status, phone.scopes) == (201, {"read"})
        assert [row["name"] for row in listed] == ["default itself", "phone"]
        assert all("token" not in row for row in listed)
        assert json.loads(ended.body) == {"id": told["id"], "revoked": True}
        for body in (
            b"",
            b"[]",
            b'{"scopes":[]}',
            b'{"scopes":["read"],"expires":"soon"}',
            b'{"scopes":["read"],"x":1}',
        ):
            wrong = sent(TOKEN)
            wrong.body = body
            with pytest.raises(Rejected):
                await make(wrong)  # type: ignore[misc]
