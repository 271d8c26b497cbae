"""The SDK test specification of the message-store API, id by id: what each demands of a server.

ERROR-004 to -007 are about the client; ours stands in for it.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from appliance.auth.tokens import make_token
from appliance.client import Client
from appliance.errors import ApplianceError
from tests.contracts.message_store.store import Failed, Store, message
from tests.served import Served

Demand = Callable[["Suite"], None]

DEMANDS: dict[str, Demand] = {}
COUNTS = {"WRITE": 10, "READ": 10, "LAST": 4, "VERSION": 3, "CATEGORY": 8, "NS": 18, "SYS": 2, "AUTH": 4, "ERROR": 7}
COUNTS |= {"ENCODING": 10, "EDGE": 8, "SSE": 12}


@dataclass
class Suite:
    """What a demand may use."""

    store: Store  # a fresh namespace
    owner: Store
    server: Served
    strict: Served  # tokens count there

    def code(self, *call: Any, by: Store | None = None) -> str:
        with pytest.raises(Failed) as failed:
            (by or self.store).call(*call)
        return str(failed.value.code)

    def round_trip(self, **fields: Any) -> list[Any]:
        self.store.call("stream.write", "test-1", message(**fields))
        return self.store.get("test-1")[-1]

    def fresh(self, name: str) -> str:
        """A namespace id that no other test uses."""
        return f"{name}-{self.store.token[3:20]}"


def demand(id: str) -> Callable[[Demand], Demand]:
    def add(check: Demand) -> Demand:
        assert id not in DEMANDS
        DEMANDS[id] = check
        return check

    return add


@pytest.mark.parametrize(
    "id", [f"{kind}-{number:03}" for kind, count in COUNTS.items() for number in range(1, count + 1)]
)
def test_server_meets_the_demand(id: str, store: Store, owner: Store, server: Served, strict: Served):
    """WRITE, READ, LAST, VERSION, CATEGORY, NS, SYS, AUTH, ERROR, ENCODING, EDGE, SSE"""
    DEMANDS[id](Suite(store, owner, server, strict))


# WRITE


@demand("WRITE-001")
def _(suite: Suite) -> None:
    (receipt,) = suite.store.write("test-1")
    assert receipt["position"] >= 0
    assert receipt["globalPosition"] >= 0


@demand("WRITE-002")
def _(suite: Suite) -> None:
    assert suite.round_trip(metadata={"correlationId": "c-1"})[5] == {"correlationId": "c-1"}


@demand("WRITE-003")
def _(suite: Suite) -> None:
    suite.store.write("test-1", id="550e8400-e29b-41d4-a716-446655440000")
    assert suite.store.get("test-1")[0][0] == "550e8400-e29b-41d4-a716-446655440000"


@demand("WRITE-004")
def _(suite: Suite) -> None:
    suite.store.write("test-1", "A", "B")
    assert suite.store.write("test-1", expectedVersion=1)[0]["position"] == 2


@demand("WRITE-005")
def _(suite: Suite) -> None:
    suite.store.write("test-1", "A", "B")
    assert suite.code("stream.write", "test-1", message(), {"expectedVersion": 5}) == "STREAM_VERSION_CONFLICT"


@demand("WRITE-006")
def _(suite: Suite) -> None:
    receipts = suite.store.write("test-1", *"ABCDE")
    assert [receipt["position"] for receipt in receipts] == [0, 1, 2, 3, 4]
    places = [receipt["globalPosition"] for receipt in receipts]
    assert places == sorted(set(places))


@demand("WRITE-007")
def _(suite: Suite) -> None:
    assert suite.store.write("account-123")[0]["position"] == 0


@demand("WRITE-008")
def _(suite: Suite) -> None:
    assert suite.round_trip(data={})[4] == {}


@demand("WRITE-009")
def _(suite: Suite) -> None:
    assert suite.round_trip(metadata=None)[5] is None


@demand("WRITE-010")
def _(suite: Suite) -> None:
    assert suite.code("stream.write", "test-1", message(), by=Store(suite.strict.url)) == "AUTH_REQUIRED"


# READ


@demand("READ-001")
def _(suite: Suite) -> None:
    assert suite.store.get("test-none") == []


@demand("READ-002")
def _(suite: Suite) -> None:
    (row,) = [suite.round_trip()]
    assert len(row) == 7


@demand("READ-003")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABCDE")
    assert [row[2] for row in suite.store.get("test-1")] == [0, 1, 2, 3, 4]


@demand("READ-004")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABCDEFGHIJ")
    assert [row[2] for row in suite.store.get("test-1", position=5)] == [5, 6, 7, 8, 9]


@demand("READ-005")
def _(suite: Suite) -> None:
    receipts = suite.store.write("test-1", *"ABCD")
    rows = suite.store.get("test-1", globalPosition=receipts[2]["globalPosition"])
    assert [row[2] for row in rows] == [2, 3]


@demand("READ-006")
def _(suite: Suite) -> None:
    suite.store.call("stream.writeMany", [{"stream": "test-1", **message()}] * 100)
    assert len(suite.store.get("test-1", batchSize=10)) == 10


@demand("READ-007")
def _(suite: Suite) -> None:
    suite.store.call("stream.writeMany", [{"stream": "test-1", **message()}] * 50)
    assert len(suite.store.get("test-1", batchSize=-1)) == 50


@demand("READ-008")
def _(suite: Suite) -> None:
    data = {"text": "x", "list": [1, {"a": None}], "flag": True, "number": 1.5}
    assert suite.round_trip(data=data)[4] == data


@demand("READ-009")
def _(suite: Suite) -> None:
    metadata = {"correlationId": "123", "userId": "u", "deep": {"a": [1]}}
    assert suite.round_trip(metadata=metadata)[5] == metadata


@demand("READ-010")
def _(suite: Suite) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", suite.round_trip()[6])


# LAST, VERSION


@demand("LAST-001")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABCDE")
    assert suite.store.call("stream.last", "test-1", {})[2] == 4


@demand("LAST-002")
def _(suite: Suite) -> None:
    assert suite.store.call("stream.last", "test-none") is None


@demand("LAST-003")
def _(suite: Suite) -> None:
    suite.store.write("test-1", "A", "B", "A")
    assert suite.store.call("stream.last", "test-1", {"type": "B"})[1:3] == ["B", 1]


@demand("LAST-004")
def _(suite: Suite) -> None:
    suite.store.write("test-1", "A")
    assert suite.store.call("stream.last", "test-1", {"type": "B"}) is None


@demand("VERSION-001")
def _(suite: Suite) -> None:
    assert suite.store.call("stream.version", "test-none") is None


@demand("VERSION-002")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABCDE")
    assert suite.store.call("stream.version", "test-1") == 4


@demand("VERSION-003")
def _(suite: Suite) -> None:
    suite.store.write("test-1", "A")
    before = suite.store.call("stream.version", "test-1")
    suite.store.write("test-1", "B")
    assert (before, suite.store.call("stream.version", "test-1")) == (0, 1)


# CATEGORY


@demand("CATEGORY-001")
def _(suite: Suite) -> None:
    for stream in ("test-1", "test-2", "test-3"):
        suite.store.write(stream)
    assert {row[1] for row in suite.store.category("test")} == {"test-1", "test-2", "test-3"}


@demand("CATEGORY-002")
def _(suite: Suite) -> None:
    places = [suite.store.write(f"test-{n}")[0]["globalPosition"] for n in range(4)]
    assert [row[4] for row in suite.store.category("test", position=places[2])] == places[2:]


@demand("CATEGORY-003")
def _(suite: Suite) -> None:
    suite.store.call("stream.writeMany", [{"stream": f"test-{n % 5}", **message()} for n in range(50)])
    assert len(suite.store.category("test", batchSize=10)) == 10


@demand("CATEGORY-004")
def _(suite: Suite) -> None:
    suite.store.write("test-123")
    (row,) = suite.store.category("test")
    assert (len(row), row[1]) == (8, "test-123")


@demand("CATEGORY-005")
def _(suite: Suite) -> None:
    for number in range(1, 5):
        suite.store.write(f"test-{number}")
    some = suite.store.category("test", consumerGroup={"member": 0, "size": 2})
    again = suite.store.category("test", consumerGroup={"member": 0, "size": 2})
    assert some == again
    assert 0 < len(some) < 4


@demand("CATEGORY-006")
def _(suite: Suite) -> None:
    for stream, flow in (("test-1", "workflow-123"), ("test-2", "other-456")):
        suite.store.call("stream.write", stream, message(metadata={"correlationStreamName": flow}))
    assert [row[1] for row in suite.store.category("test", correlation="workflow")] == ["test-1"]


@demand("CATEGORY-007")
def _(suite: Suite) -> None:
    assert suite.store.category("nonexistent") == []


@demand("CATEGORY-008")
def _(suite: Suite) -> None:
    for number in (3, 1, 2, 1):
        suite.store.write(f"test-{number}")
    places = [row[4] for row in suite.store.category("test")]
    assert places == sorted(places)


# NS


@demand("NS-001")
def _(suite: Suite) -> None:
    made = suite.owner.call("ns.create", suite.fresh("made"), {"description": "Test namespace"})
    assert set(made) == {"namespace", "token", "createdAt"}
    assert made["token"].startswith("ns_")


@demand("NS-002")
def _(suite: Suite) -> None:
    name = suite.fresh("custom")
    token = make_token(name, b"\x09" * 32)
    assert suite.owner.call("ns.create", name, {"token": token})["token"] == token
    assert Store(suite.server.url, token).get("test-1") == []


@demand("NS-003")
def _(suite: Suite) -> None:
    name = suite.fresh("duplicate")
    suite.owner.call("ns.create", name)
    assert suite.code("ns.create", name, by=suite.owner) == "NAMESPACE_EXISTS"


@demand("NS-004")
def _(suite: Suite) -> None:
    name = suite.fresh("delete")
    suite.owner.call("ns.create", name)
    assert set(suite.owner.call("ns.delete", name)) == {"namespace", "deletedAt", "messagesDeleted"}


@demand("NS-005")
def _(suite: Suite) -> None:
    assert suite.code("ns.delete", "does-not-exist", by=suite.owner) == "NAMESPACE_NOT_FOUND"


@demand("NS-006")
def _(suite: Suite) -> None:
    rows = suite.owner.call("ns.list")
    assert {frozenset(row) for row in rows} == {frozenset({"namespace", "description", "createdAt", "messageCount"})}


@demand("NS-007")
def _(suite: Suite) -> None:
    name = suite.fresh("info")
    token = suite.owner.call("ns.create", name)["token"]
    Store(suite.server.url, token).write("test-1", *"ABCDE")
    assert suite.owner.call("ns.info", name)["messageCount"] == 5


@demand("NS-008")
def _(suite: Suite) -> None:
    assert suite.code("ns.info", "does-not-exist", by=suite.owner) == "NAMESPACE_NOT_FOUND"


@demand("NS-009")
def _(suite: Suite) -> None:
    suite.store.write("test-1")
    (row,) = suite.store.call("ns.streams")
    assert set(row) == {"stream", "version", "lastActivity"}


@demand("NS-010")
def _(suite: Suite) -> None:
    assert suite.store.call("ns.streams", {}) == []


@demand("NS-011")
def _(suite: Suite) -> None:
    for stream in ("account-1", "account-2", "order-1"):
        suite.store.write(stream)
    rows = suite.store.call("ns.streams", {"prefix": "account"})
    assert [row["stream"] for row in rows] == ["account-1", "account-2"]


@demand("NS-012")
def _(suite: Suite) -> None:
    for number in range(5):
        suite.store.write(f"test-{number}")
    first = suite.store.call("ns.streams", {"limit": 2})
    second = suite.store.call("ns.streams", {"limit": 2, "cursor": first[-1]["stream"]})
    assert [row["stream"] for row in first + second] == ["test-0", "test-1", "test-2", "test-3"]


@demand("NS-013")
def _(suite: Suite) -> None:
    suite.store.write("test-1", "A", "B", "C")
    assert suite.store.call("ns.streams")[0]["version"] == 2


@demand("NS-014")
def _(suite: Suite) -> None:
    suite.store.write("test-1")
    (row,) = suite.store.call("ns.categories")
    assert set(row) == {"category", "streamCount", "messageCount"}


@demand("NS-015")
def _(suite: Suite) -> None:
    assert suite.store.call("ns.categories") == []


@demand("NS-016")
def _(suite: Suite) -> None:
    for stream in ("order-1", "account-1", "account-2"):
        suite.store.write(stream)
    assert [row["category"] for row in suite.store.call("ns.categories")] == ["account", "order"]


@demand("NS-017")
def _(suite: Suite) -> None:
    for stream in ("account-1", "account-1", "account-2"):
        suite.store.write(stream)
    assert suite.store.call("ns.categories") == [{"category": "account", "streamCount": 2, "messageCount": 3}]


@demand("NS-018")
def _(suite: Suite) -> None:
    suite.store.write("plain")
    assert suite.store.call("ns.categories") == [{"category": "plain", "streamCount": 1, "messageCount": 1}]


# SYS, AUTH


@demand("SYS-001")
def _(suite: Suite) -> None:
    assert re.match(r"\d+\.\d+\.\d+", suite.store.call("sys.version"))


@demand("SYS-002")
def _(suite: Suite) -> None:
    health = suite.store.call("sys.health")
    assert (health["status"], health["backend"]) == ("ok", "sqlite")


@demand("AUTH-001")
def _(suite: Suite) -> None:
    assert Store(suite.strict.url, suite.strict.token).write("auth-1")[0]["position"] >= 0


@demand("AUTH-002")
def _(suite: Suite) -> None:
    assert suite.code("stream.write", "auth-1", message(), by=Store(suite.strict.url)) == "AUTH_REQUIRED"


@demand("AUTH-003")
def _(suite: Suite) -> None:
    stranger = Store(suite.strict.url, "invalid-token")
    assert suite.code("stream.write", "auth-1", message(), by=stranger) == "AUTH_INVALID_TOKEN"


@demand("AUTH-004")
def _(suite: Suite) -> None:
    owner = Store(suite.strict.url, suite.strict.token)
    one, two = (Store(owner.url, owner.call("ns.create", suite.fresh(name))["token"]) for name in ("one", "two"))
    one.write("test-1")
    assert two.get("test-1") == []


# ERROR


@demand("ERROR-001")
def _(suite: Suite) -> None:
    assert suite.code("invalid.method") == "METHOD_NOT_FOUND"


@demand("ERROR-002")
def _(suite: Suite) -> None:
    assert suite.code("stream.write", "test-1") == "INVALID_REQUEST"


@demand("ERROR-003")
def _(suite: Suite) -> None:
    assert suite.code("stream.write", 123, message()) == "INVALID_REQUEST"


@demand("ERROR-004")
def _(suite: Suite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(ApplianceError) as failed:
        client.version("test-1")
    assert failed.value.code == "unreachable"


class _Odd(BaseHTTPRequestHandler):
    """Answers wrongly."""

    answer: tuple[int, bytes] = (200, b"")
    hangs: threading.Event | None = None

    def do_POST(self) -> None:
        if self.hangs is not None:
            self.hangs.wait()
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def _told_by_a_server_that(timeout: float = 20.0, **does: Any) -> ApplianceError:
    """What our client makes of it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Odd", (_Odd,), does)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            client = Client(f"http://127.0.0.1:{server.server_port}", timeout=timeout, sleep=lambda seconds: None)
            with client, pytest.raises(ApplianceError) as failed:
                client.version("test-1")
        finally:
            if hanging := does.get("hangs"):
                hanging.set()
            server.shutdown()
            thread.join()
    return failed.value


