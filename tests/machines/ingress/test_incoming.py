"""What arrives is proved, keyed and held against a schema, without a server."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from appliance.clock import MICROSECONDS
from appliance.errors import Rejected, Unauthenticated
from appliance.ingress.incoming.occasions import IncomingWebhookReceived, received
from appliance.ingress.incoming.receiver import Receiver, Secret, check_slug, given_key, unit_key, verify
from appliance.ingress.incoming.schema import MOST_ERRORS, check_schema, errors_of

NOW = 1_700_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"amount": 42}'

BY_BODY = Receiver("r1", 1, "erp", "", signature_header="X-Hub-Signature-256")
STANDARD = Receiver("r2", 1, "shop", "", signature="standard", tolerance_s=300)


def hex_of(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(at: int = NOW, secret: str = SECRET, body: bytes = BODY, id: str = "msg_1") -> dict[str, str]:
    signature = Webhook(secret).sign(id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": signature}


def proved(receiver: Receiver, headers: dict[str, str], *secrets: Secret, body: bytes = BODY) -> bool:
    try:
        verify(receiver, secrets or (Secret(SECRET),), headers, body, NOW * MICROSECONDS)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (hex_of(SECRET, BODY), True),
        (hex_of(SECRET, BODY).upper(), False),
        (hex_of(SECRET, BODY)[:-1], False),
        (hex_of(SECRET, BODY).removeprefix("sha256="), False),
        (hex_of("another", BODY), False),
        (hex_of(SECRET, BODY + b" "), False),
        ("", False),
        ("sha256=", False),
        ("sha256=ä", False),
    ],
)
def test_a_signature_over_the_body_is_exactly_this(value: str, good: bool):
    assert proved(BY_BODY, {"x-hub-signature-256": value}) is good


def test_the_signature_stands_in_the_header_that_was_agreed():
    assert not proved(BY_BODY, {"x-fortemi-signature": hex_of(SECRET, BODY)})
    assert not proved(BY_BODY, {})


def test_standard_webhooks_are_taken_within_the_tolerance():
    ages = {away: proved(STANDARD, standard(NOW + away)) for away in (-301, -300, 0, 300, 301)}

    assert ages == {-301: False, -300: True, 0: True, 300: True, 301: False}


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "9" * 30},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,AAAA v2,BBBB"},
    ],
)
def test_a_standard_signature_is_over_all_it_says(change: dict[str, str]):
    assert not proved(STANDARD, standard() | change)


def test_one_of_several_signatures_is_enough_and_there_is_an_end_to_looking():
    headers = standard()
    good = headers["webhook-signature"]

    assert proved(STANDARD, headers | {"webhook-signature": f"v1,AAAA {good}"})
    assert not proved(STANDARD, headers | {"webhook-signature": "v1,AAAA " * 10 + good})


def test_the_secret_before_is_good_until_its_hour():
    old = {"x-hub-signature-256": hex_of("old", BODY)}
    until = {seconds: Secret("old", (NOW + seconds) * MICROSECONDS) for seconds in (-1, 0, 1)}

    found = {seconds: proved(BY_BODY, old, Secret("new"), one) for seconds, one in until.items()}

    assert found == {-1: False, 0: False, 1: True}


@given(st.dictionaries(st.sampled_from([*standard(), "x-hub-signature-256"]), st.text(max_size=80)), st.binary())
def test_whatever_comes_is_refused_and_nothing_breaks(headers: dict[str, str], body: bytes):
    assert not proved(BY_BODY, headers, body=body)
    assert not proved(STANDARD, headers, body=body)


def test_a_key_is_the_senders_own_name_for_it():
    assert given_key(BY_BODY, {"idempotency-key": "a", "webhook-id": "b"}) == "a"
    assert given_key(STANDARD, {"idempotency-key": "a", "webhook-id": "b"}) == "a"
    assert given_key(STANDARD, {"webhook-id": "b"}) == "b"
    assert given_key(BY_BODY, {"webhook-id": "b"}) == ""
    for bad in ("ä", "x" * 256, "a\x01"):
        with pytest.raises(Rejected, match="key"):
            given_key(BY_BODY, {"idempotency-key": bad})


def test_no_sender_meets_anothers_key_and_every_key_fits_the_log():
    keys = {unit_key(receiver, key) for receiver in (BY_BODY, STANDARD) for key in ("a", "b", "x" * 255)}

    assert len(keys) == 6
    assert max(map(len, keys)) < 255


@pytest.mark.parametrize("slug", ["a", "erp-1", "shop.orders_2", "x" * 100])
def test_a_slug_is_plain(slug: str):
    check_slug(slug)


@pytest.mark.parametrize("slug", ["", "A", "-a", "a-", "a b", "a/b", "ä", "x" * 101, "validate", "a\n"])
def test_other_slugs_are_refused(slug: str):
    with pytest.raises(Rejected, match="slug"):
        check_slug(slug)


# -- the event ----------------------------------------------------------------------------------


def test_the_payload_stays_as_its_sender_wrote_it():
    body = b'{ "price": 1.10,\n "big": 123456789012345678901234567890, "text": "\\u00e4" }'
    receiver = msgspec.structs.replace(BY_BODY, headers=("x-github-event",), provider="ERP")

    draft = received(receiver, "018f", "key-1", {"x-github-event": "push", "x-other": "no"}, body)
    data = msgspec.json.decode(draft.data, type=dict[str, msgspec.Raw])

    assert bytes(data["payload"]) == b'{"price":1.10,"big":123456789012345678901234567890,"text":"\\u00e4"}'
    assert json.loads(bytes(data["headers"])) == {"x-github-event": "push"}
    assert (draft.stream, draft.type) == ("incoming_webhook-erp", "IncomingWebhookReceived")
    shaped = msgspec.convert(json.loads(draft.data) | {"type": draft.type}, type=IncomingWebhookReceived)
    assert (shaped.key, shaped.provider, shaped.payload["price"]) == ("key-1", "ERP", 1.1)


# -- schemas ------------------------------------------------------------------------------------

PAYMENT = {
    "type": "object",
    "required": ["amount", "currency"],
    "properties": {"amount": {"type": "number"}, "currency": {"enum": ["EUR", "USD"]}},
}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b'{"amount": 1, "currency": "EUR"}', []),
        (b'{"currency": "EUR"}', ['/: "amount" is a required property']),
        (b'{"amount": "1", "currency": "EUR"}', ['/amount: "1" is not of type "number"']),
        (b"[]", ['/: [] is not of type "object"']),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: bytes, errors: list[str]):
    check_schema(PAYMENT)

    assert errors_of(PAYMENT, body) == errors


@pytest.mark.parametrize(
    "document",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json"},
        {"$schema": "http://example.org/mine"},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": "(a{1000}){1000}"},
        {"enum": ["x" * 300_000]},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(document: dict[str, Any]):
    with pytest.raises(Rejected, match="schema") as refused:
        check_schema(document)

    assert len(refused.value.message) < 500


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-07/schema#", None])
def test_parts_of_a_document_refer_to_each_other(draft: str | None):
    document: dict[str, Any] = {"$defs": {"item": {"type": "integer"}}, "items": {"$ref": "#/$defs/item"}}
    document |= {"$schema": draft} if draft else {}
    check_schema(document)

    assert errors_of(document, b'[1, "x"]') == ['/1: "x" is not of type "integer"']


def test_there_is_an_end_to_what_is_told():
    errors = errors_of({"items": {"type": "integer"}}, json.dumps(["y" * 1000] * 100).encode())

    assert len(errors) == MOST_ERRORS
    assert max(map(len, errors)) <= 300


def test_a_pattern_made_to_take_for_ever_does_not():
    """It would take longer than the universe where patterns step back."""
    document = {"type": "string", "pattern": "^(a+)+$"}
    check_schema(document)

    assert errors_of(document, b'"' + b"a" * 100_000 + b'b"')
