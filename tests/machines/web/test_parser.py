"""Bytes of a connection, however they are cut, become the same requests."""

from __future__ import annotations

import random

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.web.head import Head
from appliance.web.limits import Limits
from appliance.web.parser import Parser, Phase
from appliance.web.refusal import Refusal

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: trailer\r\n\r\n"
)
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
BAD = b"GET /d HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"


def parser(limit: int | None = 1000, *, streamed: bool = False) -> Parser:
    def admit(head: Head) -> None:
        head.limit, head.streamed = limit, streamed

    return Parser(Limits(), admit)


def fed(data: bytes, *cuts: int) -> tuple[list[tuple[str, bytes]], Parser]:
    reader = parser()
    arrived = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        arrived += [(each.head.path, each.body) for each in reader.feed(data[start:stop])]
    return arrived, reader


WHOLE = [("/a", b""), ("/b", b"hello"), ("/c", b"hello"), ("/a", b"")]


def test_pipelined_requests_of_one_read_all_arrive():
    arrived, reader = fed(GET + POST + CHUNKED + GET)

    assert arrived == WHOLE
    assert (reader.phase, reader.refused) == (Phase.IDLE, None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(GET + POST + CHUNKED + GET)), max_size=12))
def test_cuts_between_reads_change_nothing(cuts: list[int]):
    arrived, reader = fed(GET + POST + CHUNKED + GET, *sorted(cuts))

    assert arrived == WHOLE
    assert reader.phase is Phase.IDLE


def test_bytes_one_by_one_are_the_same_requests():
    data = GET + POST + CHUNKED + GET

    arrived, _ = fed(data, *range(1, len(data)))

    assert arrived == WHOLE


def test_requests_before_a_bad_one_arrive_and_nothing_after_it():
    arrived, reader = fed(GET + POST + BAD + GET)

    assert arrived == [("/a", b""), ("/b", b"hello")]
    assert reader.refused is not None
    assert reader.refused.reason == "repeated_field"
    assert reader.feed(GET) == []


def test_repeated_head_is_read_once():
    seen = []
    reader = Parser(Limits(), lambda head: seen.append(head.path))

    arrived = reader.feed(GET * 3) + reader.feed(GET)

    assert len(arrived) == 4
    assert seen == ["/a"]


def test_request_that_closes_is_the_last():
    arrived, reader = fed(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)

    assert arrived == [("/x", b"")]
    assert reader.phase is Phase.OVER


def test_one_empty_line_before_a_request_is_forgiven():
    assert fed(GET + b"\r\n" + GET)[0] == [("/a", b"")] * 2
    assert fed(b"\r\n\r\n" + GET)[1].refused is not None


def test_upgrade_ends_the_requests_and_keeps_what_follows():
    reader = parser()

    arrived = reader.feed(GET + UPGRADE + b"\x81\x80frame")

    assert [each.head.path for each in arrived] == ["/a", "/ws"]
    assert reader.leftover() == b"\x81\x80frame"
    assert reader.phase is Phase.OVER


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n6\r\nworld!",
    ],
)
def test_body_beyond_the_limit_is_refused_before_it_is_kept(data: bytes):
    reader = parser(limit=10)

    arrived = reader.feed(data)

    assert arrived == []
    assert reader.refused is not None
    assert (reader.refused.status, reader.held) == (413, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhello",
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"x" * 2000,
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 20 + b"\r\n",
    ],
)
def test_chunks_that_others_might_read_differently_are_refused(body: bytes):
    reader = parser()

    arrived = reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    assert arrived == []
    assert reader.refused is not None
    assert (reader.refused.status, reader.refused.reason) == (400, "chunks")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.lists(
        st.tuples(st.integers(0, 120), st.sampled_from([b"\r", b"\n", b"0", b"a", b";", b" ", b"\x00"])), max_size=2
    ),
)
def test_chunked_body_that_we_accept_is_the_same_to_h11(pieces: list[bytes], noise: list[tuple[int, bytes]]):
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    for at, byte in noise:
        body = body[:at] + byte + body[at:]
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    arrived = parser().feed(raw)
    if not arrived:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(raw)
    theirs = bytearray()

    while type(event := other.next_event()) is not h11.EndOfMessage:
        theirs += event.data if isinstance(event, h11.Data) else b""

    assert arrived[0].body == theirs


def test_expectation_is_named_until_the_body_comes():
    reader = parser()
    asked = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

    states = [reader.feed(asked) or reader.wants_continue, reader.feed(b"he") or reader.wants_continue]
    arrived = reader.feed(b"llo" + asked + b"hello")

    assert states == [True, False]
    assert [each.body for each in arrived] == [b"hello", b"hello"]
    assert not reader.wants_continue


def test_streamed_body_is_pulled_and_the_next_request_waits_behind_it():
    reader = parser(None, streamed=True)
    [first] = reader.feed(CHUNKED[:-20])

    pieces = [reader.pull(), reader.pull(CHUNKED[-20:] + GET)]

    assert first.head.streamed
    assert b"".join(pieces) == b"hello"
    assert (reader.phase, reader.pending) == (Phase.HEAD, True)
    assert [each.head.path for each in reader.feed(b"")] == ["/a"]


def test_streamed_request_without_a_body_is_done_at_once():
    reader = parser(None, streamed=True)
    reader.feed(GET + GET)

    assert reader.pull() == b""
    assert [each.head.path for each in reader.feed(b"")] == ["/a"]


def test_streamed_body_is_refused_while_it_is_pulled():
    reader = parser(4, streamed=True)
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    first = reader.pull()

    with pytest.raises(Refusal):
        reader.pull(b"3\r\nabc\r\n")

    assert first == b"abc"
    assert reader.refused is not None


def test_bytes_held_under_a_stream_are_read_after_it():
    reader = parser()

    kept = [reader.hold(GET[:5]), reader.hold(GET[5:])]

    assert kept == [5, len(GET)]
    assert [each.head.path for each in reader.feed(b"")] == ["/a"]


def test_random_bytes_never_raise_and_never_grow():
    dice = random.Random(7)
    for _ in range(2000):
        reader = parser(limit=50)
        data = bytearray(dice.choice([GET, POST, CHUNKED, UPGRADE, BAD]) * 2)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        at = 0
        while at < len(data):
            size = dice.randint(1, 40)
            reader.feed(bytes(data[at : at + size]))
            at += size
        assert reader.held <= 50
        assert reader.phase in Phase
