"""Writing and reading over the message-store API, as its clients see it."""

from __future__ import annotations

import inspect
import json
import re
from itertools import chain
from typing import Any

import pytest
import trio

from appliance.errors import Rejected
from appliance.model.event import Draft, Page, Query
from appliance.model.http import Request, Response, Stream
from appliance.storage.memory import MemoryEngine
from tests.rooms.ingress.room import TOKEN, Peer, Room, a_room, body_of, token_of

ID = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def message(type: str = "T", **fields: Any) -> dict[str, Any]:
    return {"type": type, "data": {}} | fields


async def test_written_message_is_read_back_as_it_was_sent():
    body = (
        b'["stream.write", "a-1", {"metadata": {"b": 1, "a": null}, "data": {"big": 123456789012345678901234567890, '
        b'"one": 1.0,\n "text": "<\\u00e9>", "a": [ ]}, "type": "T", "id": "ignored"}, {}, "extra", ["too"]]'
    )
    async with a_room() as room:
        written = await room.ask("/rpc", body)
        read = await body_of(await room.ask("/rpc", b'["stream.get", "a-1", {}]'))

    assert await body_of(written) == b'{"position":0,"globalPosition":1}\n'
    ((id, type, position, place, _, metadata, time),) = json.loads(read)
    assert (type, position, place, metadata) == ("T", 0, 1, {"b": 1, "a": None})
    assert id[14] == "7"
    assert TIME.fullmatch(time)
    assert b'{"big":123456789012345678901234567890,"one":1.0,"text":"<\\u00e9>","a":[]}' in read
    assert b'{"b":1,"a":null}' in read


async def test_callers_id_is_kept_in_its_canonical_form_and_an_empty_one_means_none():
    async with a_room() as room:
        await room.rpc("stream.write", "a", message(), {"id": ID.upper().replace("-", "")})
        await room.rpc("stream.write", "a", message(), {"id": ""})
        rows = await room.rpc("stream.get", "a")

    assert rows[0][0] == ID
    assert rows[1][0] not in ("", ID)


@pytest.mark.parametrize(("metadata", "read"), [({}, None), ({"metadata": None}, None), ({"metadata": {}}, {})])
async def test_metadata_left_out_and_null_both_mean_none(metadata, read):
    async with a_room() as room:
        await room.rpc("stream.write", "a", message(**metadata))
        (row,) = await room.rpc("stream.get", "a")

    assert row[5] == read


async def test_numbers_are_cut_toward_zero():
    async with a_room() as room:
        await room.rpc("stream.write", "a", message(), {"expectedVersion": -1.9})
        await room.write("a", "B", "C")
        rows = await room.rpc("stream.get", "a", {"position": 1.9, "batchSize": 1.5})
        far = await room.rpc("stream.get", "a", {"position": 1e300})

    assert [row[1] for row in rows] == ["B"]
    assert far == []


async def test_stream_is_read_from_a_position_or_a_global_position_up_to_a_limit():
    async with a_room() as room:
        for stream, type in [("a-1", "A"), ("b-1", "X"), ("a-1", "B"), ("a-1", "C")]:
            await room.write(stream, type)

        async def types(**options: int) -> list[str]:
            return [row[1] for row in await room.rpc("stream.get", "a-1", options)]

        assert await types() == ["A", "B", "C"]
        assert await types(position=1) == ["B", "C"]
        assert await types(position=-7) == ["A", "B", "C"]
        assert await types(batchSize=2) == ["A", "B"]
        assert await types(batchSize=0) == []
        assert await types(globalPosition=2) == ["B", "C"]
        assert await types(globalPosition=4, position=9) == ["C"]
        assert await types(unknown=1) == ["A", "B", "C"]
        assert await room.rpc("stream.get", "none") == []


