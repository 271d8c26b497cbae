"""The eventing streams of a real process, read by clients that we did not write."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from httpx_sse import EventSource, ServerSentEvent, connect_sse
from trio_websocket import ConnectionClosed as TrioClosed
from trio_websocket import wrap_client_stream
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.served import PATIENCE, Served, serving

SHORT = """
[clients]
heartbeat = "100ms"
dead_after = "700ms"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("streams")) as served:
        yield served


def bearer(server: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"}


def rpc(server: Served, *call: object, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else bearer(server)
    reply = httpx.post(f"{server.url}/rpc", json=call, headers=headers, timeout=PATIENCE)
    reply.raise_for_status()
    return reply.json()


def write(
    server: Served, type: str, fields: dict[str, object], *, stream: str, token: str = "", memory: str = ""
) -> int:
    """Store an event. Returns its global position."""
    message: dict[str, object] = {"type": type, "data": fields}
    receipt = rpc(
        server, "stream.write", stream, message | ({"metadata": {"memory": memory}} if memory else {}), token=token
    )
    position: int = receipt["globalPosition"]
    return position


@contextmanager
def listening(server: Served, query: str = "", **headers: str) -> Iterator[Iterator[ServerSentEvent]]:
    """An open event stream."""
    with (
        httpx.Client(timeout=PATIENCE) as client,
        connect_sse(client, "GET", f"{server.url}/api/v1/events?{query}", headers=bearer(server) | headers) as source,
    ):
        assert source.response.headers["content-type"] == "text/event-stream"
        yield source.iter_sse()


def take(events: Iterator[ServerSentEvent], count: int) -> list[ServerSentEvent]:
    return [next(events) for _ in range(count)]


def socket_to(server: Served, query: str = "", **options: Any) -> ClientConnection:
    url = server.url.replace("http", "ws") + f"/api/v1/ws?{query}"
    options.setdefault("additional_headers", bearer(server))
    return connect(url, compression=None, open_timeout=PATIENCE, **options)


def heard(connection: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(connection.recv(timeout=PATIENCE))
    return message


# -- WebSocket: websockets --------------------------------------------------------------------


def test_a_bearer_is_let_in_and_told_the_state_of_the_queue(server: Served):
    """test_ws_upgrade_success (#39)"""
    with socket_to(server) as client:
        assert client.response is not None
        assert client.response.status_code == 101
        assert heard(client)["type"] == "QueueStatus"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer ns_ZGVmYXVsdA_" + "0" * 64}, {"Authorization": "Bearer x"}]
)
def test_nobody_else_is(server: Served, headers: dict[str, str]):
    """test_ws_upgrade_requires_auth (#39), test_ws_auth_required (security)"""
    with pytest.raises(InvalidStatus) as refused, socket_to(server, additional_headers=headers):
        pass

    assert refused.value.response.status_code in (401, 403)
    assert refused.value.response.status_code == 401 or headers


def test_a_long_lived_token_in_the_address_is_refused(server: Served):
    with pytest.raises(InvalidStatus) as refused, socket_to(server, f"token={server.token}", additional_headers={}):
        pass

    assert refused.value.response.status_code == 401


def test_an_event_arrives_as_its_bare_payload(server: Served):
    """test_ws_json_event_delivery (#39)"""
    with socket_to(server, "types=note") as client:
        heard(client)
        place = write(server, "NoteUpdated", {"note_id": "n1", "title": "Hi"}, stream="note-delivery")

        message = heard(client)

    assert (message["type"], message["note_id"], message["seq"]) == ("NoteUpdated", "n1", place)
    assert message["timestamp"].endswith("Z")


@pytest.mark.parametrize("word", ["refresh", '{"type":"refresh"}'])
def test_refresh_is_answered(server: Served, word: str):
    """test_ws_refresh_command (#39)"""
    with socket_to(server, "types=nothing") as client, socket_to(server, "types=nothing") as other:
        heard(client), heard(other)
        client.send(word)

        assert heard(client)["type"] == "QueueStatus"
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.2)


def test_nonsense_is_survived(server: Served):
    """test_ws_invalid_message_ignored (#39)"""
    with socket_to(server, "types=nothing") as client:
        heard(client)
        for junk in ("{", "null", "[" * 50_000, '{"type":"dance"}', "\u2028"):
            client.send(junk)
        client.send("refresh")

        assert heard(client)["type"] == "QueueStatus"


def test_a_ping_is_answered(server: Served):
    """test_ws_ping_pong (#39)"""
    with socket_to(server) as client:
        assert client.ping().wait(PATIENCE)


def test_a_close_is_answered_and_the_client_forgotten(server: Served):
    """test_ws_close_graceful (#39), test_connection_cleanup_on_disconnect (#42)"""
    with socket_to(server) as client, socket_to(server) as abrupt:
        heard(client), heard(abrupt)
        assert len(roster(server, "eventing")) == 2

        abrupt.socket.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: len(roster(server, "eventing")) == 1)
        client.close(1000)

        assert client.close_code == 1000
        wait_for(lambda: not roster(server, "eventing"))


