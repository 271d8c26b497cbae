"""/api/v1/ws over a real bus: what a client is told, what it may ask for, and what it survives."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from appliance.egress.filters import BadFilter
from appliance.errors import Forbidden, TooManyClients
from appliance.model.event import Event
from appliance.model.http import Request
from tests.rooms.egress.eventing_room import BOUND, READER, STRANGER, WebSocket, a_room


async def quiet() -> None:
    await trio.testing.wait_all_tasks_blocked()


def kinds(client: WebSocket) -> list[object]:
    return [message["type"] for message in client.messages()]


async def test_the_first_message_is_the_state_of_the_queue():
    """UC-001, step 3 (#39)"""
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "n1"})
        room.queue = {"total_jobs": 9, "running": 2, "pending": 7}

        client = await room.socket()

        (first,) = client.messages()
        assert {name: first[name] for name in ("type", "total_jobs", "running", "pending", "seq", "ephemeral")} == {
            "type": "QueueStatus",
            "total_jobs": 9,
            "running": 2,
            "pending": 7,
            "seq": 1,
            "ephemeral": True,
        }
        assert str(first["timestamp"]).endswith("Z")
        assert first["event_id"]


async def test_an_event_arrives_as_its_bare_payload():
    """test_ws_json_event_delivery (#39)"""
    async with a_room() as room:
        client = await room.socket()

        event = room.write("NoteUpdated", {"note_id": "n1", "title": "Hi", "tags": ["a"]})

        message = (await client.texts(2))[1]
        assert {name: message[name] for name in ("type", "note_id", "title", "tags", "seq", "event_id")} == {
            "type": "NoteUpdated",
            "note_id": "n1",
            "title": "Hi",
            "tags": ["a"],
            "seq": 1,
            "event_id": event.id,
        }
        assert str(message["timestamp"]).endswith("Z")
        assert "payload" not in message


@pytest.mark.parametrize("word", ["refresh", {"type": "refresh"}])
async def test_a_refresh_is_answered_to_that_client_only(word: object):
    """test_ws_refresh_command (#39)"""
    async with a_room() as room:
        asking, other = await room.socket(), await room.socket()
        room.queue = {"total_jobs": 1, "running": 1, "pending": 0}

        asking.says(word)

        answer = (await asking.texts(2))[1]
        assert (answer["type"], answer["total_jobs"]) == ("QueueStatus", 1)
        await quiet()
        assert kinds(other) == ["QueueStatus"]


@pytest.mark.parametrize(
    "junk",
    ["{", "", "null", "[]", '"refresh"', "REFRESH", '{"type":"dance"}', '{"type":7}', "[" * 60_000, '{"a":' * 10_000],
)
async def test_what_nobody_understands_is_counted_and_survived(junk: str):
    """test_ws_invalid_message_ignored (#39)"""
    async with a_room() as room:
        client = await room.socket()

        client.says(junk)
        room.write("NoteUpdated", {"note_id": "n1"})

        await client.texts(2)
        await quiet()
        assert kinds(client) == ["QueueStatus", "NoteUpdated"]
        assert room.eventing.ignored == 1


async def test_a_client_that_subscribes_is_told_what_it_got_wrong():
    async with a_room() as room:
        client = await room.socket()
        client.says({"type": "subscribe", "typos": ["note"]})
        client.says("{")

        messages = await client.texts(3)

        assert [message["type"] for message in messages] == ["QueueStatus", "Error", "Error"]
        assert "typos" in str(messages[1]["message"])
        assert room.eventing.ignored == 2


async def test_a_refused_subscription_leaves_the_one_there_was():
    async with a_room() as room:
        client = await room.socket()
        client.says({"type": "subscribe", "types": ["note"]})
        client.says({"type": "subscribe", "types": []})
        await client.texts(3)

        room.write("OrderPlaced", stream="order-1")
        room.write("NoteUpdated", {"note_id": "n1"})

        await client.texts(4)
        assert kinds(client) == ["QueueStatus", "Subscribed", "Error", "NoteUpdated"]