async def test_last_and_version_of_a_stream():
    async with a_room() as room:
        nothing = [await room.rpc("stream.last", "a"), await room.rpc("stream.version", "a")]
        await room.write("a", "A", "B", "A", "C")

        last = [await room.rpc("stream.last", "a", *options) for options in ((), ({"type": "A"},), ({"type": ""},))]
        missing = await room.rpc("stream.last", "a", {"type": "Z"})
        version = await room.rpc("stream.version", "a")

    assert nothing == [None, None]
    assert [row[1:4] for row in last] == [["C", 3, 4], ["A", 2, 3], ["C", 3, 4]]
    assert (missing, version) == (None, 3)


async def test_version_that_memory_knows_is_answered_before_anything_is_awaited():
    async with a_room() as room:
        await room.write("a", "A", "B")
        request = Request("POST", "/rpc", "", {"authorization": f"Bearer {TOKEN}"}, b'["stream.version","a"]')

        answer = room.routes["/rpc"].handler(request)

    assert isinstance(answer, Response)
    assert answer.body == b"1\n"


async def test_calls_begun_together_are_written_in_their_order():
    async with a_room() as room:
        begun = [
            room.routes["/rpc"].handler(
                Request(
                    "POST",
                    "/rpc",
                    "",
                    {"authorization": f"Bearer {TOKEN}"},
                    json.dumps(["stream.write", "a", message(), {"expectedVersion": number - 1}]).encode(),
                )
            )
            for number in range(50)
        ]
        bodies = [await body_of(await answer) for answer in begun]  # type: ignore[misc]

    assert [json.loads(body)["position"] for body in bodies] == list(range(50))


async def test_of_many_writers_with_one_expected_version_exactly_one_wins():
    """MDB003_3B_T2"""
    outcomes: list[int] = []

    async with a_room() as room:

        async def compete() -> None:
            body = json.dumps(["stream.write", "a", message(), {"expectedVersion": -1}]).encode()
            outcomes.append((await room.ask("/rpc", body)).status)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(compete)
        stored = await room.rpc("stream.get", "a")

    assert sorted(outcomes) == [200] + [409] * 19
    assert len(stored) == 1


async def test_category_gives_messages_of_its_streams_with_their_names():
    async with a_room() as room:
        for stream in ("a-1", "b-1", "a-2", "a", "a:command-1"):
            await room.write(stream)
        rows = await room.rpc("category.get", "a")
        everything = await room.rpc("category.get", "")
        dashed = await room.rpc("category.get", "a-1")

    assert [(row[1], row[4]) for row in rows] == [("a-1", 1), ("a-2", 3), ("a", 4)]
    assert len(rows[0]) == 8
    assert [row[4] for row in everything] == [1, 2, 3, 4, 5]
    assert dashed == []


async def test_category_is_filtered_before_the_limit_counts():
    async with a_room() as room:
        for number in range(6):
            about = {"correlationStreamName": "flow-1"} if number % 2 else {"correlationStreamName": 5}
            await room.rpc("stream.write", f"a-{number}", message(metadata=about))

        async def places(**options: Any) -> list[int]:
            return [row[4] for row in await room.rpc("category.get", "a", options)]

        assert await places(correlation="flow") == [2, 4, 6]
        assert await places(correlation="flow", batchSize=2) == [2, 4]
        assert await places(correlation="flow", position=3) == [4, 6]
        assert await places(correlation="flow-1") == []
        assert await places(correlation="") == []
        assert await places(globalPosition=5, position=1) == [5, 6]
        assert await places(batchSize=0) == []
        assert await places(consumerGroup={}) == [1, 2, 3, 4, 5, 6]
        shares = [await places(consumerGroup={"member": n, "size": 3}, batchSize=-1) for n in range(3)]

    assert sorted(chain(*shares)) == [1, 2, 3, 4, 5, 6]


# Several at once


