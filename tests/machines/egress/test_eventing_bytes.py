"""The bytes of the eventing dialects, and whether other people's parsers read them as the standard says."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from appliance.client.sse import Frame, SseParser
from appliance.egress.sse.events_blocks import KEEP_ALIVE, Blocks, block, farewell
from appliance.egress.websocket.eventing_commands import Command, understood, wanted
from appliance.egress.websocket.eventing_frames import EventingDialect, Voice
from appliance.errors import Rejected
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.topic import Lost
from tests.rooms.egress.parser import parse

HARD = "two\nlines\r\n\u2028\u2029\x85\x0b\x0c\x1c\x00: id: 9 data: \ufeff\U0001f9ea é"
Read = list[tuple[str, str, str]]


def event(number: int, type: str = "NoteUpdated", text: str = HARD, *, stored: bool = True) -> Event:
    data = json.dumps({"note_id": "n", "text": text}, ensure_ascii=False)
    return Event(1, "note-n", type, number if stored else -1, number, f"id-{number}", data, None, 1_795_254_725_666_684)


def unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        body, data = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


def torture() -> bytes:
    """Everything a stream can hold."""
    parts = []
    for names in ("pascal", "dotted"):
        dialect = Blocks(Catalog(), names, 0.5)
        parts += [dialect.connected(3, 3), dialect.resync("no such id", HARD), unchunked(dialect.gap(Lost(4, 9)))]
        parts += [dialect.encode(event(4)), KEEP_ALIVE, dialect.encode(event(4, "JobProgress", stored=False))]
        parts += [dialect.encode(event(5, "Odd\nid: 9\r\ndata: x\u2028\x85Type")), unchunked(dialect.lagged(12))]
        parts += [dialect.encode(event(6, text="long " * 5000)), KEEP_ALIVE]
        parts += [unchunked(dialect.join([dialect.encode(event(7)), dialect.encode(event(8, ""))]))]
    return b"".join([*parts, farewell(2417)])


def by_httpx(pieces: list[bytes]) -> Read:
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter(pieces))
    return [(one.event, one.data, one.id) for one in EventSource(answer).iter_sse()]


def by_our_client(pieces: list[bytes]) -> Read:
    parser = SseParser()
    frames = (seen for piece in pieces for seen in parser.feed(piece))
    return [(one.name, one.data, one.id) for one in frames if isinstance(one, Frame)]


def by_the_block(pieces: list[bytes]) -> Read:
    """As small clients do: cut at empty lines, then split as Python splits text."""

    def blocks() -> Iterator[str]:
        rest = b""
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n\n")
            yield from (one.decode() for one in whole)
        yield from [rest.decode()] if rest else []

    found, last = [], ""
    for text in blocks():
        fields: dict[str, str] = {}
        for line in text.splitlines():
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        last = fields.get("id", last)
        if fields.keys() - {""}:
            found.append((fields["event"], fields["data"], last))
    return found


@pytest.mark.parametrize("size", [1, 7, 1 << 30])
@pytest.mark.parametrize("read", [by_httpx, by_our_client, by_the_block])
def test_all_parsers_read_the_stream_alike(read: Callable[[list[bytes]], Read], size: int):
    """#43, reliability: one torture stream, in pieces of 1, 7 and all bytes"""
    body = torture()
    standard = [(one.event, one.data, one.id) for one in parse(body)]

    found = read([body[at : at + size] for at in range(0, len(body), size)])

    assert found == standard
    assert len(found) == len(re.findall(rb"^event: ", body, re.MULTILINE))


def test_every_block_has_event_and_data_and_only_what_is_a_place_an_id():
    blocks = [text for text in torture().decode().split("\n\n") if text and not text.startswith(":")]

    for text in blocks:
        names = [line.partition(":")[0] for line in text.split("\n")]
        place = '"seq"' in text and '"ephemeral"' not in text
        assert names[:2] == ["event", "data"]
        assert ("id" in names) is place
        assert json.loads(text.split("\n")[1].removeprefix("data: "))


def test_the_data_survives_the_line_rules():
    (one,) = parse(Blocks(Catalog(), "dotted", 0.0).encode(event(4)))

    assert one.json["payload"]["text"] == HARD


def test_a_name_cannot_end_its_line():
    assert block("a\r\nid: 7\x85\u2028b", b"{}") == b"event: a id: 7  b\ndata: {}\n\n"


def test_an_event_is_encoded_once_for_all_audiences():
    dialect = Blocks(Catalog(), "pascal", 0.5)
    one = event(4)

    assert dialect.encode(one) is dialect.encode(one)