@demand("ERROR-005")
def _(suite: Suite) -> None:
    assert _told_by_a_server_that(answer=(200, b"{nonsense")).message


@demand("ERROR-006")
def _(suite: Suite) -> None:
    assert _told_by_a_server_that(timeout=0.1, hangs=threading.Event(), answer=(200, b"1")).message


@demand("ERROR-007")
def _(suite: Suite) -> None:
    assert _told_by_a_server_that(answer=(500, b"oops")).code == "peer_failed"


# ENCODING

TEXTS: dict[str, dict[str, Any]] = {
    "ENCODING-001": {"data": {"text": "Hello 世界 🌍 émojis"}},
    "ENCODING-002": {"metadata": {"description": "Test 测试 🎉"}},
    "ENCODING-004": {"data": {"emptyString": ""}},
    "ENCODING-005": {"data": {"isTrue": True, "isFalse": False}},
    "ENCODING-006": {"data": {"nullValue": None}},
    "ENCODING-007": {"data": {"integer": 42, "float": 3.14159, "negative": -100, "zero": 0, "big": 2**63 + 1}},
    "ENCODING-008": {"data": {"level1": {"level2": {"level3": {"value": "deep"}}}}},
    "ENCODING-009": {"data": {"items": [1, "two", {"three": 3}, None, True]}},
    "ENCODING-010": {"data": {"large": "x" * 100_000}},
}


