"""Signatures: the published vectors, rotation, and secrets of the user's own."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.auth.signing import (
    body_signature,
    check_secret,
    make_key_pair,
    make_secret,
    public_key,
    standard_signature,
)
from appliance.errors import Rejected

VECTORS = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c",
    ),
    (
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        "msg_empty",
        1700000001,
        b"{}",
        "v1,lSLzdF+vLPeHse3evc8212JJWsbXjveIG+GQf5zzP/k=",
        "sha256=0a3c4b9bccfbb9e1b43fca20df5cde51d9145ca79e95595c96f6ec2813f72c44",
    ),
]


@pytest.mark.parametrize(("secret", "id", "timestamp", "body", "standard", "legacy"), VECTORS)
def test_the_published_vectors(secret: str, id: str, timestamp: int, body: bytes, standard: str, legacy: str):
    """test_webhook_hmac_signature (#44)"""
    check_secret(secret)
    assert standard_signature([secret], id, timestamp, body) == standard
    assert body_signature(secret, body) == legacy


def test_while_a_secret_is_replaced_both_sign():
    new, old = make_secret(b"n" * 32), make_secret(b"o" * 32)
    both = standard_signature([new, old], "msg_1", 1, b"{}").split(" ")
    assert both == [standard_signature([new], "msg_1", 1, b"{}"), standard_signature([old], "msg_1", 1, b"{}")]
    assert both[0] != both[1]


def test_an_ed25519_signature_is_verified_with_the_public_half_alone():
    secret = make_key_pair(b"s" * 32)
    check_secret(secret)
    shown = public_key(secret)
    assert shown.startswith("whpk_")
    assert public_key(make_secret(b"x" * 32)) == ""
    version, _, signature = standard_signature([secret], "msg_1", 7, b"body").partition(",")
    assert version == "v1a"
    verifier = Ed25519PublicKey.from_public_bytes(base64.b64decode(shown.removeprefix("whpk_")))
    verifier.verify(base64.b64decode(signature), b"msg_1.7.body")
    with pytest.raises(InvalidSignature):
        verifier.verify(base64.b64decode(signature), b"msg_1.8.body")


def test_a_text_of_the_users_own_is_its_own_key():
    check_secret("correct horse battery staple")
    assert standard_signature(["ab"], "m", 1, b"") != standard_signature(["abc"], "m", 1, b"")


@pytest.mark.parametrize(
    "secret",
    [
        "", "a\nb", "x" * 513, "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(), "whsk_", "whsk_" + base64.b64encode(b"x" * 31).decode(),
        "whsk_" + base64.b64encode(b"x" * 64).decode(), "whsec_a",
    ],
)  # fmt: skip
def test_a_secret_that_cannot_sign_is_refused_when_it_is_saved(secret: str):
    with pytest.raises(Rejected):
        check_secret(secret)
