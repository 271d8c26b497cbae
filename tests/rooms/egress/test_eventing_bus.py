"""What the bus owes every client, seen through both endpoints."""

from __future__ import annotations

import trio
import trio.testing

from tests.rooms.egress.eventing_room import a_room


async def quiet() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_a_client_gets_the_very_event():
    """test_eventbus_emit_single_event (#38)"""
    async with a_room() as room:
        client, source = await room.socket(), await room.source()

        event = room.write("NoteUpdated", {"note_id": "n1", "tags": ["a", "b"], "has_links": False})

        message = (await client.texts(2))[1]
        block = (await source.until(2))[1]
        assert {name: message[name] for name in ("note_id", "tags", "has_links")} == {
            "note_id": "n1",
            "tags": ["a", "b"],
            "has_links": False,
        }
        assert message["event_id"] == block.json["event_id"] == event.id


async def test_all_clients_get_the_same():
    """test_eventbus_multiple_subscribers (#38)"""
    async with a_room() as room:
        clients = [await room.socket() for _ in range(3)]
        sources = [await room.source() for _ in range(3)]

        for n in range(10):
            room.write("NoteUpdated", {"note_id": str(n)})
        await quiet()

        assert {str(client.messages()[1:]) for client in clients} == {str(clients[0].messages()[1:])}
        assert len(clients[0].messages()) == 11
        assert {source.body for source in sources} == {sources[0].body}
        assert len(sources[0].blocks()) == 11


async def test_what_is_kept_for_the_slow_is_bounded():
    """test_eventbus_channel_capacity (#38)"""
    async with a_room(blocks=16) as room:
        slow = await room.socket()
        slow.stuck = True
        for n in range(1000):
            room.write("NoteUpdated", {"note_id": f"{n:04}"})
            await quiet()

        largest = max(len(payload) for _, payload in slow.frames()) + 200

        assert room.bus.held <= 16 * largest
        slow.free()
        await slow.texts(1003)  # with the notice of its lag, and the state of the queue
        seqs = [message["seq"] for message in slow.messages() if message["type"] == "NoteUpdated"]
        assert seqs == list(range(1, 1001))


async def test_events_without_a_listener_are_fine():
    """test_eventbus_no_subscribers (#38)"""
    async with a_room() as room:
        room.write("NoteUpdated", {"note_id": "n1"})
        room.announce("JobProgress", {"job_id": "j1", "progress": 5})
        await quiet()

        client = await room.socket("since=0")

        assert [message["seq"] for message in await client.texts(2)] == [1, 1]


async def test_what_is_shown_of_a_writer_is_its_label_and_nothing_of_its_connection():
    """test_event_payload_no_pii (security)"""
    async with a_room() as room:
        client, source = await room.socket(), await room.source()

        room.write("NoteUpdated", {"note_id": "n1"}, memory="home")
        client.says({"type": "subscribe", "typos": ["note"]})
        await client.texts(3)
        await source.until(2)

        for secret in (b"10.0.0.1", b"t1", b"t2", b"Bearer", b"token"):
            assert secret not in client.data + source.data
