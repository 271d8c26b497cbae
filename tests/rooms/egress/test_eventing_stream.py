"""GET /api/v1/events over a real bus: blocks, names, filters, going on, merging, and what is said in trouble."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from appliance.egress.filters import BadFilter
from appliance.errors import Forbidden, TooManyClients, Unavailable
from appliance.model.http import Request, Response, Stream
from tests.rooms.egress.eventing_room import ADMIN, BOUND, READER, STRANGER, EventSource, Room, a_room


async def quiet() -> None:
    await trio.testing.wait_all_tasks_blocked()


def ids(client: EventSource) -> list[str]:
    """Of events; the confirmation has one too."""
    return [block.id for block in client.blocks() if block.own_id and block.event != "connected"]


def names(client: EventSource) -> list[str]:
    return [block.event for block in client.blocks()]


async def answer(room: Room, query: str = "", **headers: str) -> Stream:
    found = await room.stream.handle(Request("GET", "/api/v1/events", query, headers, principal=READER))
    assert isinstance(found, Stream)
    return found


async def test_the_head_says_exactly_event_stream():
    """test_sse_stream_connection (#43)"""
    async with a_room() as room:
        stream = await answer(room)

        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        assert dict(stream.headers) == {"cache-control": "no-cache", "x-accel-buffering": "no"}


async def test_the_first_block_confirms_and_says_when_to_come_back():
    """UC-003"""
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "n1"})

        client = await room.source()

        (block,) = client.blocks()
        assert (block.event, block.id, block.retry) == ("connected", "1", 3000)
        assert block.json["seq"] == 1


async def test_who_is_cut_off_before_its_first_event_returns_to_where_it_was():
    async with a_room() as room:
        for n in range(3):
            room.write("NoteUpdated", {"note_id": str(n)})
        live, resuming = await room.source(), await room.source("since=1")
        places = [client.blocks()[0].id for client in (live, resuming)]
        room.write("NoteUpdated", {"note_id": "missed"})

        again = [await room.source(headers={"last-event-id": place}) for place in places]
        await quiet()

        assert places == ["3", "1"]
        assert [ids(client) for client in again] == [["4"], ["2", "3", "4"]]


async def test_an_event_is_one_block_of_event_data_and_id():
    """test_sse_event_format (#43)"""
    async with a_room() as room:
        client = await room.source()

        event = room.write("NoteUpdated", {"note_id": "n1", "title": "two\nlines\u2028three"}, memory="work")

        block = (await client.until(2))[1]
        assert (block.event, block.id) == ("NoteUpdated", "1")
        assert (block.json["type"], block.json["note_id"], block.json["seq"]) == ("NoteUpdated", "n1", 1)
        assert block.json["event_id"] == event.id
        assert block.json["memory"] == "work"
        assert block.json["payload"]["title"] == "two\nlines\u2028three"
        assert client.body.endswith(b"\nid: 1\n\n")
        assert "\u2028".encode() not in client.body


async def test_the_dotted_dialect_gives_the_plain_envelope():
    async with a_room() as room:
        client = await room.source("dialect=fortemi")

        room.write("NoteUpdated", {"note_id": "n1"})

        block = (await client.until(2))[1]
        assert block.event == "note.updated"
        assert "note_id" not in block.json
        assert block.json["payload"] == {"type": "NoteUpdated", "note_id": "n1"}
        assert (block.json["event_type"], block.json["entity_type"], block.json["entity_id"]) == (
            "note.updated",
            "note",
            "n1",
        )


