"""Pace, tables, frames, handshake, answers."""

from __future__ import annotations

import base64

import pytest

from appliance.errors import Broken, Forbidden, LimitReached, NotFound, TooLarge, Unauthenticated, Unavailable
from appliance.model.closecodes import Close, code_for
from appliance.model.frames import chunk, close_frame, ping_frame, text_frame
from appliance.model.http import Response, Stream
from appliance.web.handshake import accept_head, check_upgrade, choose_subprotocol
from appliance.web.head import Head, parse_head
from appliance.web.limits import Limits, table
from appliance.web.pace import Pace
from appliance.web.refusal import Refusal
from appliance.web.render import Renderer
from appliance.web.rest import keep_open

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def test_body_has_its_grace_and_then_must_keep_the_rate():
    pace = Pace(grace=10.0, rate=500.0)
    pace.begin()

    first = pace.wait(0.0)
    pace.came(9.0, 500)  # nine of ten seconds spent, one earned
    second = pace.wait(100.0)  # ours was the time between
    pace.came(100.0, 1_000_000)
    third = pace.wait(100.0)

    assert (first, second, third) == (10.0, 102.0, 110.0)


def test_every_limit_is_in_the_table_with_unit_and_meaning():
    rows = table()

    assert ("head", 32 * 1024, "bytes") in [row[:3] for row in rows]
    assert [row[0] for row in rows] == list(Limits.__dataclass_fields__)
    assert all(unit and meaning for _, _, unit, meaning in rows)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TooLarge("x"), 1009),
        (Unavailable("x"), 1013),
        (LimitReached("x", retry_after=1), 1013),
        (Unauthenticated("x"), 1008),
        (Forbidden("x"), 1008),
        (NotFound("x"), 1008),
        (Broken("x"), 1011),
        (KeyError("x"), 1011),
    ],
)
def test_error_becomes_the_close_code_that_tells_a_client_what_to_do(error: Exception, code: int):
    assert code_for(error) == code


def test_close_codes_have_a_meaning_and_can_be_sent():
    assert all(code.meaning for code in Close)
    assert {code for code in Close if code in (1004, 1005, 1006, 1015)} == set()


@pytest.mark.parametrize(
    ("size", "head"), [(5, "8105"), (125, "817d"), (126, "817e007e"), (65536, "817f0000000000010000")]
)
def test_text_frame_has_the_shortest_length_form(size: int, head: str):
    assert text_frame(b"x" * size) == bytes.fromhex(head) + b"x" * size


def test_control_frames_stay_within_125_bytes():
    assert ping_frame(b"hi") == b"\x89\x02hi"
    assert close_frame(1001) == b"\x88\x02\x03\xe9"
    assert len(close_frame(1001, "ä" * 200)) == 2 + 2 + 122
    assert close_frame(1001, "ä" * 200)[4:].decode() == "ä" * 61