async def test_many_messages_are_written_as_one_unit_with_one_receipt_each():
    async with a_room() as room:
        receipts = await room.rpc(
            "stream.writeMany",
            [
                {"stream": "a-1", "type": "A", "data": {"n": 1}, "id": ID, "expectedVersion": -1},
                {"stream": "b-1", "type": "B", "data": {}, "metadata": None},
                {"stream": "a-1", "type": "C", "data": {}, "metadata": {"m": 1}, "expectedVersion": 0.5},
            ],
        )
        rows = await room.rpc("category.get", "")
        empty = await room.rpc("stream.writeMany", [])

    assert receipts == [{"position": p, "globalPosition": g} for p, g in ((0, 1), (0, 2), (1, 3))]
    assert [(row[1], row[2], row[6]) for row in rows] == [
        ("a-1", "A", None),
        ("b-1", "B", None),
        ("a-1", "C", {"m": 1}),
    ]
    assert rows[0][0] == ID
    assert empty == []


async def test_one_conflict_among_many_leaves_nothing_of_them():
    async with a_room() as room:
        status, error = await room.refusal(
            "stream.writeMany",
            [
                {"stream": "a-1", "type": "A", "data": {}},
                {"stream": "b-1", "type": "B", "data": {}, "expectedVersion": 3},
            ],
        )
        rows = await room.rpc("category.get", "")

    assert (status, error["code"]) == (409, "STREAM_VERSION_CONFLICT")
    assert rows == []


# Idempotency


async def test_repeated_key_gets_the_first_receipt_and_writes_nothing():
    call = ("stream.write", "a", message(), {"expectedVersion": -1})
    headers = {"idempotency-key": "k-1"}

    async with a_room() as room:
        first = await room.rpc(*call, headers=headers)
        again = await room.rpc(*call, headers=headers)
        unit = ("stream.writeMany", [{"stream": "b", **message()}])
        many = [await room.rpc(*unit, headers={"idempotency-key": "m"}) for _ in range(2)]
        rows = await room.rpc("category.get", "")

    assert first == again
    assert many[0] == many[1]
    assert len(rows) == 2


