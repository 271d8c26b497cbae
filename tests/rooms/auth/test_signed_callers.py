"""Callers with signed tokens: whom they are, whose keys count, and how they end before their time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from jwt.algorithms import ECAlgorithm

from appliance.auth.jose.keys import KeySource
from appliance.auth.presented import EVENTS
from appliance.auth.signed import SignedTokens
from appliance.errors import ConfigError, LimitReached, Unauthenticated
from appliance.model.http import Request
from tests.machines.auth.bad_tokens import AUDIENCE, ISSUER, SECRET, Issuer, bad_tokens, issuer
from tests.rooms.auth.desk import HOUR, Desk, Keeping, a_desk
from tests.rooms.ingress.room import TOKEN, token_of

HOUSE = issuer("HS256")


def signed(**kind: Any) -> SignedTokens:
    return SignedTokens([KeySource("house", "HS256", ISSUER, AUDIENCE, secret=SECRET)], **kind)


def token(of: Issuer = HOUSE, **claims: object) -> str:
    now = int(time.time())
    return of.token(claims=of.claims(**{"iat": now - 60, "exp": now + 600} | claims))


def counts(desk: Desk, text: str, **asked: Any) -> bool:
    try:
        desk.who(text, **asked)
    except Unauthenticated:
        return False
    return True


async def revoked(desk: Desk, text: str, by: str) -> int:
    return (await desk.ask("POST", "/oauth/revoke", form={"token": text}, token=by)).status


async def test_a_signed_token_is_a_caller_like_any_other():
    async with a_desk(signed=signed()) as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        plain = desk.who(token())
        shop = desk.who(token(ns="shop", scope="read admin openid profile", memories=["work"], sub="bert"))
        admin = desk.who(token(scope="admin", jti=...))
        by_subprotocol = desk.who(**{"upgrade": "websocket", "sec-websocket-protocol": f"bearer.{token()}"})
        store = desk.identity.message_store(Request("POST", "/rpc", headers={"authorization": f"Bearer {token()}"}))
        made = await desk.ask("POST", "/api/v1/api-keys", {"name": "a"}, token=token(scope="admin"))

    assert (plain.namespace.id, plain.scopes, plain.subject, plain.operator) == (
        "default",
        {"read", "write"},
        "anna",
        False,
    )
    assert (shop.namespace.id, shop.scopes, shop.memories, shop.subject) == (
        "shop",
        {"read", "admin"},
        {"work"},
        "bert",
    )
    assert (admin.operator, by_subprotocol.subject, store.subject, made.status) == (True, "anna", "anna", 201)
    assert plain.token_id.startswith("jwt:")


async def test_a_signed_token_in_an_address_or_for_no_namespace_of_ours_is_refused():
    async with a_desk(signed=signed()) as desk:
        assert not counts(desk, "", path=EVENTS, query=f"token={token()}")
        assert not counts(desk, "", path="/api/v1/ws", query=f"ticket={token()}", upgrade="websocket")
        assert not counts(desk, token(ns="nowhere"))
        assert desk.identity.verdict(desk.who(token())) == ""


@pytest.mark.parametrize("alg", ["HS256", "RS256"])
async def test_bad_tokens_sound_alike_and_none_is_let_in(alg: str, tmp_path: Path):
    good, other = issuer(alg), issuer(alg)
    where: dict[str, Any] = {"secret": SECRET}
    if alg == "RS256":
        (tmp_path / "key.pem").write_bytes(good.public)
        where = {"public_key": tmp_path / "key.pem"}
    else:
        other = Issuer(alg, b"another secret that is long enough to be one", good.key, b"")
    texts, tried = set(), 0
    async with a_desk(signed=SignedTokens([KeySource("house", alg, ISSUER, AUDIENCE, **where)])) as desk:
        assert counts(desk, token(good))
        for number, (what, text) in enumerate(bad_tokens(good, other)):
            if not (text and text.isascii() and text.strip() == text and text.isprintable() and " " not in text):
                continue  # cannot be in a header; the machine's own test has them
            desk.peer = f"address {number}"
            with pytest.raises(Unauthenticated) as refused:
                desk.who(text)
            texts.add((what and refused.value.message, refused.value.hint))
            tried += 1

    assert tried >= 150
    assert len(texts) == 1


async def test_bad_tokens_are_guesses_and_expired_ones_are_not():
    now = int(time.time())
    async with a_desk(signed=signed()) as desk:
        old = token(iat=now - 600, exp=now - 300)
        assert not any(counts(desk, old) for _ in range(40))
        assert not any(counts(desk, token(aud="other", jti=str(n))) for n in range(30))
        with pytest.raises(LimitReached):
            desk.who(token(aud="other"))
        assert counts(desk, token())


async def test_a_signed_token_ends_at_its_time_and_its_streams_with_it():
    async with a_desk(signed=signed()) as desk:
        live = desk.who(token())
        made = (await desk.ask("POST", EVENTS + "/tokens", token=token())).json
        stream = desk.who(path=EVENTS, query=f"token={made['token']}")
        desk.world.ahead = 631.0

        assert not counts(desk, token(iat=live.expires // 10**6 - 690, exp=live.expires // 10**6 - 30))
        assert [desk.identity.verdict(who) for who in (live, stream)] == ["Token expired"] * 2

    assert 595 < made["expires_in"] <= 630


async def test_a_signed_token_is_revoked_by_its_jti_in_whatever_letters_it_returns():
    engine = Keeping()
    async with a_desk(engine, signed=signed()) as desk:
        text, same, other = token(jti="1"), token(jti="1", scope="read"), token(jti="2")
        live, also = desk.who(text), desk.who(other)
        made = (await desk.ask("POST", EVENTS + "/tokens", token=text)).json
        stream = desk.who(path=EVENTS, query=f"token={made['token']}")

        status = await revoked(desk, text, by=TOKEN)

        assert [desk.identity.verdict(who) for who in (live, also, stream)] == ["Token revoked", "", "Token revoked"]
        assert [counts(desk, one) for one in (text, same, other)] == [False, False, True]
    async with a_desk(engine, signed=signed()) as desk:
        assert [counts(desk, one) for one in (text, same, other)] == [False, False, True]

    assert status == 200


async def test_who_may_revoke_a_signed_token():
    async with a_desk(signed=signed()) as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        texts = [token(jti=str(n)) for n in range(4)]
        wish = {"client_name": "a", "grant_types": ["client_credentials"]}
        client = (await desk.ask("POST", "/oauth/register", wish)).json
        await revoked(desk, texts[0], by=token_of("shop"))
        await revoked(desk, texts[0], by=texts[1])
        await revoked(desk, texts[1], by=texts[1])
        await revoked(desk, texts[2], by=token(jti="admin", scope="admin"))
        basic = (client["client_id"], client["client_secret"])
        await desk.ask("POST", "/oauth/revoke", form={"token": texts[3]}, basic=basic)
        await desk.ask("POST", "/oauth/revoke", form={"token": "no.such.token"}, basic=basic)

        assert [counts(desk, text) for text in texts] == [True, False, False, False]


async def test_a_revocation_is_forgotten_when_the_token_would_have_expired():
    engine = Keeping()
    async with a_desk(engine, signed=signed()) as desk:
        await revoked(desk, token(), by=TOKEN)
        before = len(desk.identity.book.ended)
        desk.world.ahead = 2 * HOUR
        await desk.identity.housekeeping.round()
        after = len(desk.identity.book.ended)
    async with a_desk(engine, signed=signed()) as desk:
        assert (before, after, len(desk.identity.book.ended)) == (1, 0, 0)


async def test_a_revocation_goes_with_its_namespace():
    engine = Keeping()
    async with a_desk(engine, signed=signed()) as desk:
        await desk.identity.create_namespace("shop", token=token_of("shop"))
        await revoked(desk, token(ns="shop"), by=token_of("shop"))
        before = len(desk.identity.book.ended)
        await desk.identity.delete_namespace("shop")

        assert (before, len(desk.identity.book.ended)) == (1, 0)


async def test_keys_are_rotated_while_everything_runs(tmp_path: Path, autojump_clock: object):
    old, new, file = issuer("ES256"), issuer("ES256"), tmp_path / "keys.json"

    def publish(**issuers: Issuer) -> None:
        entries = [
            ECAlgorithm.to_jwk(one.private.public_key(), as_dict=True) | {"kid": kid} for kid, one in issuers.items()
        ]
        file.write_text(json.dumps({"keys": entries}))

    def named(kid: str, of: Issuer) -> str:
        now = int(time.time())
        return of.token(of.header(kid=kid), of.claims(iat=now, exp=now + 600))

    publish(old=old)
    async with a_desk(signed=SignedTokens([KeySource("house", "ES256", ISSUER, AUDIENCE, jwks=file)])) as desk:
        texts = [named("old", old), named("new", new)]
        live = desk.who(texts[0])
        first = [counts(desk, text) for text in texts]
        publish(old=old, new=new)
        await trio.sleep(3)
        both = [counts(desk, text) for text in texts]
        publish(new=new)
        desk.identity.reload()
        second = [counts(desk, text) for text in texts]
        verdict = desk.identity.verdict(live)
        file.write_text("{")
        await trio.sleep(3)
        damaged = [counts(desk, text) for text in texts]
        with pytest.raises(ConfigError):
            desk.identity.reload()

    assert (first, both, second, damaged) == ([True, False], [True, True], [False, True], [False, True])
    assert verdict == "Token revoked"


async def test_no_more_is_remembered_of_signatures_than_fits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("appliance.auth.signed.REMEMBERED", 3)
    async with a_desk(signed=signed()) as desk:
        assert all(counts(desk, token(jti=str(n))) for n in range(10))
        assert len(desk.identity.signed._known) == 3


async def test_where_no_issuer_is_known_no_signed_token_counts():
    async with a_desk() as desk:
        assert not counts(desk, token())
        assert await revoked(desk, token(), by=TOKEN) == 200
        desk.identity.reload()
