"""The text of tokens: taken apart as they were made, refused in the API's own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.auth.tokens import MalformedToken, hash_token, make_token, parse_token

ZEROES = "ns_ZGVmYXVsdA_" + 64 * "0"


def test_token_of_default_looks_as_every_client_expects():
    assert make_token("default", bytes(32)) == ZEROES


def test_stored_hash_is_the_sha256_of_the_whole_text():
    assert hash_token(ZEROES).hex() == "6fefedfc989ca8bea8ce1b63672607c06fbd0d8b3c0667164cf4f5a02911fb52"


@given(st.text(min_size=1), st.binary(min_size=32, max_size=32))
def test_every_namespace_gets_a_token_that_names_it(namespace: str, secret: bytes):
    token = parse_token(make_token(namespace, secret))

    assert token.namespace == namespace


def test_namespace_whose_encoding_holds_the_separator_works():
    text = make_token("ab?ab?", bytes(32))

    assert text.count("_") > 2
    assert parse_token(text).namespace == "ab?ab?"


def test_secret_may_be_in_capitals():
    assert parse_token("ns_ZGVmYXVsdA_" + 64 * "F").namespace == "default"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing 'ns_' prefix"),
        ("default", "missing 'ns_' prefix"),
        ("NS_ZGVmYXVsdA_" + 64 * "0", "missing 'ns_' prefix"),
        ("ns_", "expected 2 parts after prefix, got 1"),
        ("ns_ZGVmYXVsdA", "expected 2 parts after prefix, got 1"),
        ("ns_ZGVmYXVsdA_", "random part must be 64 hex characters, got 0"),
        ("ns_ZGVmYXVsdA_abc", "random part must be 64 hex characters, got 3"),
        ("ns_ZGVmYXVsdA_" + 65 * "0", "random part must be 64 hex characters, got 65"),
        ("ns_ZGVmYXVsdA_" + 63 * "0" + "z", "random part is not valid hexadecimal: invalid character 'z'"),
        ("ns_ZGVmYXVsdA_" + 63 * "0" + "_", "random part is not valid hexadecimal: invalid character '_'"),
        ("ns_ZGVm!XVsdA_" + 64 * "0", "namespace part is not valid base64url: invalid character '!'"),
        ("ns_ZGVm+XVsdA_" + 64 * "0", "namespace part is not valid base64url: invalid character '+'"),
        ("ns_Z_" + 64 * "0", "namespace part is not valid base64url: "),
        ("ns__w_" + 64 * "0", "namespace part is not valid base64url: "),
        ("ns__" + 64 * "0", "namespace is empty"),
    ],
)
def test_what_is_no_token_is_told_why(text, reason):
    with pytest.raises(MalformedToken) as refused:
        parse_token(text)

    assert str(refused.value).startswith(f"invalid token format: {reason}")


@given(st.text())
def test_any_text_is_a_token_or_malformed_and_nothing_else(text: str):
    try:
        namespace = parse_token("ns_" + text).namespace
    except MalformedToken:
        return
    assert namespace
