"""Moving whole logs in and out."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from appliance.errors import Unavailable
from appliance.model.http import Response
from appliance.storage.memory import MemoryEngine
from tests.rooms.ingress.room import Peer, a_room

NIL = "00000000-0000-7000-8000-{:012d}"


def record(place: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": NIL.format(place),
        "stream": f"a-{place}",
        "type": "Moved",
        "pos": 0,
        "gpos": place,
        "data": {"n": place},
        "meta": None,
        "time": "2026-01-31T12:00:00.123456Z",
    } | fields


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


async def test_records_keep_positions_ids_and_times_and_writing_goes_on_behind_them():
    body = lines(
        record(7, time="2020-02-29T23:30:00.5+02:00", pos=3, meta={"m": 1}), record(3, id=NIL.format(3).upper())
    )

    async with a_room() as room:
        told = await room.imported([body])
        rows = await room.rpc("category.get", "")
        written = await room.rpc("stream.write", "a-7", {"type": "T", "data": {}})

    assert told[0] == {"imported": 2, "gpos": 3}
    assert (told[1]["done"], told[1]["imported"], told[1]["elapsed"][-1]) == (True, 2, "s")
    assert [row[:6] for row in rows] == [
        [NIL.format(3), "a-3", "Moved", 0, 3, {"n": 3}],
        [NIL.format(7), "a-7", "Moved", 3, 7, {"n": 7}],
    ]
    assert rows[1][6:] == [{"m": 1}, "2020-02-29T21:30:00.500000Z"]
    assert written == {"position": 4, "globalPosition": 8}


async def test_body_may_come_in_any_pieces_with_blank_lines_and_without_a_last_newline():
    body = b"\n \r\n" + lines(record(1), record(2)).replace(b"\n", b"\r\n\n") + lines(record(3)).rstrip()

    async with a_room() as room:
        told = await room.imported([body[n : n + 7] for n in range(0, len(body), 7)])
        rows = await room.rpc("category.get", "")

    assert told[-1]["imported"] == 3
    assert len(rows) == 3


@pytest.mark.parametrize("size", [1, 5, 10_000])
async def test_gzip_is_recognised_by_its_first_bytes(size: int):
    packed = gzip.compress(lines(record(1), record(2))) + gzip.compress(lines(record(3)))

    async with a_room() as room:
        told = await room.imported([packed[n : n + size] for n in range(0, len(packed), size)])

    assert told[-1]["imported"] == 3


@pytest.mark.parametrize("body", [[], [b""], [b"\n"], [gzip.compress(b"")]])
async def test_nothing_is_imported_from_nothing(body: list[bytes]):
    async with a_room() as room:
        told = await room.imported(body)

    assert told == [{"done": True, "imported": 0, "elapsed": "0.0s"}]


async def test_progress_is_told_after_each_thousand_and_adds_up():
    async with a_room() as room:
        told = await room.imported([lines(*map(record, range(1, 2501)))])

    assert told[:-1] == [
        {"imported": 1000, "gpos": 1000},
        {"imported": 2000, "gpos": 2000},
        {"imported": 2500, "gpos": 2500},
    ]
    assert told[-1]["imported"] == 2500


async def test_peer_that_does_not_read_gets_fewer_lines_and_no_slower_import():
    peer = Peer(reads=False)

    async with a_room() as room:
        told = await room.imported([lines(*map(record, range(1, 2501)))], peer=peer)
        head = room.log.head_position(room.identity.namespace("default").key)

    assert [set(line) for line in told] == [{"done", "imported", "elapsed"}]
    assert (peer.refused, head) == (3, 2500)


async def test_imported_messages_are_published():
    async with a_room() as room:
        await room.imported([lines(record(1), record(2))])

    assert [event.global_position for event in room.published] == [1, 2]


FAILURES = [
    (b"{", "INVALID_JSON", "malformed JSON at line 3: "),
    (b"nope", "INVALID_JSON", "malformed JSON at line 3: "),
    (b'{"a":"\\u0000"}', "INVALID_JSON", "malformed JSON at line 3: "),
    (b"[]", "INVALID_RECORD", "invalid record at line 3: Expected `object`"),
    (json.dumps(record(9, time="yesterday")).encode(), "INVALID_RECORD", "invalid record at line 3: "),
    (json.dumps(record(9, time="2026-01-31T12:00:00")).encode(), "INVALID_RECORD", "invalid record at line 3: "),
    (json.dumps(record(9, time="9999-12-31T23:59:59-10:00")).encode(), "INVALID_RECORD", "invalid record at line 3: "),
    (json.dumps(record(9, id="x")).encode(), "INVALID_RECORD", "invalid record at line 3: an id is a UUID"),
    (json.dumps(record(9, id="")).encode(), "INVALID_RECORD", "invalid record at line 3: an id is a UUID"),
    (json.dumps(record(9, stream="")).encode(), "INVALID_RECORD", "invalid record at line 3: a stream name"),
    (json.dumps(record(9, data=[])).encode(), "INVALID_RECORD", "invalid record at line 3: data must be an object"),
    (json.dumps(record(9, meta=1)).encode(), "INVALID_RECORD", "invalid record at line 3: meta must be an object"),
    (json.dumps(record(0)).encode(), "INVALID_RECORD", "invalid record at line 3: no such position"),
    (json.dumps(record(2**62)).encode(), "INVALID_RECORD", "invalid record at line 3: no such position"),
    (json.dumps(record(9, pos=-1)).encode(), "INVALID_RECORD", "invalid record at line 3: no such position"),
    (json.dumps(record(9, pos="1")).encode(), "INVALID_RECORD", "invalid record at line 3: Expected `int`"),
]


@pytest.mark.parametrize(("line", "code", "message"), FAILURES)
async def test_line_that_is_wrong_ends_the_import_and_is_named(line: bytes, code: str, message: str):
    async with a_room() as room:
        told = await room.imported([lines(record(1)) + b"\n" + line + b"\n" + lines(record(2))])
        rows = await room.rpc("category.get", "")

    assert [(one["error"], one["line"]) for one in told] == [(code, 3)]
    assert told[0]["message"].startswith(message)
    assert rows == []


async def test_failing_batch_leaves_nothing_and_those_before_it_stay():
    body = lines(*map(record, range(1, 1501)), record(1501, id=NIL.format(3)))

    async with a_room() as room:
        told = await room.imported([body])
        head = room.log.head_position(room.identity.namespace("default").key)

    assert told == [
        {"imported": 1000, "gpos": 1000},
        {"error": "POSITION_EXISTS", "message": "global position already exists: 1501", "line": 1501},
    ]
    assert head == 1000


async def test_force_empties_the_namespace_first():
    async with a_room() as room:
        await room.write("old-1", "A", "B")
        clash = await room.imported([lines(record(1))])
        told = await room.imported([lines(record(1))], query={"force": "true"})
        rows = await room.rpc("category.get", "")
        version = await room.rpc("stream.version", "old-1")
        await room.imported([], query={"force": "true"})
        nothing = await room.rpc("category.get", "")
        first = await room.rpc("stream.write", "new", {"type": "T", "data": {}})

    assert clash[-1]["error"] == "POSITION_EXISTS"
    assert told[-1]["imported"] == 1
    assert [row[1] for row in rows] == ["a-1"]
    assert (version, nothing, first) == (None, [], {"position": 0, "globalPosition": 1})


async def test_stranger_and_wrong_method_are_answered_in_json_before_anything_is_read():
    async with a_room() as room:
        stranger = await room.ask("/import", chunks=[], token=None)
        method = await room.ask("/import", chunks=[], method="GET")

    assert isinstance(stranger, Response)
    assert (stranger.status, json.loads(stranger.body)["error"]["code"]) == (401, "AUTH_REQUIRED")
    assert method.status == 405


class Failing(MemoryEngine):
    def clear_namespace(self, key: int) -> int:
        raise Unavailable("the disk is full")

    def import_batch(self, namespace: int, records: Any) -> Any:
        raise Unavailable("the disk is full")


async def test_storage_that_fails_is_told_before_or_in_the_stream():
    async with a_room(Failing()) as room:
        forced = await room.ask("/import", chunks=[], query={"force": "true"})
        told = await room.imported([lines(record(1))])

    assert isinstance(forced, Response)
    assert (forced.status, json.loads(forced.body)["error"]["code"]) == (500, "CLEAR_FAILED")
    assert told == [{"error": "IMPORT_FAILED", "message": "the disk is full", "line": 1}]


# Export


async def test_export_is_what_import_takes():
    async with a_room() as room:
        await room.rpc("stream.write", "a-1", {"type": "T", "data": {"big": 2**70}, "metadata": {"x": "ü\n"}})
        await room.write("b-1", "U")
        exported = await room.exported()
    async with a_room() as other:
        told = await other.imported([exported])
        again = await other.exported()

    first, second = exported.splitlines()
    assert list(json.loads(first)) == ["id", "stream", "type", "pos", "gpos", "data", "meta", "time"]
    assert (json.loads(first)["data"], json.loads(first)["meta"]) == ({"big": 2**70}, {"x": "ü\n"})
    assert json.loads(second)["meta"] is None
    assert told[-1]["imported"] == 2
    assert again == exported


async def test_export_goes_over_all_pages_and_can_be_packed():
    async with a_room() as room:
        await room.imported([lines(*map(record, range(1, 2001)))])
        plain = await room.exported()
        packed = await room.exported(query={"gzip": "true"})
        answer = await room.ask("/export", method="GET")

    assert len(plain.splitlines()) == 2000
    assert gzip.decompress(packed) == plain
    assert answer.headers == (("x-global-position", "2000"),)


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({"categories": "a"}, [1, 3]),
        ({"categories": "b, c,"}, [2, 4]),
        ({"categories": "none"}, []),
        ({"after": "2"}, [3, 4]),
        ({"after": "99999999999999999999999"}, []),
        ({"since": "2026-01-02"}, [2, 3, 4]),
        ({"until": "2026-01-03"}, [1, 2]),
        ({"since": "2026-01-02T01:00:00+01:00", "until": "2026-01-02T00:00:00.000001Z"}, [2]),
        ({"since": "", "until": "", "categories": ""}, [1, 2, 3, 4]),
    ],
)
async def test_export_is_narrowed_by_category_time_and_position(query: dict[str, str], places: list[int]):
    async with a_room() as room:
        named = zip(range(1, 5), ("a", "b", "a", "c"), strict=True)
        await room.imported(
            [lines(*(record(n, stream=f"{name}-1", pos=n, time=f"2026-01-0{n}T00:00:00Z") for n, name in named))]
        )
        rows = [json.loads(line) for line in (await room.exported(query=query)).splitlines()]

    assert [row["gpos"] for row in rows] == places


@pytest.mark.parametrize("query", [{"since": "soon"}, {"until": "2026-13-01"}, {"after": "-1"}, {"after": "x"}])
async def test_export_refuses_bounds_it_does_not_understand(query: dict[str, str]):
    async with a_room() as room:
        answer = await room.ask("/export", method="GET", query=query)
        wrong_method = await room.ask("/export", method="POST")

    assert isinstance(answer, Response)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["message"]) == (400, f"Invalid {next(iter(query))} parameter")
    assert wrong_method.status == 405


async def test_export_ends_at_what_was_newest_when_it_began():
    async with a_room() as room:
        await room.write("a", "A")
        answer = await room.ask("/export", method="GET")
        await room.write("a", "B")
        peer = Peer()
        await answer.run(peer)  # type: ignore[union-attr]

    assert len(peer.body.splitlines()) == 1