def _keeps(fields: dict[str, Any]) -> Demand:
    def check(suite: Suite) -> None:
        row = suite.round_trip(**fields)
        assert json.dumps([row[4], row[5]]) == json.dumps([fields.get("data", {}), fields.get("metadata")])

    return check


for _id, _fields in TEXTS.items():
    DEMANDS[_id] = _keeps(_fields)


@demand("ENCODING-003")
def _(suite: Suite) -> None:
    suite.store.write("test-stream_123.abc")
    assert len(suite.store.get("test-stream_123.abc")) == 1


# EDGE


@demand("EDGE-001")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABCDEFGHIJ")
    assert suite.store.get("test-1", batchSize=0) == []


@demand("EDGE-002")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABC")
    assert len(suite.store.get("test-1", position=-1)) == 3


@demand("EDGE-003")
def _(suite: Suite) -> None:
    with pytest.raises(Failed, match="INVALID_REQUEST") as failed:
        suite.store.get("test-1", batchSize=1_000_000)
    assert re.search("batchSize", failed.value.message, re.IGNORECASE)


@demand("EDGE-004")
def _(suite: Suite) -> None:
    names = ["a", "stream-with-many-dashes", "stream123", "UPPERCASE"]
    for name in names:
        suite.store.write(name)
    assert [len(suite.store.get(name)) for name in names] == [1, 1, 1, 1]
    assert suite.store.get("uppercase") == []