def test_progress_of_a_job_is_merged_until_the_job_is_over():
    dialect = Blocks(Catalog(), "pascal", 0.5)

    def of_job(type: str, job: str, *, stored: bool = True, memory: str = "") -> Event:
        metadata = f'{{"memory":"{memory}"}}' if memory else None
        return Event(1, f"job-{job}", type, 0 if stored else -1, 1, "id", f'{{"job_id":"{job}"}}', metadata, 0)

    progress = dialect.key(of_job("JobProgress", "j1", stored=False))
    assert progress
    assert progress == dialect.settles(of_job("JobCompleted", "j1")) == dialect.settles(of_job("JobFailed", "j1"))
    assert progress != dialect.key(of_job("JobProgress", "j2", stored=False))
    assert progress != dialect.key(of_job("JobProgress", "j1", stored=False, memory="home"))
    assert dialect.key(of_job("QueueStatus", "", stored=False))
    assert dialect.settles(of_job("NoteUpdated", "j1")) == ""


# -- WebSocket --------------------------------------------------------------------------------


def voice(status: dict[str, int] | None = None) -> Voice:
    ids = (f"id-{n}" for n in itertools.count())
    numbers = {"total_jobs": 3, "running": 1, "pending": 2} if status is None else status
    return Voice(
        Catalog(), lambda namespace, memories: numbers, lambda namespace: 41, new_id=ids.__next__, wall_us=lambda: 0
    )


def texts(frames: bytes) -> list[dict[str, object]]:
    found = []
    while frames:
        assert frames[0] == 0x81
        size, skip = (frames[1], 2) if frames[1] < 126 else (int.from_bytes(frames[2:4], "big"), 4)
        found.append(json.loads(frames[skip : skip + size]))
        frames = frames[skip + size :]
    return found


def test_what_the_endpoint_says_has_the_shape_of_an_ephemeral_event():
    (status,) = texts(voice().status(1, None))

    assert status == {
        "type": "QueueStatus",
        "total_jobs": 3,
        "running": 1,
        "pending": 2,
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "seq": 41,
        "event_id": "id-0",
        "ephemeral": True,
    }


def test_one_that_lagged_is_told_how_far_and_how_the_queue_stands():
    said = texts(EventingDialect(voice(), 1, None).lagged(12))

    assert [(one["type"], one.get("dropped_count")) for one in said] == [("EventsLagged", 12), ("QueueStatus", None)]


def test_a_gap_asks_for_a_resync_and_names_the_oldest():
    (said,) = texts(EventingDialect(voice(), 1, None).gap(Lost(4, 9)))

    assert (said["type"], said["last_known_id"], said["oldest"]) == ("ResyncRequired", "3", 9)


def test_dialects_are_equal_for_who_sees_the_same():
    one = voice()

    assert len({EventingDialect(one, 1, ("a",)), EventingDialect(one, 1, ("a",))}) == 1
    assert len({EventingDialect(one, 1, None), EventingDialect(one, 2, None), EventingDialect(one, 1, ("a",))}) == 3


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ("refresh", Command.REFRESH),
        ('{"type":"refresh"}', Command.REFRESH),
        (' {"at":1,"type":"refresh"} ', Command.REFRESH),
        ('{"type":"subscribe","oops":1}', Command.SUBSCRIBE),
        ('{"type":"unsubscribe"}', Command.UNSUBSCRIBE),
    ],
)
def test_what_is_understood(message: str, command: Command):
    assert understood(message) is command


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"subscribe","types":"note"}',
        '{"type":"subscribe","types":[]}',
        '{"type":"subscribe","types":[""]}',
        '{"type":"subscribe","since":1.5}',
        '{"type":"subscribe","filter":{}}',
        '{"type":"subscribe","memory":" "}',
        '{"type":"subscribe","entity_id":7}',
        '{"type":"subscribe","entity_id":""}',
    ],
)
def test_a_wrong_subscription_is_refused_with_a_reason(message: str):
    with pytest.raises(Rejected) as refused:
        wanted(message, Catalog())

    assert len(refused.value.message) > 10


@given(st.one_of(st.text(), st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(json.dumps)))
def test_nothing_a_client_says_raises_anything_else(message: str):
    with contextlib.suppress(Rejected):
        assert understood(message) in Command


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.text(max_size=30))
def test_any_event_becomes_one_block_and_one_frame(fields: dict[str, int | str], type: str):
    data = msgspec.json.encode(fields).decode()
    one = Event(1, "a-1", type, 0, 7, "id", data, None, 0)

    for names in ("pascal", "dotted"):
        (read,) = parse(Blocks(Catalog(), names, 0.5).encode(one))
        assert read.id == "7"
        assert {name: value for name, value in read.json["payload"].items() if name != "type"} == {
            name: value for name, value in fields.items() if name != "type"
        }
    (frame,) = texts(voice().encode(one))
    assert frame["seq"] == 7