@pytest.mark.parametrize(
    ("default", "query", "name"),
    [
        ("pascal", "", "NoteUpdated"),
        ("dotted", "", "note.updated"),
        ("dotted", "events=note.updated", "NoteUpdated"),
        ("pascal", "types=NoteUpdated", "note.updated"),
        ("pascal", "types=note&dialect=pascal", "NoteUpdated"),
        ("pascal", "events=note&types=job", "NoteUpdated"),
        ("pascal", "dialect=dotted", "note.updated"),
    ],
)
async def test_how_events_are_named(default: str, query: str, name: str):
    async with a_room(names=default) as room:
        client = await room.source(query)

        room.write("NoteUpdated", {"note_id": "n1"})

        await client.until(2)
        assert names(client) == ["connected", name]


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("events=NoteUpdated", ["NoteUpdated"]),
        ("events=NoteUpdated,OrderPlaced", ["NoteUpdated", "OrderPlaced"]),
        ("events=note", ["NoteCreated", "NoteUpdated"]),
        ("events=%20note.updated%20,%20", ["NoteUpdated"]),
        ("events=NOTE.UPDATED", ["NoteUpdated"]),
        ("events=note.upd", []),
        ("events=order,notebook", ["NotebookOpened", "OrderPlaced"]),
        ("entity_id=n1", ["NoteUpdated"]),
        ("entity_id=n1&events=NoteCreated", []),
    ],
)
async def test_only_what_is_asked_for_comes_live_and_stored(query: str, seen: list[str]):
    """test_sse_event_type_filtering (#43)"""
    async with a_room() as room:
        live = await room.source(query)
        room.write("NoteCreated", {"note_id": "n2"})
        room.write("NoteUpdated", {"note_id": "n1"})
        room.write("NotebookOpened", stream="notebook-1")
        room.write("OrderPlaced", stream="order-1")
        replayed = await room.source(f"{query}&since=0")
        await quiet()

        assert names(live) == names(replayed) == ["connected", *seen]


@pytest.mark.parametrize(
    "query", ["types=", "events=", "types=,", "entity_id=", "memory=", "dialect=", "dialect=cobol", "events=a&types="]
)
async def test_an_empty_filter_is_400(query: str):
    async with a_room() as room:
        with pytest.raises(BadFilter) as refused:
            await answer(room, query)

        assert refused.value.status == 400


async def test_several_clients_see_the_same():
    """test_sse_multiple_clients (#43)"""
    async with a_room() as room:
        clients = [await room.source() for _ in range(3)]

        for n in range(5):
            room.write("NoteUpdated", {"note_id": str(n)})
        for client in clients:
            await client.until(6)

        assert [ids(client) for client in clients] == [["1", "2", "3", "4", "5"]] * 3


async def test_a_comment_every_30_seconds(autojump_clock: trio.testing.MockClock):
    """test_sse_keepalive (#43)"""
    async with a_room() as room:
        client = await room.source()
        began = len(client.body)

        await trio.sleep(29.9)
        assert len(client.body) == began
        await trio.sleep(60.2)

        assert client.body[began:] == b": keepalive\n" * 3
        assert len(client.blocks()) == 1


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {"last-event-id": "2"}),
        ("last_event_id=2", {}),
        ("lastEventId=2", {}),
        ("since=2", {}),
        ("since=4", {"last-event-id": "2"}),
    ],
)
async def test_what_was_missed_comes_once_and_in_order(query: str, headers: dict[str, str]):
    """test_sse_reconnect_last_event_id (#43)"""
    async with a_room() as room:
        for n in range(5):
            room.write("NoteUpdated", {"note_id": str(n)})

        client = await room.source(query, headers=headers)
        room.write("NoteUpdated", {"note_id": "new"})
        await client.until(5)
        await quiet()

        assert ids(client) == ["3", "4", "5", "6"]


async def test_an_event_id_is_a_place_too():
    async with a_room() as room:
        events = [room.write("NoteUpdated", {"note_id": str(n)}) for n in range(3)]

        client = await room.source(headers={"last-event-id": events[0].id.upper()})
        await quiet()

        assert ids(client) == ["2", "3"]
        assert room.stream.counts()["replays_success"] == 1


@pytest.mark.parametrize("last", ["99", "00000000-0000-7000-8000-000000000000", "latest", "-1", "٣", "9" * 40])
async def test_an_unknown_place_asks_for_a_resync_and_goes_on_live(last: str):
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "old"})

        client = await room.source(headers={"last-event-id": last})
        room.write("NoteUpdated", {"note_id": "new"})
        await client.until(3)

        assert names(client) == ["connected", "resync_required", "NoteUpdated"]
        resync = client.blocks()[1]
        assert not resync.own_id
        assert resync.json["last_known_id"] == last
        assert room.stream.counts()["replays_expired"] == 1