@demand("EDGE-005")
def _(suite: Suite) -> None:
    def write(_: int) -> int:
        return Store(suite.store.url, suite.store.token).write("test-1")[0]["position"]

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(write, range(10))) == list(range(10))


@demand("EDGE-006")
def _(suite: Suite) -> None:
    suite.store.write("test-1", *"ABCDE")
    assert suite.store.get("test-1", position=100) == []


@demand("EDGE-007")
def _(suite: Suite) -> None:
    assert suite.store.write("test-1", expectedVersion=-1)[0]["position"] == 0
    assert suite.code("stream.write", "test-1", message(), {"expectedVersion": -1}) == "STREAM_VERSION_CONFLICT"


@demand("EDGE-008")
def _(suite: Suite) -> None:
    assert suite.code("stream.write", "test-1", message(), {"expectedVersion": 0}) == "STREAM_VERSION_CONFLICT"


# SSE


@demand("SSE-001")
def _(suite: Suite) -> None:
    with suite.store.subscribe(stream="sse-1") as pokes:
        (receipt,) = suite.store.write("sse-1")
        assert pokes.take(1) == [{"stream": "sse-1", **receipt}]


@demand("SSE-002")
def _(suite: Suite) -> None:
    with suite.store.subscribe(category="sse") as pokes:
        suite.store.write("sse-123")
        assert pokes.take(1)[0]["stream"] == "sse-123"