async def test_subscribe_replaces_the_filter():
    async with a_room() as room:
        client = await room.socket("types=order")
        room.write("NoteUpdated", {"note_id": "n1"})
        room.write("OrderPlaced", stream="order-1")
        await client.texts(2)

        client.says({"type": "subscribe", "types": ["NoteUpdated", "job.completed"]})
        reply = (await client.texts(3))[2]
        room.write("OrderPlaced", stream="order-1")
        room.write("NoteDeleted", {"note_id": "n1"})
        room.write("NoteUpdated", {"note_id": "n2"})

        await client.texts(4)
        assert kinds(client) == ["QueueStatus", "OrderPlaced", "Subscribed", "NoteUpdated"]
        assert (reply["types"], reply["seq"]) == (["job.completed", "note.updated"], 2)


@pytest.mark.parametrize("seed", range(8))
async def test_a_change_of_filter_loses_nothing_and_doubles_nothing(seed: int):
    """Every event up to the `seq` of the reply goes by the old filter, every one behind it by the new."""
    chance = random.Random(seed)
    kinds = {"NoteUpdated": "note", "OrderPlaced": "order", "JobCompleted": "job"}
    async with a_room(blocks=16) as room:
        client = await room.socket()
        written: list[str] = []
        for _ in range(300):
            type = chance.choice(list(kinds))
            written.append(kinds[type])
            room.write(type, {"note_id": "n", "job_id": "j", "job_type": "Embedding"}, stream=f"{kinds[type]}-1")
            match chance.randrange(8):
                case 0:
                    client.says({"type": "subscribe", "types": chance.sample(list(kinds.values()), 2)})
                case 1:
                    client.says({"type": "unsubscribe"})
                case 2:
                    await quiet()
                case 3:
                    client.stuck = True
                case 4:
                    client.free()
        client.free()
        await quiet()

        expected: list[tuple[str, int]] = []
        place, wanted = 0, set(kinds.values())
        changes = [m for m in client.messages() if m["type"] in ("Subscribed", "Unsubscribed")]
        for change in [*changes, {"seq": 300}]:
            reached = int(str(change["seq"]))
            expected += [(written[n], n + 1) for n in range(place, reached) if written[n] in wanted]
            place, wanted = reached, set(change.get("types", []))
        seen = [(kinds[str(m["type"])], m["seq"]) for m in client.messages() if m["type"] in kinds]
        assert len(changes) > 20
        assert seen == expected


@pytest.mark.parametrize("spelling", ["seq", "number", "event_id"])
async def test_since_replays_what_came_after_the_last_event_seen(spelling: str):
    async with a_room() as room:
        events = [room.write("NoteUpdated", {"note_id": str(n)}) for n in range(5)]
        client = await room.socket()
        since = {"seq": "2", "number": 2, "event_id": events[1].id}[spelling]

        client.says({"type": "subscribe", "types": ["note"], "since": since})
        await client.texts(5)
        room.write("NoteUpdated", {"note_id": "new"})

        messages = await client.texts(6)
        await quiet()
        assert kinds(client)[:2] == ["QueueStatus", "Subscribed"]
        assert [message["seq"] for message in messages[2:]] == [3, 4, 5, 6]
        assert len(client.messages()) == 6


async def test_since_may_stand_in_the_address():
    async with a_room() as room:
        for n in range(3):
            room.write("NoteUpdated", {"note_id": str(n)})

        client = await room.socket("since=1&events=NoteUpdated")

        assert [message["seq"] for message in await client.texts(3)] == [3, 2, 3]


@pytest.mark.parametrize("since", ["99", "01900000-0000-7000-8000-000000000000", "yesterday"])
async def test_an_unknown_place_is_answered_with_resync(since: str):
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "n1"})
        client = await room.socket()

        client.says({"type": "subscribe", "since": since})
        await client.texts(3)
        room.write("NoteUpdated", {"note_id": "n2"})

        messages = await client.texts(4)
        assert kinds(client) == ["QueueStatus", "Subscribed", "ResyncRequired", "NoteUpdated"]
        assert messages[2]["last_known_id"] == since
        assert messages[2]["reason"]


