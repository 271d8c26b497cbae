"""Forms are read strictly, and a client shows itself in one way."""

from __future__ import annotations

import base64

import pytest

from appliance.auth.oauth.forms import Form, proof_of, read_form, read_query
from appliance.auth.oauth.refusals import OAuthError
from appliance.model.http import Request, Response

FORM = "application/x-www-form-urlencoded"


def sent(body: bytes, *, content: str = FORM, **headers: str) -> Request:
    return Request("POST", "/oauth/token", headers={"content-type": content} | headers, body=body)


def basic(text: str | bytes) -> dict[str, str]:
    data = text.encode() if isinstance(text, str) else text
    return {"authorization": "Basic " + base64.b64encode(data).decode()}


def refused(request: Request) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        proof_of(request, read_form(request))
    return caught.value


def test_a_form_holds_what_was_written():
    form = read_form(sent(b"grant_type=authorization_code&code=a%2Bb+c&x=", content=FORM + "; charset=UTF-8"))

    assert [form.get(name) for name in ("grant_type", "code", "x", "y")] == ["authorization_code", "a+b c", "", ""]
    with pytest.raises(OAuthError):
        form.need("x")


@pytest.mark.parametrize(
    "request_",
    [
        sent(b"{}", content="application/json"),
        sent(b"a=1", content=""),
        sent(b"a=1&a=2"),
        sent(b"a"),
        sent(b"a=1&&b=2"),
        sent(b"a=%ff"),
        sent("a=ü".encode()),
        sent(b"&".join(b"a%d=1" % number for number in range(41))),
    ],
)
def test_what_is_no_form_is_named(request_: Request):
    assert refused(request_).error == "invalid_request"


def test_a_query_is_read_as_strictly():
    assert read_query(Request("GET", "/", "a=1&b=")).fields == {"a": "1", "b": ""}
    assert read_query(Request("GET", "/")).fields == {}
    with pytest.raises(OAuthError):
        read_query(Request("GET", "/", "a=1&a=1"))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"client_id=mm_a&client_secret=s%3At", {}),
        (b"x=1", basic("mm_a:s:t")),
        (b"x=1", basic("mm_a:s%3At")),
        (b"client_id=mm_a", basic("mm_a:s:t")),
    ],
)
def test_a_client_shows_itself_by_header_or_by_fields(body: bytes, headers: dict[str, str]):
    request = sent(body, **headers)

    proof = proof_of(request, read_form(request))

    assert (proof.client, proof.secret) == ("mm_a", "s:t")
    assert "s:t" not in repr(proof)


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"x=1", {}, "invalid_request"),
        (b"client_secret=s", {}, "invalid_request"),
        (b"client_secret=s", basic("mm_a:s"), "invalid_request"),
        (b"client_id=mm_b", basic("mm_a:s"), "invalid_request"),
        (b"x=1", basic("mm_a"), "invalid_client"),
        (b"x=1", basic(b"\xff:\xff"), "invalid_client"),
        (b"x=1", basic("mm_a:%ff"), "invalid_client"),
        (b"x=1", {"authorization": "Basic ???"}, "invalid_client"),
        (b"x=1", {"authorization": "Basic"}, "invalid_client"),
        (b"x=1", {"authorization": "Bearer abc"}, "invalid_client"),
    ],
)
def test_a_client_that_shows_nothing_or_two_things_is_refused(body: bytes, headers: dict[str, str], error: str):
    assert refused(sent(body, **headers)).error == error


def test_an_error_is_written_as_the_standard_says():
    answer: Response = OAuthError("invalid_client", "no", status=401, hint="look").response()

    assert (answer.status, answer.body) == (401, b'{"error":"invalid_client","error_description":"no","hint":"look"}')
    assert dict(answer.headers) == {
        "cache-control": "no-store",
        "pragma": "no-cache",
        "www-authenticate": 'Basic realm="oauth"',
    }
    assert "www-authenticate" not in dict(OAuthError("invalid_request", "no").response().headers)
    assert Form({}).get("x") == ""
