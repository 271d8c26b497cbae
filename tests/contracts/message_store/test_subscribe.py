"""Scenarios 3A: pokes, as an EventSource of another hand reads them."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.contracts.message_store.store import Store, message
from tests.served import Served


def test_stream_subscription_gets_pokes(store: Store):
    """MDB003_3A_T1"""
    with store.subscribe(stream="account-1") as pokes:
        store.write("account-1")

        assert pokes.take(1) == [{"stream": "account-1", "position": 0, "globalPosition": 1}]


def test_poke_has_the_position_of_the_write(store: Store):
    """MDB003_3A_T2"""
    store.write("other-1", "A", "B")
    with store.subscribe(stream="account-1", by_query=False) as pokes:
        (receipt,) = store.write("account-1")

        assert pokes.take(1) == [{"stream": "account-1", **receipt}]


def test_each_message_has_one_poke(store: Store):
    """MDB003_3A_T3"""
    with store.subscribe(stream="account-1") as pokes:
        store.call("stream.writeMany", [{"stream": "account-1", **message()}] * 3)
        store.write("account-1")

        assert [poke["position"] for poke in pokes.take(4)] == [0, 1, 2, 3]


def test_subscription_begins_at_a_position(store: Store):
    """MDB003_3A_T4"""
    store.write("account-1", *"ABCDE")
    with store.subscribe(stream="account-1", position=3) as pokes:
        stored = pokes.take(2)
        store.write("account-1")
        live = pokes.take(1)

    assert [poke["position"] for poke in stored + live] == [3, 4, 5]


def test_category_subscription_gets_pokes_of_all_its_streams(store: Store):
    """MDB003_3A_T5"""
    store.write("account-1")
    with store.subscribe(category="account") as pokes:
        store.write("other-1")
        store.write("account-2")

        assert [poke["globalPosition"] for poke in pokes.take(2)] == [1, 3]


def test_pokes_of_a_category_name_the_stream(store: Store):
    """MDB003_3A_T6"""
    with store.subscribe(category="account") as pokes:
        store.write("account-7+x")

        assert pokes.take(1)[0]["stream"] == "account-7+x"


def test_nothing_is_left_behind_when_the_client_closes(server: Served, store: Store):
    """MDB003_3A_T7"""
    wait_for_connections(store, 0)  # those of earlier tests
    with store.subscribe(stream="account-1"), store.subscribe(category="account"):
        wait_for_connections(store, 2)

    wait_for_connections(store, 0)
    assert store.call("sys.health")["connections"] == 0


def wait_for_connections(store: Store, count: int) -> None:
    while store.call("sys.health")["connections"] != count:
        pass


@pytest.mark.parametrize("query", ["stream=a-1", "category=a", "all=true"])
def test_headers_and_ready_come_before_anything_happens(server: Served, store: Store, query: str):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", f"/subscribe?{query}&token={store.token}")
    response = connection.getresponse()

    assert (response.status, response.readline(), response.readline()) == (200, b": ready\n", b"\n")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    response.close()
    connection.close()


def test_bytes_of_a_poke_are_those_every_client_knows(server: Served, store: Store):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", f"/subscribe?stream=account-123&token={store.token}")
    response = connection.getresponse()
    store.write("account-123")

    lines = [response.readline() for _ in range(5)]

    assert lines[2:] == [
        b"event: poke\n",
        b'data: {"stream":"account-123","position":0,"globalPosition":1}\n',
        b"\n",
    ]
    response.close()
    connection.close()


def test_catch_up_is_complete_and_joins_the_live_part(store: Store):
    store.call("stream.writeMany", [{"stream": "account-1", **message()}] * 3000)
    with store.subscribe(category="account", position=1) as pokes:
        store.write("account-1", *"ABC")

        places = [poke["globalPosition"] for poke in pokes.take(3003)]

    assert places == list(range(1, 3004))


def test_subscription_to_everything_is_live_only(store: Store):
    store.write("account-1")
    with store.subscribe(all="true") as pokes:
        store.write("b-1")
        store.write("c")

        assert [poke["stream"] for poke in pokes.take(2)] == ["b-1", "c"]


def test_some_categories_may_be_followed_together(store: Store):
    with store.subscribe(categories="a,b") as pokes:
        for stream in ("a-1", "c-1", "b-1"):
            store.write(stream)

        assert [poke["stream"] for poke in pokes.take(2)] == ["a-1", "b-1"]


@pytest.mark.parametrize("names", [("consumer", "size"), ("consumerGroupMember", "consumerGroupSize")])
def test_group_members_get_what_category_get_gives_them(store: Store, names: tuple[str, str]):
    for number in range(6):
        store.write(f"order-{number}")
    with store.subscribe(category="order", **dict(zip(names, (1, 2), strict=True))) as pokes:
        for number in range(6, 12):
            store.write(f"order-{number}")
        wanted = [row[4] for row in store.category("order", consumerGroup={"member": 1, "size": 2})]

        assert [poke["globalPosition"] for poke in pokes.take(len(wanted))] == wanted


def test_imported_messages_poke_too(store: Store):
    record = {"id": "00000000-0000-7000-8000-000000000001", "stream": "a-1", "type": "T", "pos": 4, "gpos": 9}
    line = json.dumps(record | {"data": {}, "time": "2026-01-01T00:00:00Z"}).encode()
    with store.subscribe(category="a") as pokes:
        store.send("POST", "/import", line)

        assert pokes.take(1) == [{"stream": "a-1", "position": 4, "globalPosition": 9}]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "Either 'stream', 'category', or 'all=true' parameter required"),
        ("all=true&stream=a", "Cannot combine 'all' with 'stream' or 'category'"),
        ("all=true&category=a", "Cannot combine 'all' with 'stream' or 'category'"),
        ("stream=a&category=a", "Cannot specify both 'stream' and 'category'"),
        ("stream=a&position=x", "Invalid position parameter"),
        ("category=a&consumer=x&size=2", "Invalid consumer parameter"),
        ("category=a&consumer=0&size=x", "Invalid size parameter"),
        ("category=a&consumer=2&size=2", "Invalid consumer group: member must be < size"),
        ("category=a&consumer=0&size=0", "Invalid consumer group: member must be < size"),
    ],
)
def test_subscription_that_makes_no_sense_is_refused_in_plain_text(store: Store, query: str, text: str):
    status, body = store.send("GET", f"/subscribe?{query}")

    assert (status, body.decode().strip()) == (400, text)
    assert store.headers["Content-Type"].startswith("text/plain")