async def test_a_place_that_retention_has_passed_is_answered_with_the_oldest():
    async with a_room() as room:
        for n in range(6):
            room.write("NoteUpdated", {"note_id": str(n)})
        assert room.engine.retain(1, "note", 1 << 60, 3) == 3

        client = await room.socket("since=1")

        messages = await client.texts(5)
        assert (messages[1]["type"], messages[1]["last_known_id"], messages[1]["oldest"]) == ("ResyncRequired", "1", 4)
        assert [message["seq"] for message in messages[2:]] == [4, 5, 6]


async def test_after_unsubscribing_only_answers_come():
    async with a_room() as room:
        client = await room.socket()
        client.says({"type": "unsubscribe"})
        await client.texts(2)
        room.write("NoteUpdated", {"note_id": "n1"})
        client.says("refresh")
        await client.texts(3)
        client.says({"type": "subscribe"})
        await client.texts(4)
        room.write("NoteUpdated", {"note_id": "n2"})

        await client.texts(5)
        assert kinds(client) == ["QueueStatus", "Unsubscribed", "QueueStatus", "Subscribed", "NoteUpdated"]


async def test_one_thing_only():
    async with a_room() as room:
        client = await room.socket()
        client.says({"type": "subscribe", "entity_id": "n2"})
        await client.texts(2)

        room.write("NoteUpdated", {"note_id": "n1"})
        room.write("NoteUpdated", {"note_id": "n2"})

        assert (await client.texts(3))[2]["note_id"] == "n2"


async def test_memories_and_namespaces_are_not_crossed():
    """Cross-tenant leakage (security list)"""
    async with a_room() as room:
        clients = {
            "admin": await room.socket(),
            "reader": await room.socket(principal=READER),
            "bound": await room.socket(principal=BOUND),
            "named": await room.socket("memory=home", READER),
            "stranger": await room.socket(principal=STRANGER),
        }

        room.write("NoteUpdated", {"note_id": "plain"})
        room.write("NoteUpdated", {"note_id": "work"}, memory="work")
        room.write("NoteUpdated", {"note_id": "home"}, memory="home")
        room.write("NoteUpdated", {"note_id": "other"}, space=2)
        await quiet()

        seen = {name: [message.get("note_id") for message in client.messages()[1:]] for name, client in clients.items()}
        assert seen == {
            "admin": ["plain", "work", "home"],
            "reader": ["plain"],
            "bound": ["work"],
            "named": ["home"],
            "stranger": ["other"],
        }


async def test_a_replay_crosses_no_memory_either():
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "secret"}, memory="home")
        room.write("NoteUpdated", {"note_id": "mine"}, memory="work")

        client = await room.socket("since=0", BOUND)
        await quiet()

        assert [message.get("note_id") for message in client.messages()[1:]] == ["mine"]


async def test_a_foreign_memory_is_refused_before_the_upgrade_and_later():
    async with a_room() as room:
        request = Request("GET", "/api/v1/ws", "memory=home", principal=BOUND)
        with pytest.raises(Forbidden):
            room.eventing.admit(request)
        client = await room.socket(principal=BOUND)

        client.says({"type": "subscribe", "memory": "home"})

        assert (await client.texts(2))[1]["code"] == "forbidden"


@pytest.mark.parametrize("query", ["types=", "events=,", "memory=", "entity_id=", "types=" + "x" * 300])
async def test_an_empty_filter_is_refused_before_the_upgrade(query: str):
    async with a_room() as room:
        with pytest.raises(BadFilter) as refused:
            room.eventing.admit(Request("GET", "/api/v1/ws", query, principal=READER))

        assert refused.value.status == 400


