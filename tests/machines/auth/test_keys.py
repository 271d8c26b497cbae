"""Which keys are taken, and what is said of the others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from appliance.auth.jose.keys import KeyRing, KeySource, from_jwks, from_pem, from_secret
from appliance.auth.jose.store import KeyFiles
from appliance.errors import ConfigError
from tests.machines.auth.bad_tokens import AUDIENCE, ISSUER, encoded, issuer, private_pem

LONG = "x" * 32


def source(alg: str, **where: Any) -> KeySource:
    return KeySource("house", alg, ISSUER, AUDIENCE, **where)


def jwk(alg: str, kid: str, /, **more: object) -> dict[str, object]:
    private = issuer(alg).private
    algorithm: Any = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}[alg]
    return algorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": kid} | more


def keys(*entries: dict[str, object]) -> bytes:
    return json.dumps({"keys": entries}).encode()


def pem_of(private: Any) -> bytes:
    pem: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_keys_of_a_set_are_known_by_their_kid(alg: str):
    found = from_jwks(source(alg), keys(jwk(alg, "a"), jwk(alg, "b", alg=alg, use="sig")))

    assert [(key.kid, key.alg) for key in found] == [("a", alg), ("b", alg)]


def test_keys_of_a_set_for_something_else_are_left_out():
    found = from_jwks(
        source("ES256"),
        keys(jwk("ES256", "a"), jwk("RS256", "b"), jwk("ES256", "c", use="enc"), jwk("ES256", "d", alg="ES384")),
    )

    assert [key.kid for key in found] == ["a"]


def test_a_set_may_hold_secrets_for_hs256():
    (found,) = from_jwks(source("HS256"), keys({"kty": "oct", "kid": "a", "k": encoded(b"k" * 32)}))

    assert found.material == b"k" * 32


@pytest.mark.parametrize(
    ("alg", "text", "complaint"),
    [
        ("ES256", b"", "no JWK set"),
        ("ES256", b"[]", "no JWK set"),
        ("ES256", b'{"keys": 1}', "no JWK set"),
        ("ES256", b'{"keys": [1]}', "no JWK set"),
        ("ES256", b'{"keys": []}', "no key for ES256"),
        ("ES256", keys(jwk("RS256", "a")), "no key for ES256"),
        ("ES256", keys(jwk("ES256", "")), "no kid"),
        ("ES256", keys(jwk("ES256", "a b")), "no kid"),
        ("ES256", keys(jwk("ES256", "a" * 65)), "no kid"),
        ("ES256", keys({"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}), "cannot be read"),
        ("ES256", keys(jwk("ES256", "a", d="AA")), "is a private key"),
        ("HS256", keys({"kty": "oct", "kid": "a", "k": encoded(b"short")}), "has 5 bytes"),
    ],
)
def test_a_set_that_cannot_be_used_is_named(alg: str, text: bytes, complaint: str):
    with pytest.raises(ConfigError) as refused:
        from_jwks(source(alg), text)

    assert complaint in refused.value.message
    assert refused.value.message.startswith("auth.keys.house: ")


MEMBERS = {
    "RS256": {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    "ES256": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    "HS256": {"kty": "oct", "k": "AA"},
}


@pytest.mark.parametrize("alg", MEMBERS)
def test_whatever_stands_in_a_set_the_complaint_is_ours(alg: str):
    members: dict[str, object] = {**MEMBERS[alg], "kid": "a"}
    damaged = [{name: value for name, value in members.items() if name != left_out} for left_out in members]
    for name in members:
        damaged += [members | {name: value} for value in (None, 1, -1, 1.5, True, [], {}, "", "ü", "!!", "AAAA")]

    for entry in damaged:
        with pytest.raises(ConfigError):
            from_jwks(source(alg), keys(entry))


@pytest.mark.parametrize(
    ("alg", "pem", "complaint"),
    [
        ("HS256", issuer("ES256").public, "needs a secret"),
        ("ES256", b"", "no public key in PEM form"),
        ("ES256", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM form"),
        ("ES256", private_pem(issuer("ES256")), "no public key in PEM form"),
        ("ES256", issuer("RS256").public, "is none for ES256"),
        ("RS256", issuer("ES256").public, "is none for RS256"),
        ("EdDSA", issuer("ES256").public, "is none for EdDSA"),
        ("ES256", pem_of(ec.generate_private_key(ec.SECP384R1())), "is none for ES256"),
        ("RS256", pem_of(rsa.generate_private_key(65537, 1024)), "has 1024 bits"),
    ],
)
def test_a_public_key_that_cannot_be_used_is_named(alg: str, pem: bytes, complaint: str):
    with pytest.raises(ConfigError) as refused:
        from_pem(source(alg), pem)

    assert complaint in refused.value.message


@pytest.mark.parametrize(("alg", "secret", "complaint"), [("HS256", "x" * 31, "31 bytes"), ("RS256", LONG, "needs a")])
def test_a_secret_that_cannot_be_used_is_named_and_never_shown(alg: str, secret: str, complaint: str):
    with pytest.raises(ConfigError) as refused:
        from_secret(source(alg, secret=secret))

    assert complaint in refused.value.message
    assert secret not in f"{refused.value.message}{refused.value.hint}{source(alg, secret=secret)!r}"


def test_two_keys_with_one_name_are_refused():
    key = from_secret(source("HS256", secret=LONG))

    with pytest.raises(ConfigError):
        KeyRing([key, replace(key, mark="other")])


# Files


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path):
    file = tmp_path / "keys.json"
    file.write_bytes(keys(jwk("ES256", "old")))
    files = KeyFiles([source("ES256", jwks=file)])
    before = files.ring

    unchanged = (files.changed, files.renew(), files.ring.marks == before.marks)
    file.write_bytes(keys(jwk("ES256", "older"), jwk("ES256", "new")))

    assert unchanged == (False, False, True)
    assert (files.changed, files.renew(), files.changed) == (True, True, False)
    assert (files.ring.pick("old"), files.ring.pick("new") is not None) == (None, True)


@pytest.mark.parametrize("damage", [b"", b"{", None, b'{"keys": []}', b"x" * (1024 * 1024 + 1)])
def test_a_damaged_file_leaves_the_keys_of_before(tmp_path: Path, damage: bytes | None):
    file = tmp_path / "keys.json"
    file.write_bytes(keys(jwk("EdDSA", "old")))
    files = KeyFiles([source("EdDSA", jwks=file)])
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)

    with pytest.raises(ConfigError):
        files.renew()

    assert files.ring.pick("old") is not None


@pytest.mark.parametrize(
    "where", [{}, {"secret": LONG, "jwks": Path("x")}, {"public_key": Path("x"), "jwks": Path("y")}]
)
def test_a_key_comes_from_one_place(where: dict[str, Any]):
    with pytest.raises(ConfigError) as refused:
        KeyFiles([source("HS256", **where)])

    assert "one of secret, public_key and jwks" in refused.value.message