@demand("SSE-003")
def _(suite: Suite) -> None:
    suite.store.write("sse-1", *"ABCDE")
    with suite.store.subscribe(stream="sse-1", position=3) as pokes:
        assert [poke["position"] for poke in pokes.take(2)] == [3, 4]


@demand("SSE-004")
def _(suite: Suite) -> None:
    status, body = Store(suite.strict.url).send("GET", "/subscribe?stream=sse-1")
    assert (status, json.loads(body)["error"]["code"]) == (401, "AUTH_REQUIRED")


@demand("SSE-005")
def _(suite: Suite) -> None:
    with suite.store.subscribe(category="sse", consumer=0, size=2) as pokes:
        for number in range(8):
            suite.store.write(f"sse-{number}")
        mine = suite.store.category("sse", consumerGroup={"member": 0, "size": 2})
        assert [poke["stream"] for poke in pokes.take(len(mine))] == [row[1] for row in mine]


@demand("SSE-006")
def _(suite: Suite) -> None:
    with suite.store.subscribe(stream="sse-1") as one, suite.store.subscribe(stream="sse-2") as two:
        suite.store.write("sse-2")
        suite.store.write("sse-1")
        assert [pokes.take(1)[0]["stream"] for pokes in (one, two)] == ["sse-1", "sse-2"]