def upgrade(*changes: tuple[str, str | None], method: str = "GET", version: str = "1.1") -> Head:
    fields: dict[str, str | None] = {
        "Host": "a",
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    fields |= dict(changes)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return parse_head(f"{method} /ws HTTP/{version}\r\n{lines}\r\n".encode(), Limits())


def test_proper_upgrade_passes():
    check_upgrade(upgrade())
    check_upgrade(upgrade(("Sec-WebSocket-Key", base64.b64encode(bytes(16)).decode())))
    check_upgrade(upgrade(("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Extensions", "permessage-deflate")))


@pytest.mark.parametrize(
    "change",
    [
        ("Content-Length", "0"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Expect", "100-continue"),
        ("Connection", "keep-alive"),
        ("Connection", None),
        ("Upgrade", "websocket, h2c"),
        ("Upgrade", "xwebsocket"),
        ("Sec-WebSocket-Key", None),
        ("Sec-WebSocket-Key", ""),
        ("Sec-WebSocket-Key", "c2hvcnQ="),
        ("Sec-WebSocket-Key", KEY + "AAAA"),
        ("Sec-WebSocket-Key", "!" * 22 + "=="),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR=="),  # not canonical: bits beyond the 16 bytes
        ("Sec-WebSocket-Protocol", "a,,b"),
        ("Sec-WebSocket-Protocol", ""),
        ("Sec-WebSocket-Protocol", "a b"),
    ],
)
def test_upgrade_that_is_not_the_standards_is_refused(change: tuple[str, str | None]):
    with pytest.raises(Refusal) as refused:
        check_upgrade(upgrade(change))

    assert refused.value.status == 400


def test_upgrade_of_another_method_or_version_is_refused():
    for head in (upgrade(method="POST"), upgrade(version="1.0")):
        with pytest.raises(Refusal):
            check_upgrade(head)
    for version in ("12", "013", None):
        with pytest.raises(Refusal) as refused:
            check_upgrade(upgrade(("Sec-WebSocket-Version", version)))
        assert refused.value.status == 426


def test_accepted_upgrade_proves_the_key_and_takes_no_extension():
    head = upgrade(
        ("Sec-WebSocket-Extensions", "permessage-deflate; x"), ("Cookie", "a=b"), ("Sec-WebSocket-Protocol", "b, c")
    )

    chosen = choose_subprotocol(head, ("c", "b"))
    status, *fields = accept_head(head, chosen).decode().split("\r\n")

    assert (chosen, choose_subprotocol(head, ())) == ("b", None)
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert fields == [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",  # of the key in RFC 6455, section 1.3
        "Sec-WebSocket-Protocol: b",
        "",
        "",
    ]


def test_answer_has_date_length_and_type():
    head, _, body = Renderer(0).response(Response(200, b"{}", headers=(("x-a", "b"),))).partition(b"\r\n\r\n")

    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "Server: appliance",
        "X-Content-Type-Options: nosniff",
        "Content-Type: application/json",
        "x-a: b",
        "Content-Length: 2",
    ]
    assert body == b"{}"


def test_answer_without_a_body_says_so_in_its_own_way():
    renderer = Renderer()

    to_head = renderer.response(Response(200, b"12345"), head_only=True)
    empty = renderer.response(Response(204, b""), close=True)
    odd = renderer.response(Response(299, b""))

    assert to_head.endswith(b"Content-Length: 5\r\n\r\n")
    assert b"Content-Length" not in empty
    assert empty.endswith(b"Connection: close\r\n\r\n")
    assert odd.startswith(b"HTTP/1.1 299 Status\r\n")


def test_date_moves_with_the_tick():
    renderer = Renderer(0)
    before = renderer.response(Response())

    renderer.tick(86_400)

    assert b"01 Jan 1970" in before
    assert b"02 Jan 1970" in renderer.response(Response())


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\r"])
def test_header_field_cannot_split_an_answer(value: str):
    with pytest.raises(ValueError, match="line break"):
        Renderer().response(Response(headers=(("x", value),)))


def test_stream_head_announces_chunks():
    async def run(_: object) -> None: ...

    head = Renderer().stream(Stream(run, headers=(("cache-control", "no-store"),)), close=True)

    assert b"Transfer-Encoding: chunked\r\n" in head
    assert b"Content-Type: text/event-stream\r\n" in head
    assert b"Connection: close\r\n" in head
    assert (chunk(b"hello"), chunk(b"")) == (b"5\r\nhello\r\n", b"")


def test_many_kinds_of_answers_do_not_pile_up():
    renderer = Renderer()

    for n in range(1000):
        renderer.response(Response(content_type=f"text/{n}"))

    assert len(renderer._heads) <= 256


def test_rest_reply_is_kept_open_by_dropping_one_line_of_its_head():
    reply = b"HTTP/1.1 200 OK\r\na: b\r\nConnection: close\r\nc: d\r\n\r\nconnection: close\r\n"

    assert keep_open(reply) == b"HTTP/1.1 200 OK\r\na: b\r\nc: d\r\n\r\nconnection: close\r\n"
    assert keep_open(b"HTTP/1.1 200 OK\r\n\r\n") == b"HTTP/1.1 200 OK\r\n\r\n"