async def test_key_with_another_body_is_refused_with_422():
    async with a_room() as room:
        await room.rpc("stream.write", "a", message(), headers={"idempotency-key": "k-1"})
        status, error = await room.refusal("stream.write", "a", message("U"), headers={"idempotency-key": "k-1"})
        await room.identity.create_namespace("other", token=token_of("other"))
        elsewhere = await room.rpc(
            "stream.write", "a", message("U"), headers={"idempotency-key": "k-1"}, token=token_of("other")
        )

    assert (status, error["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert elsewhere["position"] == 0


@pytest.mark.parametrize("key", ["x" * 256, "a\x7f", "ü"])
async def test_key_that_cannot_be_is_refused(key: str):
    async with a_room() as room:
        status, error = await room.refusal("stream.write", "a", message(), headers={"idempotency-key": key})

    assert (status, error["code"]) == (400, "INVALID_REQUEST")


# Long answers


class Narrow(MemoryEngine):
    """Gives few messages at a time, as if they were large."""

    asked: list[Query]

    def page(self, query: Query) -> Page:
        self.asked = [*getattr(self, "asked", []), query]
        limit = 3 if query.limit is None else min(3, query.limit)
        events = self.events(query)
        page = super().page(Query(**{name: getattr(query, name) for name in query.__slots__} | {"limit": limit}))
        return Page(page.text, page.count, page.position, page.global_position, cut=len(events) > page.count)


async def fill(room: Room, count: int) -> None:
    owner = room.identity.authenticate(Request("GET", "/", "", {"authorization": f"Bearer {TOKEN}"}))
    drafts = [Draft(f"a-{number % 2}", "T", f'{{"n":{number}}}') for number in range(count)]
    await room.door.write(owner, drafts)


async def listed(room: Room, *call: Any) -> tuple[Any, Peer]:
    answer = await room.ask("/rpc", json.dumps(call).encode())
    assert isinstance(answer, Stream)
    assert answer.content_type == "application/json"
    peer = Peer()
    await answer.run(peer)
    return json.loads(peer.body), peer


@pytest.mark.parametrize("count", [2000, 2500])
async def test_everything_is_sent_in_pieces(count: int):
    async with a_room() as room:
        await fill(room, count)
        category, peer = await listed(room, "category.get", "a", {"batchSize": -1})
        stream = await body_of(await room.ask("/rpc", b'["stream.get", "a-0", {"batchSize": -1, "globalPosition": 5}]'))

    assert [row[4] for row in category] == list(range(1, count + 1))
    assert max(map(len, peer.got)) < 0.6 * len(peer.body)
    assert peer.body.endswith(b"]\n")
    assert [row[3] for row in json.loads(stream)] == list(range(5, count + 1, 2))


async def test_everything_that_fits_one_piece_is_answered_at_once():
    async with a_room() as room:
        await fill(room, 999)
        answer = await room.ask("/rpc", b'["category.get", "a", {"batchSize": -1}]')

    assert isinstance(answer, Response)
    assert len(json.loads(answer.body)) == 999


async def test_everything_means_what_there_was_at_the_beginning():
    async with a_room() as room:
        await fill(room, 1000)
        answer = await room.ask("/rpc", b'["category.get", "a", {"batchSize": -1}]')
        await fill(room, 500)
        rows = json.loads(await body_of(answer))

    assert len(rows) == 1000


@pytest.mark.parametrize(("limit", "expected"), [(7, 7), (-1, 10), (1000, 10)])
async def test_large_messages_are_sent_in_pieces_and_never_more_than_asked_for(limit: int, expected: int):
    async with a_room(Narrow()) as room:
        await fill(room, 10)
        rows, peer = await listed(room, "category.get", "a", {"batchSize": limit})

    assert [row[4] for row in rows] == list(range(1, expected + 1))
    assert len(peer.got) > 3


# What plugins hand over


@pytest.mark.parametrize("stream", ["", "a\0b", "x" * 1001, "half\ud800"])
async def test_door_refuses_names_that_cannot_be_whoever_brings_them(stream: str):
    async with a_room() as room:
        owner = room.identity.authenticate(Request("GET", "/", "", {"authorization": f"Bearer {TOKEN}"}))
        with pytest.raises(Rejected):
            room.door.write(owner, [Draft(stream, "T", "{}")])


async def test_door_refuses_a_nul_in_a_text_whoever_brings_it():
    async with a_room() as room:
        owner = room.identity.authenticate(Request("GET", "/", "", {"authorization": f"Bearer {TOKEN}"}))
        for draft in (Draft("a", "T", r'{"x":"\u0000"}'), Draft("a", "T", "{}", r'{"\\\u0000":1}')):
            with pytest.raises(Rejected):
                room.door.write(owner, [draft])
        (event,) = await room.door.write(owner, [Draft("a", "T", r'{"x":"\\u0000"}')])

    assert event.data == r'{"x":"\\u0000"}'


async def test_names_of_any_script_are_taken():
    names = ["ünï çødé-1", "名前-一", "🧪-🧫", "a\u00a0b", "family-👨‍👩‍👧", "x" * 1000]

    async with a_room() as room:
        for name in names:
            await room.write(name)
        streams = await room.rpc("ns.streams")

    assert {row["stream"] for row in streams} == set(names)


def test_nothing_is_lost_when_nobody_awaits_a_begun_write():
    async def main() -> list[Any]:
        async with a_room() as room:
            request = Request(
                "POST",
                "/rpc",
                "",
                {"authorization": f"Bearer {TOKEN}"},
                json.dumps(["stream.write", "a", message()]).encode(),
            )
            begun = room.routes["/rpc"].handler(request)
            assert inspect.isawaitable(begun)
            await room.write("a")
            return await room.rpc("stream.get", "a")

    assert len(trio.run(main)) == 2


async def test_calls_are_counted_by_method():
    async with a_room() as room:
        await room.write("a", "A", "B")
        await room.refusal("stream.fly")

        written = room.registry.get_sample_value("appliance_rpc_calls_total", {"method": "stream.write"})
        refused = room.registry.get_sample_value("appliance_rpc_refused_total")

    assert (written, refused) == (2, 1)