async def test_the_status_is_asked_for_the_callers_own_memories():
    async with a_room() as room:
        await room.socket(principal=BOUND)
        await room.socket()

        assert room.asked_status == [(1, ("work",)), (1, None)]


async def test_one_too_many_is_refused_with_503():
    """test_ws_connection_limit_enforced (#39), test_connection_limit_dos (security)"""
    async with a_room(limit=1000) as room:
        clients = [await room.socket() for _ in range(1000)]
        with pytest.raises(TooManyClients) as refused:
            room.eventing.admit(WebSocket().request)
        assert (refused.value.status, refused.value.retry_after) == (503, 5)

        clients[0].leaves()
        await quiet()

        room.eventing.admit(WebSocket().request)


async def test_leaving_and_breaking_empty_the_roster():
    """test_connection_cleanup_on_disconnect (#42), test_ws_close_graceful (#39)"""
    async with a_room() as room:
        polite, abrupt = await room.socket(), await room.socket("types=note")
        polite.leaves()
        abrupt.kill()
        room.write("NoteUpdated", {"note_id": "n1"})
        await quiet()

        assert (len(room.manager), room.bus.members) == (0, 0)


async def test_heartbeats_and_the_dead(autojump_clock: trio.testing.MockClock):
    """test_heartbeat_ping_pong_30s, test_dead_connection_cleanup_90s (#42)"""
    async with a_room() as room:
        begun = trio.current_time()
        silent, lively = await room.socket(), await room.socket()

        await trio.sleep_until(begun + 35)
        pings = [payload for opcode, payload in silent.frames() if opcode == 9]
        assert len(pings) == 1
        assert int(pings[0]) == pytest.approx((begun + 30) * 1000, abs=50)
        while trio.current_time() < begun + 89:
            lively.heard = trio.current_time()
            await trio.sleep(9)
        await trio.sleep_until(begun + 94)

        assert silent.ended is not None
        assert silent.ended[0] == 4003
        assert lively.ended is None
        assert len(room.manager) == 1


async def test_many_clients_cost_one_encoding(monkeypatch: pytest.MonkeyPatch):
    async with a_room() as room:
        encoded: list[Event] = []
        frame = room.eventing.voice.encode

        def count(event: Event) -> bytes:
            encoded.append(event)
            return frame(event)

        monkeypatch.setattr(room.eventing.voice, "encode", count)
        clients = [await room.socket("types=note", READER) for _ in range(300)]

        room.write("NoteUpdated", {"note_id": "n1"})
        await quiet()

        assert len(encoded) == 1
        assert {len(client.messages()) for client in clients} == {2}


async def test_one_that_lags_is_told_and_gets_the_stored_rest():
    """test_eventbus_lagged_receiver_handling (#38)"""
    async with a_room(blocks=16) as room:
        client = await room.socket()
        room.write("NoteUpdated", {"note_id": "first"})
        await client.texts(2)
        client.stuck = True
        for n in range(100):
            room.write("NoteUpdated", {"note_id": str(n)})
            await trio.lowlevel.checkpoint()
        await quiet()

        client.free()

        await client.texts(104)
        await quiet()
        messages = client.messages()
        lagged = next(message for message in messages if message["type"] == "EventsLagged")
        after = messages[messages.index(lagged) + 1]
        assert 0 < int(str(lagged["dropped_count"])) <= 100
        assert after["type"] == "QueueStatus"
        assert [m["seq"] for m in messages if m["type"] == "NoteUpdated"] == list(range(1, 102))


async def test_the_roster_shows_what_a_client_follows():
    async with a_room() as room:
        client = await room.socket("types=note&memory=home", READER)
        (row,) = room.manager.rows(STRANGER) or room.manager.rows(READER)
        assert (row["dialect"], row["topics"], row["lag"]) == ("eventing", ["note", "memory home"], 0)

        client.says({"type": "subscribe", "entity_id": "n1"})
        await client.texts(2)

        (row,) = room.manager.rows(READER)
        assert (row["topics"], row["received"]) == (["everything", "entity n1"], 1)
