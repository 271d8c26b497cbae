"""`event` and `clients` against the real process, with a live connection of a foreign library."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from appliance.client import Client
from appliance.client.protocol import rest
from tests.commands import Said, caller
from tests.served import TOKEN, Served, serving

pytestmark = pytest.mark.timeout(120)

PATIENCE = 20.0  # seconds


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def call(served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    return caller(served, capfd, monkeypatch)


@pytest.fixture
def live(served: Served) -> Iterator[ClientConnection]:
    """A client of the eventing socket that has had its first message."""
    address = f"{served.url.replace('http', 'ws')}/api/v1/ws?types=order"
    with connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
        assert json.loads(socket.recv(PATIENCE))["type"] == "QueueStatus"
        yield socket
    until_nobody_is_connected(served)


def until_nobody_is_connected(served: Served) -> None:
    """The server notices an end a moment after its client."""
    end = time.monotonic() + PATIENCE
    with Client(served.url, TOKEN) as client:
        while client.run(rest("GET", "/api/v1/clients"))["clients"]:
            assert time.monotonic() < end
            time.sleep(0.01)


def post(served: Served, **event: Any) -> dict[str, Any]:
    with Client(served.url, TOKEN) as client:
        receipt: dict[str, Any] = client.run(rest("POST", "/api/v1/events", event))
        return receipt


def test_an_event_is_shown_as_people_and_as_programs_read_it(call: Callable[..., Said], served: Served):
    made = post(served, type="OrderPlaced", order_id="7", total=5, memory="work", correlation_id="c-1")

    people, programs = call("event", "show", made["id"]), call("event", "show", made["id"], "--json")

    assert people.out.splitlines()[0] == "OrderPlaced  order.placed"
    for words in ("memory       work", "correlation  c-1", "about        order 7", '"total": 5'):
        assert words in people.out
    assert programs.json["payload"] == {"type": "OrderPlaced", "order_id": "7", "total": 5}
    assert (programs.json["seq"], programs.json["memory"]) == (made["seq"], "work")


def test_a_trace_names_the_clients_that_have_been_sent_it(
    call: Callable[..., Said], served: Served, live: ClientConnection
):
    cause = post(served, type="OrderPlaced", order_id="7")
    event = post(served, type="OrderPaid", order_id="7", causation_id=cause["id"])
    seen = [json.loads(live.recv(PATIENCE))["event_id"] for _ in range(2)]

    people, programs = call("event", "trace", event["id"]), call("event", "trace", event["id"], "--json")

    assert seen == [cause["id"], event["id"]]
    assert [(link["relation"], link["event_id"]) for link in programs.json["chain"]] == [("cause", cause["id"])]
    (leg,) = programs.json["legs"]
    assert (leg["kind"], leg["outcome"], leg["detail"]) == ("client", "done", "follows order")
    assert leg["name"].endswith("(eventing)")
    assert f"order-7 @ {event['position']}" in people.out
    assert "✓ client" in people.out


def test_an_event_nobody_knows_is_not_found(call: Callable[..., Said]):
    said = call("event", "show", "0190fe00-0000-7000-8000-000000000001")

    assert (said.code, said.out) == (5, "")
    assert said.err.startswith("error: there is no such event")


def test_live_clients_are_listed_and_closed(call: Callable[..., Said], live: ClientConnection):
    (row,) = call("clients", "list", "--json").json["clients"]
    listed = call("clients", "list")

    closed = call("clients", "close", row["id"][-12:])

    assert (row["transport"], row["dialect"], row["topics"], row["lag"]) == ("websocket", "eventing", ["order"], 0)
    assert row["id"][-8:] in listed.out
    assert "1 client" in listed.err
    assert (closed.code, closed.out) == (0, f"client {row['id']} is closed\n")
    with pytest.raises(ConnectionClosed) as ended:
        live.recv(PATIENCE)
    assert ended.value.rcvd is not None
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "closed by an admin")


def test_closing_a_client_that_is_not_there_says_so(call: Callable[..., Said]):
    assert call("clients", "list").out == "nobody is connected\n"

    said = call("clients", "close", "nobody")

    assert said.code == 5
    assert "appliance clients list" in said.err


def test_members_of_a_group_share_the_streams_of_a_category(served: Served, call: Callable[..., Said]):
    for n in range(12):
        call("publish", "Shared", "{}", "--stream", f"shared-{n}")

    def streams(member: str, count: int) -> set[str]:
        seen = call("subscribe", "shared", "--group", member, "--since", "0", "--count", str(count))
        return {line["stream"] for line in seen.lines}

    with Client(served.url, TOKEN) as client:
        sizes = [len(list(client.get_category("shared", member=member, size=2))) for member in (0, 1)]
    first, second = streams("0/2", sizes[0]), streams("1/2", sizes[1])

    assert len(first) + len(second) == 12
    assert first | second == {f"shared-{n}" for n in range(12)}
    for wrong in (("shared", "--group", "2/2"), ("shared", "--group", "one"), ("shared-1", "--group", "0/2")):
        assert call("subscribe", *wrong, "--count", "1").code not in (0, 1)


def test_data_is_read_from_a_file(call: Callable[..., Said], tmp_path: Path):
    (tmp_path / "order.json").write_text('{"total": 90}')

    call("publish", "Filed", f"@{tmp_path / 'order.json'}", "--stream", "filed-1")
    refused = call("publish", "Filed", f"@{tmp_path / 'nothing.json'}", "--stream", "filed-1")

    assert call("stream", "read", "filed-1").lines[0]["data"] == {"total": 90}
    assert "nothing.json" in refused.err


def test_tokens_are_listed_with_their_memories(call: Callable[..., Said]):
    call("token", "create", "--scope", "read", "--memory", "work", "--memory", "home", "--name", "bound")

    (line,) = [line for line in call("token", "list").out.splitlines() if "bound" in line]

    assert "home,work" in line or "work,home" in line
