"""Both endpoints behind the real front, on loopback: heads, refusals over HTTP, and codes on the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.rooms.egress.eventing_room import Room, a_room
from tests.rooms.egress.parser import parse
from tests.rooms.web.house import House, Peer, a_house, get, masked, upgrade

READER, ADMIN = "Authorization: Bearer reader", "Authorization: Bearer admin"


@asynccontextmanager
async def a_served_room(limit: int = 100) -> AsyncIterator[tuple[Room, House]]:
    async with (
        a_room(limit=limit) as room,
        a_house(lambda _: room.stream.routes(), room.eventing.routes()) as house,
    ):
        yield room, house


async def text(peer: Peer) -> dict[str, object]:
    """The next message; pings in between are left."""
    while (frame := await peer.frame())[0] != 1:
        pass
    message: dict[str, object] = json.loads(frame[1])
    return message


async def connected(house: House, *fields: str, path: str = "/api/v1/ws") -> Peer:
    peer = await house.peer()
    await peer.send(upgrade(path, *fields))
    assert (await peer.head()).status == 101
    return peer


@pytest.mark.parametrize("path", ["/api/v1/ws", "/ws"])
async def test_a_bearer_gets_101_and_events(path: str):
    """test_ws_upgrade_success, test_ws_json_event_delivery (#39)"""
    async with a_served_room() as (room, house):
        peer = await connected(house, READER, path=path)
        assert (await text(peer))["type"] == "QueueStatus"

        room.write("NoteUpdated", {"note_id": "n1"})

        assert (await text(peer))["note_id"] == "n1"


@pytest.mark.parametrize("field", ["Accept: */*", "Authorization: Bearer wrong", "Authorization: Basic cmVhZGVyOg=="])
async def test_without_a_valid_token_it_is_401_before_any_upgrade(field: str):
    """test_ws_upgrade_requires_auth (#39), test_ws_auth_required (security)"""
    async with a_served_room() as (_, house):
        for request in (upgrade("/api/v1/ws", field), get("/api/v1/events", field)):
            peer = await house.peer()

            assert (await peer.ask(request)).status == 401


async def test_the_subprotocol_is_echoed():
    async with a_served_room() as (_, house):
        peer = await house.peer()
        await peer.send(upgrade("/api/v1/ws", READER, "Sec-WebSocket-Protocol: appliance.events, bearer.reader"))

        assert (await peer.head()).headers["sec-websocket-protocol"] == "appliance.events"


async def test_one_too_many_is_503_with_a_time_to_come_back():
    """test_ws_connection_limit_enforced (#39), test_connection_limit_dos (security)"""
    async with a_served_room(limit=2) as (_, house):
        first = await connected(house, READER)
        await connected(house, READER)
        for request in (upgrade("/api/v1/ws", READER), get("/api/v1/events", READER)):
            peer = await house.peer()
            refused = await peer.ask(request)
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")

        await text(first)
        await first.send(masked(b"\x03\xe8", opcode=8))
        assert await first.frame() == (8, b"\x03\xe8")
        await house.settled(connections=2)  # the other client, and who asked for events

        await connected(house, READER)


async def test_a_ping_is_answered():
    """test_ws_ping_pong (#39)"""
    async with a_served_room() as (_, house):
        peer = await connected(house, READER)
        await text(peer)

        await peer.send(masked(b"are you there", opcode=9))

        assert await peer.frame() == (10, b"are you there")


LONG = masked(b"x" * 40_000, fin=False) + masked(b"x" * 40_000, opcode=0)  # 64 KiB are allowed


@pytest.mark.parametrize(("frame", "code"), [(LONG, 1009), (masked(b"x", opcode=2), 1003), (masked(b"\xff"), 1007)])
async def test_what_may_not_be_said_ends_it_with_a_code(frame: bytes, code: int):
    async with a_served_room() as (_, house):
        peer = await connected(house, READER)
        await text(peer)

        await peer.send(frame)

        opcode, payload = await peer.frame()
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, code)


async def test_the_largest_message_is_taken():
    async with a_served_room() as (room, house):
        peer = await connected(house, READER)
        await text(peer)

        await peer.send(masked(b"x" * 60_000))
        await peer.send(masked(b"refresh"))

        assert (await text(peer))["type"] == "QueueStatus"
        assert room.eventing.ignored == 1


@pytest.mark.parametrize("query", ["types=", "events=,", "entity_id=", "memory=", "dialect=cobol"])
async def test_an_empty_filter_is_400(query: str):
    async with a_served_room() as (_, house):
        peer = await house.peer()

        refused = await peer.ask(get(f"/api/v1/events?{query}", READER))

        assert refused.status == 400
        assert json.loads(refused.body)["hint"]


async def test_the_head_of_a_stream_and_its_first_blocks():
    """test_sse_stream_connection, test_sse_event_format (#43)"""
    async with a_served_room() as (room, house):
        peer = await house.peer()
        await peer.send(get("/api/v1/events?events=NoteUpdated", READER))

        head = await peer.head()
        first = await peer.chunk()
        room.write("OrderPlaced", stream="order-1")
        room.write("NoteUpdated", {"note_id": "n1"})
        second = await peer.chunk()

        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
        assert (head.headers["cache-control"], head.headers["x-accel-buffering"]) == ("no-cache", "no")
        assert [(one.event, one.id) for one in parse(first + second)] == [("connected", "0"), ("NoteUpdated", "2")]


async def test_head_asks_for_the_head_only():
    async with a_served_room() as (room, house):
        peer = await house.peer()

        for _ in range(2):
            await peer.send(get("/api/v1/events", READER, method="HEAD"))
            head = await peer.head()
            assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")

        assert len(room.manager) == 0
        reply = await peer.ask(get("/api/v1/health/streaming"))
        assert (reply.status, json.loads(reply.body)["connections_total"]) == (200, 0)