async def test_a_place_that_retention_has_passed_asks_for_a_resync_and_goes_on_at_the_oldest():
    async with a_room() as room:
        for n in range(6):
            room.write("NoteUpdated", {"note_id": str(n)})
        assert room.engine.retain(1, "note", 1 << 60, 3) == 3

        client = await room.source(headers={"last-event-id": "1"})
        at_the_edge = await room.source(headers={"last-event-id": "3"})
        await quiet()

        assert names(client) == ["connected", "resync_required", *["NoteUpdated"] * 3]
        resync = client.blocks()[1]
        assert not resync.own_id
        assert (resync.json["last_known_id"], resync.json["oldest"]) == ("1", 4)
        assert ids(client) == ids(at_the_edge) == ["4", "5", "6"]
        assert names(at_the_edge)[1] == "NoteUpdated"
        assert room.stream.counts()["replays_expired"] == 1


async def test_one_that_came_too_late_is_told_in_the_stream():
    async with a_room(limit=1) as room:
        first, second = await answer(room), await answer(room)  # both asked while there was room
        clients = [EventSource(), EventSource()]
        room.nursery.start_soon(first.run, clients[0])
        await clients[0].until(1)

        await second.run(clients[1])

        (closing,) = clients[1].blocks()
        assert (closing.event, closing.retry) == ("closing", 5000)
        assert "live connections" in closing.json["reason"]


async def test_a_log_that_cannot_be_read_ends_the_stream_in_words():
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "n1"})
        room.trouble = Unavailable("the disk does not answer", retry_after=7)
        client = EventSource()

        await (await answer(room, "since=0")).run(client)

        assert [(block.event, block.retry) for block in client.blocks()] == [("connected", 3000), ("closing", 7000)]
        assert (len(room.manager), room.bus.members, room.stream.counts()["active_connections"]) == (0, 0, 0)


async def test_ephemeral_events_have_no_id_and_are_not_replayed():
    async with a_room() as room:
        client = await room.source()
        room.write("NoteUpdated", {"note_id": "n1"})
        room.announce("JobProgress", {"job_id": "j1", "progress": 5})
        await client.until(3)
        late = await room.source("since=0")
        await quiet()

        progress = client.blocks()[2]
        assert (progress.event, progress.own_id, progress.id) == ("JobProgress", False, "1")
        assert (progress.json["ephemeral"], progress.json["seq"]) == (True, 1)
        assert names(late) == ["connected", "NoteUpdated"]


async def test_progress_is_merged_and_its_last_value_never_lost(autojump_clock: trio.testing.MockClock):
    async with a_room(coalesce=0.5) as room:
        client = await room.source()
        for value in (1, 2, 3):
            room.announce("JobProgress", {"job_id": "j1", "progress": value})
        room.announce("JobProgress", {"job_id": "j2", "progress": 50})
        await quiet()
        assert [block.json["progress"] for block in client.blocks()[1:]] == [1, 50]

        await trio.sleep(0.6)
        assert [block.json["progress"] for block in client.blocks()[1:]] == [1, 50, 3]
        room.announce("JobProgress", {"job_id": "j1", "progress": 99})
        room.announce("JobProgress", {"job_id": "j1", "progress": 100})
        room.write("JobCompleted", {"job_id": "j1", "job_type": "Embedding"}, stream="job-j1")
        await quiet()

        last = client.blocks()[-2:]
        assert (last[0].json["progress"], last[1].event) == (100, "JobCompleted")
        assert room.stream.counts()["events_coalesced"] == 2


async def test_a_window_of_nothing_merges_nothing():
    async with a_room(coalesce=0.0) as room:
        client = await room.source()
        for value in range(5):
            room.announce("JobProgress", {"job_id": "j1", "progress": value})
        await quiet()

        assert [block.json["progress"] for block in client.blocks()[1:]] == [0, 1, 2, 3, 4]