@demand("SSE-007")
def _(suite: Suite) -> None:
    with suite.store.subscribe(stream="sse-1") as pokes:
        suite.store.write("sse-1", "A", "B")
        last = pokes.take(2)[-1]["position"]
    suite.store.write("sse-1", "C", "D")
    with suite.store.subscribe(stream="sse-1", position=last + 1) as pokes:
        assert [poke["position"] for poke in pokes.take(2)] == [2, 3]


@demand("SSE-008")
def _(suite: Suite) -> None:
    with suite.store.subscribe(stream="sse-1") as pokes:
        suite.store.write("sse-1")
        assert list(pokes.take(1)[0]) == ["stream", "position", "globalPosition"]


@demand("SSE-009")
def _(suite: Suite) -> None:
    with (
        suite.store.subscribe(category="sse", consumer=0, size=2) as one,
        suite.store.subscribe(category="sse", consumer=1, size=2) as two,
    ):
        for number in range(1, 5):
            suite.store.write(f"sse-{number}")
        shares = [suite.store.category("sse", consumerGroup={"member": member, "size": 2}) for member in (0, 1)]
        heard = [
            {poke["stream"] for poke in pokes.take(len(share))} for pokes, share in zip((one, two), shares, strict=True)
        ]
    assert heard[0] | heard[1] == {f"sse-{number}" for number in range(1, 5)}
    assert not heard[0] & heard[1]


@demand("SSE-010")
def _(suite: Suite) -> None:
    with suite.store.subscribe(all="true") as pokes:
        suite.store.write("a-1")
        suite.store.write("b-1")
        assert [poke["stream"] for poke in pokes.take(2)] == ["a-1", "b-1"]


@demand("SSE-011")
def _(suite: Suite) -> None:
    with suite.store.subscribe(all="true", position=3) as pokes:
        suite.store.write("a-1", *"ABCD")
        assert [poke["globalPosition"] for poke in pokes.take(2)] == [3, 4]


@demand("SSE-012")
def _(suite: Suite) -> None:
    assert suite.store.send("GET", "/subscribe?all=true&stream=a")[0] == 400
