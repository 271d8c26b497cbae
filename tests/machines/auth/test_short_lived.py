"""Tickets and authorization codes: once, soon, and for whom they were made."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest

from appliance.auth.credentials import mint, secret_text
from appliance.auth.oauth.codes import Agreement, Codes, answers, check_challenge
from appliance.auth.oauth.refusals import OAuthError
from appliance.auth.tickets import Tickets
from appliance.errors import LimitReached
from appliance.model.event import Namespace
from appliance.model.principal import Principal

ANNA = Principal(Namespace(1, "default"), subject="anna")
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
AGREED = Agreement("mm_a", "https://app.example/done", CHALLENGE, ("read",), 1, (), "family")


def test_a_ticket_lets_its_holder_in_once():
    tickets = Tickets()
    tickets.issue("t", ANNA, now=0.0)

    assert [tickets.spend(text, 29.9) for text in ("u", "t", "t")] == [None, ANNA, None]


def test_a_ticket_is_worth_nothing_after_30_seconds():
    tickets = Tickets()
    tickets.issue("t", ANNA, now=0.0)

    assert tickets.spend("t", 30.0) is None


def test_tickets_are_held_as_hashes_and_only_so_many():
    tickets = Tickets(most=2)
    for text in ("ticket-one", "ticket-two"):
        tickets.issue(text, ANNA, now=0.0)

    with pytest.raises(LimitReached) as refused:
        tickets.issue("ticket-three", ANNA, now=29.0)
    tickets.issue("ticket-three", ANNA, now=30.0)

    assert refused.value.retry_after == 30
    assert "ticket-" not in repr(tickets)


def test_a_code_that_comes_twice_is_told_apart_from_one_nobody_was_given():
    codes = Codes()
    codes.issue("c", AGREED, now=0.0)

    assert [codes.spend(code, 1.0) for code in ("d", "c", "c")] == [(None, False), (AGREED, False), (AGREED, True)]


def test_a_code_that_came_twice_is_remembered_as_such():
    codes = Codes()
    codes.issue("c", AGREED, now=0.0)

    seen = [(codes.spend("c", 1.0)[1], codes.replayed("c")) for _ in range(2)]

    assert seen == [(False, False), (True, True)]
    assert not codes.replayed("d")


def test_a_code_is_worth_nothing_after_10_minutes():
    codes = Codes()
    codes.issue("c", AGREED, now=0.0)

    assert codes.spend("c", 600.0) == (None, False)


def test_only_so_many_codes_are_out():
    codes = Codes(most=1)
    codes.issue("c", AGREED, now=0.0)

    with pytest.raises(LimitReached):
        codes.issue("d", AGREED, now=599.0)
    codes.issue("d", AGREED, now=600.0)


def test_the_one_who_asked_for_a_code_is_known_by_client_address_and_verifier():
    right = (AGREED.client, AGREED.redirect_uri, VERIFIER)

    assert answers(AGREED, *right)
    for wrong in (
        ("mm_b", *right[1:]),
        (right[0], "https://app.example/", VERIFIER),
        (*right[:2], "w" * 43),
        (*right[:2], ""),
        (*right[:2], "v" * 42),
        (*right[:2], "v" * 129),
        (*right[:2], CHALLENGE),
        (*right[:2], VERIFIER + "\n"),
    ):
        assert not answers(AGREED, *wrong)
    assert not answers(replace(AGREED, challenge="w" * 43), *right)


@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        ("", ""),
        (CHALLENGE, ""),
        (CHALLENGE, "plain"),
        ("", "S256"),
        (CHALLENGE + "=", "S256"),
        (CHALLENGE[:-1], "S256"),
    ],
)
def test_a_sign_in_without_a_challenge_is_refused(challenge: str, method: str):
    check_challenge(CHALLENGE, "S256")

    with pytest.raises(OAuthError):
        check_challenge(challenge, method)


def test_texts_are_letters_and_digits_each_as_likely_as_any_other():
    every_byte = bytes(range(256))

    text = secret_text(248, lambda size: every_byte)

    assert {text.count(letter) for letter in text} == {4}
    assert (len(text), len(set(text)), text.isalnum()) == (248, 62, True)


def test_kinds_are_told_apart_by_how_they_begin():
    texts = [mint(kind, lambda size: b"\x00" * size)[0] for kind in ("api key", "access", "refresh", "stream")]

    assert [(text.rstrip("A"), text.count("A")) for text in texts] == [
        ("mm_key_", 32),
        ("mm_at_", 48),
        ("mm_rt_", 48),
        ("mm_st_", 48),
    ]
