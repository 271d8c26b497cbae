"""Namespaces and the system over the message-store API."""

from __future__ import annotations

import json
import re

import appliance
from appliance.model.http import Response
from tests.rooms.ingress.room import a_room, token_of

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def test_namespace_made_with_a_token_works_at_once_and_shows_true_counts():
    async with a_room() as room:
        made = await room.rpc(
            "ns.create", "shop", {"token": token_of("shop"), "description": "d", "metadata": {"x": 1}}
        )
        empty = await room.rpc("ns.info", "shop")
        for stream in ("a-1", "a-1", "b-1"):
            await room.rpc("stream.write", stream, {"type": "T", "data": {}}, token=token_of("shop"))
        info = await room.rpc("ns.info", "shop", token=token_of("shop"))
        listed = await room.rpc("ns.list", {"ignored": True})
        gone = await room.rpc("ns.delete", "shop")

    assert TIME.fullmatch(made.pop("createdAt"))
    assert made == {"namespace": "shop", "token": token_of("shop")}
    assert (empty["messageCount"], empty["streamCount"], empty["lastActivity"]) == (0, 0, None)
    assert (info["description"], info["messageCount"], info["streamCount"]) == ("d", 3, 2)
    assert TIME.fullmatch(info["lastActivity"])
    assert [(row["namespace"], row["messageCount"]) for row in listed] == [("shop", 3), ("default", 0)]
    assert (gone["namespace"], gone["messagesDeleted"]) == ("shop", 3)
    assert TIME.fullmatch(gone["deletedAt"])


async def test_namespace_without_a_token_is_given_one_that_works():
    async with a_room() as room:
        made = await room.rpc("ns.create", "a_b?")
        version = await room.rpc("sys.version", token=made["token"])

    assert version == appliance.__version__


async def test_namespaces_see_nothing_of_each_other():
    """MDB003_3B_T3"""
    async with a_room() as room:
        one, two = [(await room.rpc("ns.create", name))["token"] for name in ("one", "two")]
        for token, type in ((one, "A"), (two, "B")):
            written = await room.rpc("stream.write", "s-1", {"type": type, "data": {}}, token=token)
            assert written == {"position": 0, "globalPosition": 1}

        seen = [await room.rpc("category.get", "", token=token) for token in (one, two)]
        versions = [await room.rpc("stream.version", "s-1", token=token) for token in (one, two)]
        await room.rpc("ns.delete", "one")
        left = await room.rpc("stream.get", "s-1", token=two)

    assert [[row[2] for row in rows] for rows in seen] == [["A"], ["B"]]
    assert versions == [0, 0]
    assert len(left) == 1


async def test_streams_are_listed_in_byte_order_page_by_page():
    names = ["B-1", "a", "a-1", "a_1", "aX1", "é-1"]

    async with a_room() as room:
        for name in reversed(names):
            await room.write(name)
        await room.write("a")

        everything = await room.rpc("ns.streams", {})
        pages = [await room.rpc("ns.streams", {"limit": 2.9, "cursor": cursor}) for cursor in ("", "a", "a_1")]
        literal = await room.rpc("ns.streams", {"prefix": "a_"})

    assert [row["stream"] for row in everything] == sorted(names, key=str.encode)
    assert [[row["stream"] for row in page] for page in pages] == [["B-1", "a"], ["a-1", "aX1"], ["é-1"]]
    assert [row["stream"] for row in literal] == ["a_1"]
    assert {row["stream"]: row["version"] for row in everything}["a"] == 1
    assert TIME.fullmatch(everything[0]["lastActivity"])


async def test_categories_are_counted_dashless_streams_in_their_own():
    async with a_room() as room:
        for stream in ("order-1", "order-1", "order-2", "order", "audit"):
            await room.write(stream)
        rows = await room.rpc("ns.categories")

    assert rows == [
        {"category": "audit", "streamCount": 1, "messageCount": 1},
        {"category": "order", "streamCount": 3, "messageCount": 4},
    ]


async def test_health_tells_the_backend_and_the_subscribers():
    async with a_room() as room:
        health = await room.rpc("sys.health")

    assert health == {"status": "ok", "backend": "memory", "connections": 7}


async def test_version_is_open_to_everybody_with_any_method():
    async with a_room() as room:
        answers = [await room.ask("/version", method=method, token=None) for method in ("GET", "POST")]

    bodies = [answer.body for answer in answers if isinstance(answer, Response)]
    assert [json.loads(body) for body in bodies] == [{"version": appliance.__version__}] * 2
