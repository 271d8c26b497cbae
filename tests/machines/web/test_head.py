"""What a head may be, and what it means."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.web.head import check_beginning, parse_head
from appliance.web.limits import KIB, Limits
from appliance.web.refusal import Refusal

LIMITS = Limits()


def head(line: str = "GET / HTTP/1.1", *fields: str, host: bool = True) -> bytes:
    lines = [line, *(["Host: a"] if host else []), *fields]
    return "".join(f"{each}\r\n" for each in lines).encode("latin-1") + b"\r\n"


def refusal(raw: bytes) -> tuple[int, str]:
    with pytest.raises(Refusal) as refused:
        parse_head(raw, LIMITS)
    return refused.value.status, refused.value.reason


def test_head_of_a_plain_request_is_read_as_it_stands():
    read = parse_head(
        head("POST /a%20b/%C3%A4?x=1&y=%20 HTTP/1.1", "X-One:  1 ", "x-one: 2", "Content-Length: 7"), LIMITS
    )

    assert (read.method, read.path, read.query) == ("POST", "/a b/ä", "x=1&y=%20")
    assert read.headers == {"host": "a", "x-one": "1, 2", "content-length": "7"}
    assert (read.length, read.chunked, read.keep_alive, read.http11) == (7, False, True, True)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET / HTTP/2.0", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/9.9", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("GET /", 400),
        ("GET / RTSP/1.0", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("get / HTTP/1.1", 400),
        ("GeT / HTTP/1.1", 400),
        ("TRACE / HTTP/1.1", 501),
        ("CONNECT a:1 HTTP/1.1", 501),
        ("SUBSCRIBE / HTTP/1.1", 501),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET /%zz HTTP/1.1", 400),
        ("GET /%00 HTTP/1.1", 400),
        ("GET /%0d%0aX HTTP/1.1", 400),
        ("GET /%ff HTTP/1.1", 400),
        ("GET /\xe4 HTTP/1.1", 400),
        ("GET ftp://a/ HTTP/1.1", 400),
        ("GET http://a@b/ HTTP/1.1", 400),
    ],
)
def test_request_line_that_others_might_read_differently_is_refused(line: str, status: int):
    assert refusal(head(line))[0] == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
        (["Content-Length: 5", "Content-Length: 5"], 400),
        (["Content-Length: 5", "Content-Length: 6"], 400),
        (["Content-Length: 5, 5"], 400),
        (["Content-Length: +5"], 400),
        (["Content-Length: -5"], 400),
        (["Content-Length: 0x5"], 400),
        (["Content-Length:"], 400),
        (["Content-Length: 9999999999999999"], 400),
        (["Content-Length: 99999999999999999999999"], 400),
        (["Transfer-Encoding: gzip, chunked"], 400),
        (["Transfer-Encoding: chunked, gzip"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked, chunked"], 400),
        (["Transfer-Encoding: xchunked"], 400),
        (["Transfer-Encoding: identity"], 400),
        (["Transfer-Encoding:"], 400),
        (["Transfer-Encoding: \x0bchunked"], 400),
        (["Host: b"], 400),
        (["Host : b"], 400),
        (["X: a", " folded"], 400),
        (["X: a\x00b"], 400),
        (["X: a\x7fb"], 400),
        (["X: \xe4"], 400),
        (["X: a\nY: b"], 400),
        (["X: a\rY: b"], 400),
        ([": nameless"], 400),
        (["no colon"], 400),
        (["X Y: b"], 400),
        (["Authorization: Bearer a", "Authorization: Bearer b"], 400),
        (["Content-Encoding: gzip", "Content-Length: 5"], 415),
        (["Expect: a-miracle"], 417),
    ],
)
def test_field_with_two_readings_is_refused(fields: list[str], status: int):
    assert refusal(head("POST / HTTP/1.1", *fields))[0] == status


@pytest.mark.parametrize("host", ["a b", "a/b", "a,b@c", "[::1", "a:b", "a:123456", "\x7f"])
def test_host_that_is_no_host_is_refused(host: str):
    assert refusal(head("GET / HTTP/1.1", f"Host: {host}", host=False))[0] == 400


def test_http11_needs_exactly_one_host_and_http10_none():
    assert refusal(head(host=False)) == (400, "host")
    assert refusal(head("GET / HTTP/1.0", "Host: b")) == (400, "repeated_field")

    old = parse_head(head("GET / HTTP/1.0", host=False), LIMITS)

    assert (old.http11, old.keep_alive, old.headers) == (False, False, {})


def test_http10_never_keeps_alive_and_has_no_chunks():
    asked = parse_head(head("GET / HTTP/1.0", "Connection: keep-alive"), LIMITS)

    assert not asked.keep_alive
    assert refusal(head("POST / HTTP/1.0", "Transfer-Encoding: chunked")) == (400, "framing")


def test_absolute_target_replaces_the_host():
    read = parse_head(head("GET http://b:1/c?d HTTP/1.1"), LIMITS)
    bare = parse_head(head("GET http://b HTTP/1.1"), LIMITS)
    queried = parse_head(head("GET http://b?d HTTP/1.1"), LIMITS)

    assert (read.headers["host"], read.path, read.query) == ("b:1", "/c", "d")
    assert (bare.path, queried.path, queried.query) == ("/", "/", "d")


def test_connection_and_expect_are_understood_in_any_case():
    closing = parse_head(head("GET / HTTP/1.1", "Connection: Foo , CLOSE"), LIMITS)
    waiting = parse_head(head("POST / HTTP/1.1", "Expect: 100-Continue", "Content-Length: 1"), LIMITS)
    upgrading = parse_head(head("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: WebSocket"), LIMITS)
    h2c = parse_head(head("GET / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), LIMITS)

    assert not closing.keep_alive
    assert waiting.expects
    assert (upgrading.upgrade, h2c.upgrade) == (True, False)


def test_head_beyond_the_limits_is_refused():
    assert refusal(head("GET / HTTP/1.1", "X: " + "a" * 33 * KIB)) == (431, "head_size")
    assert refusal(head("GET / HTTP/1.1", *["X: a"] * 100)) == (431, "head_fields")
    assert refusal(head(f"GET /{'a' * 9000} HTTP/1.1")) == (414, "target_size")
    assert len(parse_head(head("GET / HTTP/1.1", *[f"X-{n}: a" for n in range(99)]), LIMITS).headers) == 100


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\nHost", b"GET /\x00", b"a" * 33 * KIB])
def test_beginning_that_can_become_no_head_is_refused_at_once(data: bytes):
    with pytest.raises(Refusal):
        check_beginning(data, LIMITS)


PIECES = st.sampled_from(
    [
        *(b"GET", b"POST", b"get", b" ", b"  ", b"/", b"/a?b", b"*", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"),
        *(b"\r\n", b"\n", b"\r", b":", b"\x00", b"\xff", b" fold\r\n", b"Host: a\r\n", b"Host: b\r\n", b"host:a\r\n"),
        *(b"Content-Length: 3\r\n", b"Content-Length: 03\r\n", b"X: \ta\t \r\n", b"Connection: close\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
    ]
)
LIKELY = st.sampled_from([b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST /x HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.0\r\n"])


@settings(max_examples=600, deadline=None)
@given(LIKELY, st.lists(PIECES | st.binary(max_size=3), max_size=6), st.integers(0, 60))
def test_head_that_we_accept_means_the_same_to_h11(start: bytes, pieces: list[bytes], cut: int):
    mixed = start[:cut] + b"".join(pieces) + start[cut:]
    raw = mixed.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    try:
        ours = parse_head(raw, LIMITS)
    except Refusal:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(raw)

    theirs = other.next_event()

    assert isinstance(theirs, h11.Request)
    assert (theirs.method, theirs.target) == (ours.method.encode(), ours.target.encode())
    framing = {name: value for name, value in theirs.headers if name in (b"content-length", b"transfer-encoding")}
    assert ours.chunked == (b"transfer-encoding" in framing)
    assert ours.length == int(framing.get(b"content-length", b"0"))
    assert theirs.http_version == (b"1.1" if ours.http11 else b"1.0")
