"""Signed tokens: the good ones count, and of the others none."""

from __future__ import annotations

import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as some

from appliance.auth.jose.keys import KeyRing
from appliance.auth.jose.strict import DEPTH, Refused, take_apart
from appliance.auth.jose.verify import Policy, Signed, verify
from tests.machines.auth.bad_tokens import ALGS, AUDIENCE, NOW, Issuer, bad_tokens, encoded, issuer

ISSUERS = {alg: issuer(alg) for alg in ALGS}


def believed(good: Issuer, token: str, *, now: float = NOW, policy: Policy | None = None) -> Signed:
    return verify(token, KeyRing([good.key]), policy or Policy(), now)


def refusal(good: Issuer, token: str, **asked: float) -> Refused:
    with pytest.raises(Refused) as refused:
        believed(good, token, **asked)
    return refused.value


@pytest.mark.parametrize("alg", ALGS)
def test_a_good_token_says_who_and_what(alg: str):
    good = ISSUERS[alg]

    found = believed(good, good.token(claims=good.claims(ns="shop", memories=["work", "home"])))

    assert (found.subject, found.scopes, found.namespace) == ("anna", {"read", "write"}, "shop")
    assert (found.memories, found.expires, found.mark) == ({"work", "home"}, (NOW + 630) * 1_000_000, good.key.mark)


@pytest.mark.parametrize("alg", ALGS)
def test_what_the_library_writes_is_a_good_token(alg: str):
    good = ISSUERS[alg]
    text = jwt.encode(good.claims(aud=["other", AUDIENCE]), good.private, alg, headers={"kid": good.key.kid})

    assert believed(good, text).subject == "anna"


@pytest.mark.parametrize(
    "token",
    [
        ISSUERS["HS256"].token(header=ISSUERS["HS256"].header(kid=...)),
        ISSUERS["HS256"].token(header=ISSUERS["HS256"].header(typ="at+jwt")),
        ISSUERS["HS256"].token(header=ISSUERS["HS256"].header(typ=...)),
        ISSUERS["HS256"].token(claims=ISSUERS["HS256"].claims(iat=NOW + 30, nbf=NOW + 30)),
        ISSUERS["HS256"].token(claims=ISSUERS["HS256"].claims(iat=NOW - 70, exp=NOW - 29.5)),
        ISSUERS["HS256"].token(claims=ISSUERS["HS256"].claims(scope=..., jti=...)),
        ISSUERS["HS256"].token(claims=ISSUERS["HS256"].claims(more={"of": ["anything"]})),
    ],
)
def test_what_may_be_left_out_or_a_little_off_does_not_hurt(token: str):
    assert believed(ISSUERS["HS256"], token).subject == "anna"


@pytest.mark.parametrize("alg", ALGS)
def test_of_more_than_150_bad_tokens_none_is_believed_and_none_surprises_us(alg: str):
    good, other = ISSUERS[alg], issuer(alg) if alg != "HS256" else None
    if other is None:  # a new secret
        other = Issuer(alg, b"another secret that is long enough to be one", good.key, b"")
    table = list(bad_tokens(good, other))

    accepted = []
    for what, token in table:
        try:
            accepted.append((what, believed(good, token)))
        except Refused:
            continue

    assert len({token for _, token in table}) >= 150
    assert accepted == []


def test_times_are_judged_by_the_clock_that_is_brought():
    good = ISSUERS["HS256"]
    token = good.token()

    assert believed(good, token, now=NOW + 629.9).subject == "anna"
    assert refusal(good, token, now=NOW + 630).expired
    assert not refusal(good, token, now=NOW - 91).expired


def test_a_token_that_lives_too_long_is_refused_even_while_it_is_young():
    good = ISSUERS["HS256"]

    with pytest.raises(Refused):
        believed(good, good.token(), policy=Policy(longest=600))
    assert believed(good, good.token(), policy=Policy(longest=660)).subject == "anna"


def test_a_token_is_known_again_by_issuer_and_jti_and_by_all_it_says_without_one():
    good = ISSUERS["HS256"]
    by_id = [believed(good, good.token(claims=good.claims(jti=jti, sub=sub))).digest for jti, sub in ("1a", "1b", "2a")]
    by_all = [believed(good, good.token(claims=good.claims(jti=..., sub=sub))).digest for sub in ("a", "a", "b")]

    assert (by_id[0] == by_id[1], by_id[0] == by_id[2]) == (True, False)
    assert (by_all[0] == by_all[1], by_all[0] == by_all[2]) == (True, False)


def test_a_token_without_a_kid_needs_a_single_key():
    good, second = ISSUERS["HS256"], issuer("ES256", "second")
    nameless = good.token(header=good.header(kid=...))

    with pytest.raises(Refused):
        verify(nameless, KeyRing([good.key, second.key]), Policy(), NOW)
    assert verify(good.token(), KeyRing([good.key, second.key]), Policy(), NOW).subject == "anna"


def test_a_token_of_one_issuer_is_none_of_another():
    good, second = ISSUERS["ES256"], issuer("ES256", "second")
    token = second.token(header=second.header(kid="house"))

    with pytest.raises(Refused):
        verify(token, KeyRing([good.key, second.key]), Policy(), NOW)


@pytest.mark.parametrize(("depth", "taken"), [(DEPTH - 1, True), (DEPTH, False)])
def test_depth_is_counted_before_anything_is_read_and_not_in_texts(depth: int, taken: bool):
    nested: object = '[[[[{{{{\\"' * 20
    for _ in range(depth):
        nested = [nested]
    segment = encoded(json.dumps({"x": nested}).encode())

    try:
        found = take_apart(f"{encoded(b'{}')}.{segment}.{encoded(b'x')}").claims == {"x": nested}
    except Refused:
        found = False

    assert found is taken


@given(some.text(max_size=300) | some.lists(some.binary(max_size=80), min_size=3, max_size=3))
def test_no_text_at_all_raises_anything_but_a_refusal(text: str | list[bytes]):
    token = text if isinstance(text, str) else ".".join(encoded(part) for part in text)

    refusal(ISSUERS["HS256"], token)


@given(some.data())
def test_no_change_of_a_good_token_is_believed(data: some.DataObject):
    good = ISSUERS["EdDSA"]
    token = good.token()
    at = data.draw(some.integers(0, len(token) - 1))
    other = data.draw(some.characters(max_codepoint=255).filter(lambda letter: letter != token[at]))

    refusal(good, token[:at] + other + token[at + 1 :])
