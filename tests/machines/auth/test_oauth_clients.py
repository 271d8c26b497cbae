"""Which clients there can be, and who may register them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from appliance.auth.oauth.clients import CODE, CREDENTIALS, REFRESH, OAuthClient, Registration, register, scopes_of
from appliance.auth.oauth.refusals import OAuthError
from appliance.auth.tokens import hash_token
from appliance.model.event import Namespace
from appliance.model.principal import Principal

BACK = "https://app.example/done"
ADMIN = Principal(Namespace(7, "shop"), frozenset({"admin"}), memories=frozenset({"work"}))


def registered(admin: Principal | None = ADMIN, **wish: Any) -> tuple[OAuthClient, str, str]:
    fields = {"client_name": "Kitchen display", "redirect_uris": (BACK,)} | wish
    return register(Registration(**fields), admin, home=1, secret=Random(1).randbytes, now_us=5_000_000)


def refused(admin: Principal | None = ADMIN, **wish: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        registered(admin, **wish)
    return caught.value


def test_a_registration_has_the_shape_and_the_defaults_of_the_standard():
    client, secret, token = registered(None)

    assert (client.id[:3], len(client.id), len(secret), token[:7]) == ("mm_", 27, 48, "mm_reg_")
    assert (client.secret, client.registration) == (hash_token(secret), hash_token(token))
    assert client.public() == {
        "client_id": client.id,
        "client_id_issued_at": 5,
        "client_name": "Kitchen display",
        "client_uri": "",
        "redirect_uris": [BACK],
        "grant_types": [CODE, REFRESH],
        "response_types": ["code"],
        "scope": "read",
        "token_endpoint_auth_method": "client_secret_basic",
    }


def test_a_client_of_an_admin_lives_where_the_admin_does_and_sees_no_more():
    client, _, _ = registered(grant_types=(CREDENTIALS,), scope="write read", redirect_uris=())

    assert (client.namespace, client.memories, client.scopes, client.by_admin) == (
        7,
        ("work",),
        ("read", "write"),
        True,
    )


def test_a_stranger_registers_what_an_admin_has_to_agree_to_and_nothing_else():
    client, _, _ = registered(None, scope="read write")

    assert (client.namespace, client.by_admin, client.agreed) == (1, False, False)
    itself = refused(None, grant_types=(CREDENTIALS,))
    assert (itself.error, itself.http_status) == ("invalid_token", 401)
    assert refused(None, scope="read admin").error == "invalid_client_metadata"


def test_a_client_that_cannot_keep_a_secret_gets_none():
    client, secret, _ = registered(None, token_endpoint_auth_method="none")

    assert (secret, client.secret, client.proves("")) == ("", b"", False)


def test_only_the_secret_proves_a_client_and_only_the_token_administers_it():
    client, secret, token = registered()

    assert [client.proves(text) for text in (secret, "", secret[:-1], token)] == [True, False, False, False]
    assert [client.administers(text) for text in (token, "", secret)] == [True, False, False]


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"client_name": ""}, "invalid_client_metadata"),
        ({"client_name": "a" * 201}, "invalid_client_metadata"),
        ({"client_name": "a\x00"}, "invalid_client_metadata"),
        ({"grant_types": ()}, "invalid_client_metadata"),
        ({"grant_types": ("implicit",)}, "invalid_client_metadata"),
        ({"grant_types": ("password", CODE)}, "invalid_client_metadata"),
        ({"response_types": ("token",)}, "invalid_client_metadata"),
        ({"scope": ""}, "invalid_client_metadata"),
        ({"scope": "read everything"}, "invalid_client_metadata"),
        ({"scope": "READ"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "none", "grant_types": (CREDENTIALS,)}, "invalid_client_metadata"),
        ({"client_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"redirect_uris": ()}, "invalid_redirect_uri"),
        ({"redirect_uris": (BACK,) * 11}, "invalid_redirect_uri"),
    ],
)
def test_what_no_client_can_be_is_named(wish: dict[str, Any], error: str):
    assert refused(**wish).error == error


@pytest.mark.parametrize(
    "uri",
    [
        BACK,
        "https://app.example:8443/done?of=it",
        "http://127.0.0.1:1234/done",
        "http://[::1]/done",
        "http://localhost:3000/",
        "http://192.168.1.7:8123/back",
        "http://kitchen.local/back",
        "http://kitchen/back",
        "com.example.app:/done",
    ],
)
def test_a_code_may_go_to_the_web_over_tls_and_in_the_house_without(uri: str):
    assert registered(redirect_uris=(uri,))[0].returns_to(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/done",
        "app.example/done",
        "http://app.example/done",
        "http://8.8.8.8/done",
        "http://0.0.0.0/done",
        "https:///done",
        "https://app.example/done#part",
        "https://app.example/done#",
        "https://anna@app.example/done",
        "https://app.example\\@evil.example/",
        "https://app.example:port/",
        "https://app.example/\n",
        "https://äpp.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp:/done",
        "https://app.example/" + "a" * 2000,
    ],
)
def test_a_code_goes_nowhere_else(uri: str):
    assert refused(redirect_uris=(uri,)).error == "invalid_redirect_uri"


@pytest.mark.parametrize(
    ("registered_as", "asked", "same"),
    [
        (BACK, BACK + "/", False),
        (BACK, BACK + "?x=1", False),
        (BACK, BACK.upper(), False),
        (BACK, "https://app.example.evil.example/done", False),
        ("http://127.0.0.1/done", "http://127.0.0.1:51234/done", True),
        ("http://[::1]:80/done", "http://[::1]:51234/done", True),
        ("http://127.0.0.1/done", "http://127.0.0.1:51234/other", False),
        ("http://127.0.0.1/done", "http://127.0.0.1:51234/done?x=1", False),
        ("http://127.0.0.1/done", "https://127.0.0.1/done", False),
        ("http://127.0.0.1/done", "http://x@127.0.0.1:1/done", False),
        ("http://localhost/done", "http://localhost:51234/done", False),
    ],
)
def test_an_address_is_the_registered_one_but_for_the_port_on_loopback(registered_as: str, asked: str, same: bool):
    assert registered(redirect_uris=(registered_as,))[0].returns_to(asked) is same


@pytest.mark.parametrize("text", ["", " ", "read,write", "everything", "read\twrite"])
def test_a_scope_nobody_knows_is_no_scope(text: str):
    with pytest.raises(OAuthError):
        scopes_of(text)


def test_scopes_are_a_set():
    assert scopes_of("write read  read") == ("read", "write")