async def test_one_that_lags_is_told_without_an_id_and_gets_the_stored_rest():
    async with a_room(blocks=16) as room:
        client = await room.source()
        room.write("NoteUpdated", {"note_id": "first"})
        await client.until(2)
        client.stuck = True
        for n in range(100):
            room.write("NoteUpdated", {"note_id": str(n)})
            await trio.lowlevel.checkpoint()
        await quiet()

        client.free()
        await client.until(103)
        await quiet()

        lagged = next(block for block in client.blocks() if block.event == "events.lagged")
        assert not lagged.own_id
        assert 0 < lagged.json["dropped_count"] <= 100
        assert ids(client) == [str(n) for n in range(1, 102)]
        assert room.stream.counts()["events_lagged"] == lagged.json["dropped_count"]


async def test_memories_and_namespaces_are_not_crossed():
    async with a_room() as room:
        clients = {
            "admin": await room.source(),
            "reader": await room.source(principal=READER),
            "bound": await room.source(principal=BOUND),
            "header": await room.source(principal=READER, headers={"x-fortemi-memory": "home"}),
            "query wins": await room.source("memory=work", READER, {"x-fortemi-memory": "home"}),
            "stranger": await room.source("since=0", STRANGER),
        }

        room.write("NoteUpdated", {"note_id": "plain"})
        room.write("NoteUpdated", {"note_id": "work"}, memory="work")
        room.write("NoteUpdated", {"note_id": "home"}, memory="home")
        room.write("NoteUpdated", {"note_id": "other"}, space=2)
        await quiet()

        seen = {name: [block.json["note_id"] for block in client.blocks()[1:]] for name, client in clients.items()}
        assert seen == {
            "admin": ["plain", "work", "home"],
            "reader": ["plain"],
            "bound": ["work"],
            "header": ["home"],
            "query wins": ["work"],
            "stranger": ["other"],
        }


async def test_a_foreign_memory_is_forbidden():
    async with a_room() as room:
        request = Request("GET", "/api/v1/events", "memory=home", principal=BOUND)

        with pytest.raises(Forbidden):
            await room.stream.handle(request)


async def test_one_too_many_is_refused():
    async with a_room(limit=2) as room:
        await room.source()
        await room.source()

        with pytest.raises(TooManyClients):
            await answer(room)


async def test_the_nine_numbers_are_exact():
    async with a_room() as room:
        stays, goes = await room.source(), await room.source()
        for n in range(4):
            room.write("NoteUpdated", {"note_id": str(n)})
        await quiet()
        goes.kill()
        await quiet()

        route = room.stream.routes()[1]
        assert route.path == "/api/v1/health/streaming"
        assert (await stays.until(5))[-1].id == "4"
        assert room.stream.counts() == {
            "connections_total": 2,
            "disconnections_total": 1,
            "active_connections": 1,
            "events_emitted": 4,
            "events_delivered": 8,
            "events_coalesced": 0,
            "events_lagged": 0,
            "replays_success": 0,
            "replays_expired": 0,
        }
        reply = route.handler(Request("GET", route.path))
        assert isinstance(reply, Response)
        assert b'"events_delivered":8' in reply.body


async def test_the_last_block_says_when_to_come_back():
    async with a_room() as room:
        stream = await answer(room)
        assert stream.farewell is not None

        last = stream.farewell(2417)

        assert last == (
            b'event: closing\ndata: {"type":"Closing","reason":"Server restarting","retry_ms":2417}\nretry: 2417\n\n'
        )


async def test_leaving_empties_the_roster_and_the_bus():
    async with a_room() as room:
        client = await room.source(principal=ADMIN)
        (row,) = room.manager.rows(ADMIN)
        assert (row["transport"], row["dialect"], row["topics"]) == ("sse", "events", ["everything"])

        client.kill()
        await quiet()

        assert (len(room.manager), room.bus.members) == (0, 0)
