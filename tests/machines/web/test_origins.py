"""Whose pages may be here: exact origins, and no trick with their beginnings or ends."""

from __future__ import annotations

import pytest

from appliance.errors import ConfigError
from appliance.model.http import Request
from appliance.web.origins import Origins


def admits(origin: str | None, *listed: str, secure: bool = False, host: str = "a:1") -> bool:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    return Origins(listed).admits(Request("GET", "/", headers=headers, secure=secure))


def test_own_pages_and_programs_are_always_admitted():
    assert admits(None)
    assert admits("http://a:1")
    assert admits("https://a:1", secure=True)
    assert admits("https://a", secure=True, host="a:443")
    assert admits("http://[::1]:8420", host="[::1]:8420")


@pytest.mark.parametrize(
    "origin",
    [
        "null", "http://a", "http://a:2", "https://a:1", "http://a:1.evil.test", "http://a:1@evil.test",
        "http://evil.test/a:1", "http://evil.test?http://a:1", "http://nota:1", "http://a:1/", "http://a:1, http://b",
        " http://a:1", "a:1", "*", "file://",
    ],
)  # fmt: skip
def test_foreign_origins_are_refused(origin: str):
    """Cross-site WebSocket hijacking (reliability, row 23)."""
    assert not admits(origin)


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        ("https://app.example:8443", True),
        ("https://APP.example:8443", True),
        ("https://plain.example", True),
        ("https://plain.example:443", True),
        ("https://app.example", False),
        ("http://app.example:8443", False),
        ("https://app.example:84430", False),
        ("https://evil-app.example:8443", False),
        ("https://app.example.evil.test:8443", False),
        ("https://app.example:8443.evil.test", False),
        ("https://app.example:8443@evil.test", False),
        ("null", False),
    ],
)
def test_listed_origins_are_admitted_exactly(origin: str, admitted: bool):
    assert admits(origin, "https://app.example:8443", "https://plain.example") is admitted


def test_null_is_an_origin_only_where_it_is_listed():
    assert admits("null", "null")
    assert not admits("http://other.test", "null")


def test_star_admits_everybody():
    assert admits("http://anywhere.test", "*")
    assert admits("null", "*")


@pytest.mark.parametrize("listed", ["app.example", "https://app.example/", "https://*.example", "ftp://a", ""])
def test_what_is_no_origin_is_refused_at_the_start(listed: str):
    with pytest.raises(ConfigError, match="not an origin") as refused:
        Origins([listed])

    assert refused.value.hint