def test_the_server_closes_with_a_code_and_a_reason(server: Served):
    """test_ws_close_server_initiated (#39)"""
    with socket_to(server) as client:
        heard(client)
        (row,) = roster(server, "eventing")
        httpx.delete(f"{server.url}/api/v1/clients/{row['id']}", headers=bearer(server)).raise_for_status()

        with pytest.raises(ConnectionClosed) as closed:
            while True:  # the host's readings may still come before the end
                client.recv(timeout=PATIENCE)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "closed by an admin")


def test_the_same_user_many_times(server: Served):
    """test_multiple_connections_same_user, test_connection_tracking (#42)"""
    with ExitStack() as held:
        clients = [held.enter_context(socket_to(server, "types=tracked")) for _ in range(5)]
        for client in clients:
            heard(client)
        assert len(roster(server, "eventing")) == 5

        place = write(server, "TrackedOnce", {}, stream="tracked-1")

        assert [heard(client)["seq"] for client in clients] == [place] * 5


def test_the_1001st_is_told_to_come_back(server: Served):
    """test_ws_connection_limit_enforced (#39), test_connection_limit_dos (security)"""
    ask = (
        f"GET /api/v1/ws?types=nothing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.token}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()

    def upgraded() -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        held.callback(sock.close)
        sock.sendall(ask)
        return sock

    wait_for(lambda: not roster(server))
    with ExitStack() as held:
        for batch in range(10):
            answers = [sock.recv(4096) for sock in [upgraded() for _ in range(100)]]
            assert {answer[:12] for answer in answers} == {b"HTTP/1.1 101"}, batch

        refused = upgraded().recv(4096).lower()

        assert refused.startswith(b"http/1.1 503")
        assert b"\r\nretry-after: " in refused
        assert len(roster(server)) == 1000
    wait_for(lambda: not roster(server))


def test_a_subscription_resumes_behind_the_last_event(server: Served):
    first, *rest = (write(server, "BookMoved", {"n": n}, stream="book-1") for n in range(5))
    with socket_to(server, "types=nothing") as client:
        heard(client)
        client.send(json.dumps({"type": "subscribe", "types": ["book"], "since": first}))

        assert heard(client)["types"] == ["book"]
        assert [heard(client)["seq"] for _ in rest] == rest


# -- WebSocket: trio-websocket ----------------------------------------------------------------


async def test_trio_websocket_reads_us_and_hears_why_we_end(tmp_path: Path):
    """test_ws_close_server_initiated (#39): 1012 when the appliance stops"""
    with serving(tmp_path) as server:
        headers = [(b"Authorization", bearer(server)["Authorization"].encode())]
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream, trio.open_nursery() as nursery:
            client = await wrap_client_stream(
                nursery, stream, "localhost", "/api/v1/ws", subprotocols=["appliance.events"], extra_headers=headers
            )
            assert client.subprotocol == "appliance.events"
            assert json.loads(await client.get_message())["type"] == "QueueStatus"
            await trio.to_thread.run_sync(partial(write, server, "NoteUpdated", {"note_id": "n"}, stream="note-1"))
            while json.loads(await client.get_message())["type"] != "NoteUpdated":
                pass

            nursery.start_soon(trio.to_thread.run_sync, server.stop)
            with pytest.raises(TrioClosed) as closed:
                while True:
                    await client.get_message()
        server.start()

    assert closed.value.reason is not None
    assert closed.value.reason.code == 1012


# -- heartbeats for real ----------------------------------------------------------------------


def test_pings_and_the_end_of_a_silent_peer_for_real(tmp_path: Path):
    """test_heartbeat_ping_pong_30s, test_dead_connection_cleanup_90s (#42), with short periods"""
    config = tmp_path / "appliance.toml"
    config.write_text(SHORT)
    with serving(tmp_path, arguments=[f"--config={config}"]) as server, socket_to(server, "types=nothing") as alive:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as silent:
            silent.sendall(
                f"GET /api/v1/ws?types=nothing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.token}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            received = b"".join(iter(lambda: silent.recv(4096), b""))

        assert received.count(b"\x89") >= 3
        assert b"\x0f\xa3" in received.rpartition(b"\x88")[2]  # 4003
        assert heard(alive)["type"] == "QueueStatus"
        (row,) = roster(server, "eventing")
        assert float(row["latency_ms"]) >= 0


# -- server-sent events: httpx-sse, curl ------------------------------------------------------


def test_a_block_has_event_data_and_id(server: Served):
    """test_sse_event_format, test_sse_event_type_filtering (#43)"""
    with listening(server, "events=NoteUpdated") as events:
        first = next(events)
        write(server, "NoteCreated", {"note_id": "n1"}, stream="note-format")
        place = write(server, "NoteUpdated", {"note_id": "n1"}, stream="note-format")

        event = next(events)

    assert (first.event, first.retry) == ("connected", 3000)
    assert (event.event, event.id, event.json()["note_id"]) == ("NoteUpdated", str(place), "n1")


def test_curl_sees_the_exact_content_type(server: Served):
    """test_sse_stream_connection (#43)"""
    done = subprocess.run(
        [
            "curl",
            "-sN",
            "-m",
            "1",
            "-D",
            "-",
            f"{server.url}/api/v1/events",
            "-H",
            f"Authorization: Bearer {server.token}",
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    head, _, body = done.stdout.partition("\n\n" if "\r" not in done.stdout else "\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:])
    assert fields["content-type"] == "text/event-stream"
    assert body.startswith("event: connected\ndata: {")


def test_several_clients_hear_the_same(server: Served):
    """test_sse_multiple_clients (#43)"""
    with ExitStack() as held:
        streams = [held.enter_context(listening(server, "types=shared")) for _ in range(3)]
        for events in streams:
            assert next(events).event == "connected"

        places = [str(write(server, "SharedOnce", {"n": n}, stream="shared-1")) for n in range(4)]

        assert [[event.id for event in take(events, 4)] for events in streams] == [places] * 3


def test_what_was_missed_comes_once_and_in_order(server: Served):
    """test_sse_reconnect_last_event_id (#43)"""
    with listening(server, "types=missed") as events:
        next(events)
        write(server, "MissedOnce", {"n": 0}, stream="missed-1")
        last = next(events).id
    missed = [str(write(server, "MissedOnce", {"n": n}, stream="missed-1")) for n in range(1, 4)]

    with listening(server, "types=missed", **{"Last-Event-ID": last}) as events:
        next(events)
        replayed = [event.id for event in take(events, 3)]
        live = str(write(server, "MissedOnce", {"n": 4}, stream="missed-1"))

        assert (replayed, next(events).id) == (missed, live)


def test_a_restart_leaves_no_gap(tmp_path: Path):
    """test_e2e_mcp_monitors_events: survives a reconnect, and here the whole process (#46, UC-003)"""
    with serving(tmp_path) as server:
        with listening(server, "types=counted") as events:
            next(events)
            places = [write(server, "CountedOne", {"n": n}, stream="count-1") for n in range(3)]
            last = take(events, 3)[-1].id
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            rest = list(events)
            stopping.join()
        server.start()
        places += [write(server, "CountedOne", {"n": n}, stream="count-1") for n in range(3, 6)]

        with listening(server, f"types=counted&last_event_id={last}") as events:
            seen = [event.id for event in take(events, 4)[1:]]

    assert [(event.event, event.retry is not None) for event in rest] == [("closing", True)]
    assert seen == [str(place) for place in places[3:]]


def test_comments_come_while_nothing_happens(tmp_path: Path):
    """test_sse_keepalive (#43), with a short period"""
    config = tmp_path / "appliance.toml"
    config.write_text(SHORT)
    with (
        serving(tmp_path, arguments=[f"--config={config}"]) as server,
        httpx.stream(
            "GET", f"{server.url}/api/v1/events?types=nothing", headers=bearer(server), timeout=PATIENCE
        ) as reply,
    ):
        lines = reply.iter_lines()
        comments = [next(line for line in lines if line.startswith(":")) for _ in range(3)]

    assert comments == [": keepalive"] * 3


def test_namespaces_and_memories_are_not_crossed(server: Served):
    """Cross-tenant leakage (security list)"""
    other = rpc(server, "ns.create", f"other-{time.time_ns()}")["token"]
    made = httpx.post(
        f"{server.url}/api/v1/tokens",
        json={"name": "bound", "scopes": ["read"], "memories": ["work"]},
        headers=bearer(server),
    ).json()
    with (
        listening(server, "events=leak") as mine,
        listening(server, "events=leak", Authorization=f"Bearer {other}") as theirs,
        listening(server, "events=leak", Authorization=f"Bearer {made['token']}") as bound,
    ):
        for events in (mine, theirs, bound):
            next(events)
        write(server, "LeakTried", {"by": "plain"}, stream="leak-1")
        write(server, "LeakTried", {"by": "work"}, stream="leak-1", memory="work")
        write(server, "LeakTried", {"by": "other"}, stream="leak-1", token=other)

        seen = [[event.json()["by"] for event in take(events, n)] for events, n in ((mine, 2), (theirs, 1), (bound, 1))]

    assert seen == [["plain", "work"], ["other"], ["work"]]


def test_the_counts_are_served(server: Served):
    reply = httpx.get(f"{server.url}/api/v1/health/streaming")

    assert reply.status_code == 200
    assert len(reply.json()) == 9
    assert all(isinstance(count, int) for count in reply.json().values())


def test_a_captured_stream_reads_alike_in_pieces(server: Served):
    """reliability: real bytes in pieces of 1, 7 and all"""
    for n in range(5):
        write(server, "CapturedOnce", {"text": "\u2028 \U0001f9ea\n" * n}, stream="captured-1")
    with httpx.stream("GET", f"{server.url}/api/v1/events?types=captured&since=0", headers=bearer(server)) as reply:
        body = b""
        for piece in reply.iter_bytes():
            body += piece
            if body.count(b"\n\n") >= 6:
                break

    readings = [read_in_pieces(body, size) for size in (1, 7, len(body))]

    assert readings[0] == readings[1] == readings[2]
    assert [event for event, _, _ in readings[0]] == ["connected", *["captured.once"] * 5]


def read_in_pieces(body: bytes, size: int) -> list[tuple[str, str, str]]:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=pieces)
    return [(event.event, event.data, event.id) for event in EventSource(answer).iter_sse()]


def roster(server: Served, dialect: str = "") -> list[dict[str, Any]]:
    """Who is connected."""
    rows = httpx.get(f"{server.url}/api/v1/clients", headers=bearer(server), timeout=PATIENCE).json()["clients"]
    return [row for row in rows if dialect in ("", row["dialect"])]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)
