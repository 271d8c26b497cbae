"""Broadcast channels of a real process: bytes that arrive early, tokens, history over restarts, ends, and numbers."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.served import PATIENCE, Served, serving

STRANGERS = "[broadcast]\nanonymous = true\ntest_route = true\n"
SHORT = '[broadcast]\nheartbeat = "100ms"\ndead_after = "700ms"\nframes = 1000\n'


@contextmanager
def configured(folder: Path, text: str) -> Iterator[Served]:
    config = folder / "appliance.toml"
    config.write_text(text)
    with serving(folder, arguments=[f"--config={config}"]) as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """As it is without a configuration: tokens for everybody, no test route."""
    with serving(tmp_path_factory.mktemp("strict")) as served:
        yield served


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Strangers may listen, test suites may write."""
    with configured(tmp_path_factory.mktemp("lenient"), STRANGERS) as served:
        yield served


def bearer(server: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"}


@contextmanager
def socket_to(server: Served, query: str = "", **options: Any) -> Iterator[ClientConnection]:
    """A connection that has had its welcome."""
    url = server.url.replace("http", "ws") + f"/ws/broadcast{query}"
    if "subprotocols" not in options and not query:
        options.setdefault("additional_headers", bearer(server))
    with connect(url, open_timeout=PATIENCE, **options) as client:
        assert heard(client)["type"] == "welcome"
        yield client


def heard(client: ClientConnection) -> dict[str, Any]:
    """The next message but pings."""
    while True:
        message: dict[str, Any] = json.loads(client.recv(PATIENCE))
        if message.get("type") != "ping":
            return message


def subscribed(client: ClientConnection, *channels: str, **extras: object) -> dict[str, Any]:
    """The answer to a subscription."""
    client.send(json.dumps({"subscribe": channels, "ack": 1, **extras}))
    return heard(client)


def send(server: Served, channel: str, event: str = "changed", **payload: object) -> dict[str, Any]:
    body = {"channel": channel, "event": event, "payload": payload}
    reply = httpx.post(f"{server.url}/broadcast", json=body, headers=bearer(server), timeout=PATIENCE)
    reply.raise_for_status()
    answer: dict[str, Any] = reply.json()
    return answer


def count(server: Served, channel: str) -> int:
    reply = httpx.get(f"{server.url}/channels/{channel}", headers=bearer(server), timeout=PATIENCE)
    found: int = reply.json()["subscriber_count"]
    return found


def until_count(server: Served, channel: str, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while (found := count(server, channel)) != wanted:
        assert time.monotonic() < deadline, f"{found} listen to {channel}, not {wanted}"
        time.sleep(0.01)


def upgrade(server: Served, headers: str = "") -> bytes:
    return (
        f"GET /ws/broadcast HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    ).encode()


def masked(text: str) -> bytes:
    """A client's frame, under the mask of four zeroes."""
    assert len(text) < 126
    return struct.pack("!BB4x", 0x81, 0x80 | len(text)) + text.encode()


# -- the checklist ----------------------------------------------------------------------------


def test_subscribe_hear_several_unsubscribe(strict: Served):
    """2.1a, 2.1b, 2.1c, 2.1d"""
    with socket_to(strict) as one, socket_to(strict) as two:
        subscribed(one, "orders")
        alone = send(strict, "orders", "order.created", entity_id="123")
        subscribed(two, "orders")
        both = send(strict, "orders", "order.updated", entity_id="123")
        one.send('{"unsubscribe":["orders"],"ack":2}')
        first = [heard(one) for _ in range(3)]
        after = send(strict, "orders", "order.deleted", entity_id="123")
        second = [heard(two) for _ in range(2)]

    assert [answer["subscriber_count"] for answer in (alone, both, after)] == [1, 2, 1]
    assert [(said["channel"], said["event"], said["payload"]) for said in first[:2]] == [
        ("orders", "order.created", {"entity_id": "123"}),
        ("orders", "order.updated", {"entity_id": "123"}),
    ]
    assert first[2] == {"type": "unsubscribed", "channels": ["orders"], "ack": 2}
    assert [said["event"] for said in second] == ["order.updated", "order.deleted"]


def test_health_and_the_routes_that_are_there(strict: Served, lenient: Served):
    """infra1: router, POST, health"""
    message = {"channel": "infra", "event_type": "created", "payload": {}}

    health = httpx.get(f"{lenient.url}/health")
    posted = httpx.post(f"{lenient.url}/test/broadcast", json=message)
    absent = httpx.post(f"{strict.url}/test/broadcast", json=message)
    tokenless = httpx.post(f"{strict.url}/broadcast", json=message)
    described = httpx.get(f"{strict.url}/openapi.json").json()["paths"]

    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert (posted.status_code, posted.json()["status"], posted.json()["success"]) == (200, "broadcasted", True)
    assert (absent.status_code, tokenless.status_code) == (404, 401)
    assert {"/broadcast", "/channels", "/channels/{channel}", "/ws/broadcast"} <= described.keys()


def test_a_restart_loses_no_message(tmp_path: Path):
    """scenario 4: dropped, back, subscribed again, each message once, and what was missed replayed"""
    with configured(tmp_path, "") as server:
        with socket_to(server) as client:
            subscribed(client, "order", "contact")
            for number in range(3):
                send(server, "order", n=number)
            seen = [heard(client)["offset"] for _ in range(3)]
        send(server, "order", n=3)
        server.restart()
        send(server, "order", n=4)
        with socket_to(server) as client:
            answer = subscribed(client, "order", "contact", since={"order": seen[-1], "contact": -1})
            live = send(server, "order", n=5)
            again = [heard(client)["payload"]["n"] for _ in range(3)]

    assert seen == [0, 1, 2]
    assert answer["offsets"] == {"order": 2, "contact": -1}
    assert again == [3, 4, 5]
    assert live["subscriber_count"] == 1


# -- how it begins ----------------------------------------------------------------------------


def test_frames_behind_the_handshake_in_one_segment_are_not_lost(lenient: Served):
    with socket.create_connection(("127.0.0.1", lenient.port), PATIENCE) as raw:
        raw.sendall(upgrade(lenient) + masked('{"subscribe":["early"]}') + masked('{"subscribe":["early-too"]}'))
        until_count(lenient, "early-too", 1)
        send(lenient, "early", n=1)
        received = b""
        while b'"channel":"early"' not in received:
            received += raw.recv(4096)

    assert received.startswith(b"HTTP/1.1 101")
    until_count(lenient, "early", 0)


def test_who_may_come_in(strict: Served, lenient: Served):
    ticket = httpx.post(f"{strict.url}/api/v1/tickets", headers=bearer(strict)).json()["ticket"]
    with socket_to(strict, f"?ticket={ticket}") as by_ticket:
        assert subscribed(by_ticket, "a")["channels"] == ["a"]
    with socket_to(strict, subprotocols=["appliance.broadcast", f"bearer.{strict.token}"]) as by_offer:
        assert by_offer.subprotocol == "appliance.broadcast"
    with socket_to(lenient, additional_headers={}) as stranger:
        assert subscribed(stranger, "a")["channels"] == ["a"]

    refused = []
    for server, query, headers in (
        (strict, "", {}),
        (strict, f"?ticket={ticket}", {}),  # a second time
        (strict, "?token=" + strict.token, {}),
        (strict, "", {"Authorization": "Bearer ns_ZGVmYXVsdA_" + "0" * 64}),
        (lenient, "", {"Authorization": "Bearer ns_ZGVmYXVsdA_" + "0" * 64}),
        (strict, "", bearer(strict) | {"Origin": "http://elsewhere.example"}),
    ):
        url = server.url.replace("http", "ws") + "/ws/broadcast" + query
        with pytest.raises(InvalidStatus) as failed, connect(url, additional_headers=headers):
            pass
        refused.append(failed.value.response.status_code)
    assert refused == [401, 401, 401, 401, 401, 403]


def test_a_token_of_another_namespace_hears_nothing_of_ours(strict: Served):
    made = httpx.post(f"{strict.url}/rpc", json=["ns.create", f"sync-{time.time_ns()}"], headers=bearer(strict)).json()
    with socket_to(strict, additional_headers={"Authorization": f"Bearer {made['token']}"}) as theirs:
        subscribed(theirs, "secret")
        answer = send(strict, "secret", "ours")
        httpx.post(
            f"{strict.url}/broadcast",
            json={"channel": "secret", "event": "theirs", "payload": {}},
            headers={"Authorization": f"Bearer {made['token']}"},
        ).raise_for_status()

        assert (heard(theirs)["event"], answer["subscriber_count"]) == ("theirs", 0)


# -- how it goes on ---------------------------------------------------------------------------


def test_a_connection_is_spared_its_own_message(strict: Served):
    with connect(strict.url.replace("http", "ws") + "/ws/broadcast", additional_headers=bearer(strict)) as author:
        connection = heard(author)["connection_id"]
        subscribed(author, "own")
        body = {"channel": "own", "event": "mine", "payload": {}, "exclude": connection, "mutation_id": "m-1"}
        httpx.post(f"{strict.url}/broadcast", json=body, headers=bearer(strict)).raise_for_status()
        send(strict, "own", "another's")

        assert heard(author)["event"] == "another's"
    with socket_to(strict) as other:
        subscribed(other, "own", since={"own": -1})
        assert [heard(other).get("origin") for _ in range(2)] == ["m-1", None]


def test_an_answer_comes_after_the_message_was_sent_to_everybody(lenient: Served):
    """Whoever has the answer finds the message in the sockets, without waiting."""
    with ExitStack() as held:
        clients = []
        for _ in range(50):
            raw = held.enter_context(socket.create_connection(("127.0.0.1", lenient.port), PATIENCE))
            raw.sendall(upgrade(lenient) + masked('{"subscribe":["flushed"]}'))
            clients.append(raw)
        until_count(lenient, "flushed", 50)
        answer = send(lenient, "flushed")
        at_once = 0
        for raw in clients:
            raw.setblocking(False)
            at_once += answer["id"].encode() in raw.recv(65536)

    assert (answer["subscriber_count"], at_once) == (50, 50)


def test_ten_thousand_channels_are_listened_to_by_a_hundred_clients(strict: Served):
    with ExitStack() as held:
        clients = [held.enter_context(socket_to(strict)) for _ in range(100)]
        for number, client in enumerate(clients):
            client.send(json.dumps({"subscribe": [f"many-{number * 100 + each}" for each in range(100)], "ack": 1}))
        for client in clients:
            assert len(heard(client)["channels"]) == 100
        answers = [send(strict, f"many-{number}") for number in (0, 4242, 9999)]
        found = [heard(clients[number])["channel"] for number in (0, 42, 99)]
        listed = httpx.get(f"{strict.url}/channels?limit=1000&after=many-", headers=bearer(strict)).json()

    assert [answer["subscriber_count"] for answer in answers] == [1, 1, 1]
    assert found == ["many-0", "many-4242", "many-9999"]
    assert (len(listed["channels"]), listed["next"]) == (1000, sorted(f"many-{n}" for n in range(10_000))[999])
    assert listed["total_connections"] == 100


def test_pings_for_the_library_and_for_the_script_and_the_end_of_a_silent_peer(tmp_path: Path):
    with configured(tmp_path, SHORT) as server, socket_to(server) as alive:
        subscribed(alive, "order")
        said: list[dict[str, Any]] = []
        reading = threading.Thread(target=lambda: said.append(heard(alive)))
        reading.start()  # who reads nothing answers no pings either
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as silent:
            silent.sendall(
                upgrade(server, f"Authorization: Bearer {server.token}\r\n") + masked('{"subscribe":["order"],"ack":1}')
            )
            received = b"".join(iter(lambda: silent.recv(4096), b""))
        until_count(server, "order", 1)
        send(server, "order", "still here")
        reading.join(PATIENCE)

        assert b'{"type":"subscribed","channels":["order"]' in received
        assert received.count(b"\x89") >= 3
        assert received.count(b'{"type":"ping"}') >= 3
        assert b"\x0f\xa3" in received.rpartition(b"\x88")[2]  # 4003
        assert [one["event"] for one in said] == ["still here"]


# -- how it ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(("message", "code"), [(b"binary", 1003), ('"' + "x" * 1024 * 1024 + '"', 1009)])
def test_what_is_no_text_or_too_much_ends_with_its_code(strict: Served, message: str | bytes, code: int):
    with socket_to(strict) as client:
        client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            heard(client)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def test_a_flood_is_warned_and_sent_away(tmp_path: Path):
    with configured(tmp_path, "[broadcast]\nframes = 1\n") as server, socket_to(server) as client:
        for number in range(30):
            client.send(json.dumps({"subscribe": [f"c{number}"]}))
        warnings = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                warnings.append(heard(client)["code"])

        assert set(warnings) == {"too_many_frames"}
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_a_token_that_is_revoked_ends_its_connections_with_4401(strict: Served):
    wish = {"name": "short", "scopes": ["read"]}
    made = httpx.post(f"{strict.url}/api/v1/tokens", json=wish, headers=bearer(strict)).json()
    with socket_to(strict, additional_headers={"Authorization": f"Bearer {made['token']}"}) as client:
        subscribed(client, "order")
        httpx.delete(f"{strict.url}/api/v1/tokens/{made['id']}", headers=bearer(strict)).raise_for_status()
        with pytest.raises(ConnectionClosed) as closed:
            heard(client)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "Token revoked")


def test_stopping_says_1001(tmp_path: Path):
    with serving(tmp_path) as server, socket_to(server) as client:
        subscribed(client, "order")
        server.stop()
        with pytest.raises(ConnectionClosed) as closed:
            heard(client)
        server.start()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
