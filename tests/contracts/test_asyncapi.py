"""The AsyncAPI document of the real process, held against what its live endpoints say to foreign clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.fixtures.schema import complaints
from tests.served import TOKEN, Served, serving

pytestmark = pytest.mark.timeout(120)

PATIENCE = 20.0  # seconds
OWNER = {"Authorization": f"Bearer {TOKEN}"}
JOB = {"job_id": "7", "job_type": "Embedding"}
EVENTS = [
    {"type": "JobQueued", **JOB, "memory": "work"},
    {"type": "JobStarted", **JOB},
    {"type": "JobProgress", "job_id": "7", "progress": 65},
    {"type": "JobCompleted", **JOB, "duration_ms": 12, "result": {"vectors": 3}},
    {"type": "JobFailed", **JOB, "error": "timed_out"},
    {"type": "JobsPaused", "scope": "global"},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{served.url}/asyncapi.json").raise_for_status().json()
    return found


def wrong(document: dict[str, Any], key: str, message: Any) -> list[str]:
    return complaints(message, document["components"]["messages"][key]["payload"], document)


@contextmanager
def a_socket(served: Served, target: str) -> Iterator[ClientConnection]:
    with connect(served.url.replace("http", "ws") + target, additional_headers=OWNER) as socket:
        yield socket


def post(served: Served, events: list[dict[str, Any]]) -> None:
    for event in events:
        httpx.post(f"{served.url}/api/v1/events", json=event, headers=OWNER).raise_for_status()


def test_every_channel_is_there_and_every_socket_is_described(served: Served, document: dict[str, Any]):
    addresses = {channel["address"] for channel in document["channels"].values()}
    openapi = httpx.get(f"{served.url}/openapi.json").json()["paths"]
    sockets = {path for path, at in openapi.items() if "101" in at.get("get", {}).get("responses", {})}

    assert addresses <= openapi.keys()
    assert sockets - addresses == {"/ws"}  # the short name of the first
    for address in sockets:
        with pytest.raises(InvalidStatus) as refused, connect(served.url.replace("http", "ws") + address):
            pass
        assert refused.value.response.status_code == 401


def test_what_the_eventing_socket_sends_is_as_described(served: Served, document: dict[str, Any]):
    with a_socket(served, "/api/v1/ws?types=job,jobs") as socket:
        said = [("bare.QueueStatus", json.loads(socket.recv(PATIENCE)))]
        post(served, EVENTS)
        said += [(f"bare.{event['type']}", json.loads(socket.recv(PATIENCE))) for event in EVENTS]
        for command in (
            {"type": "subscribe", "types": ["job"]},
            {"type": "subscribe", "types": 7},
            {"type": "unsubscribe"},
        ):
            socket.send(json.dumps(command))
            reply = json.loads(socket.recv(PATIENCE))
            said.append((f"eventing.{reply['type']}", reply))

    assert {key: wrong(document, key, message) for key, message in said} == {key: [] for key, _ in said}
    assert [key for key, _ in said[-3:]] == ["eventing.Subscribed", "eventing.Error", "eventing.Unsubscribed"]


@pytest.mark.parametrize("dialect", ["pascal", "fortemi"])
def test_what_the_event_stream_sends_is_as_described(served: Served, document: dict[str, Any], dialect: str):
    target = f"{served.url}/api/v1/events?types=job,jobs&dialect={dialect}"
    with httpx.stream("GET", target, headers=OWNER, timeout=PATIENCE) as answer:
        data = (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: "))
        said = [("events.Connected", next(data))]
        post(served, EVENTS)
        said += [(f"envelope.{event['type']}", next(data)) for event in EVENTS]

    assert {key: wrong(document, key, message) for key, message in said} == {key: [] for key, _ in said}


def test_what_a_tail_and_a_single_event_look_like_is_as_described(served: Served, document: dict[str, Any]):
    with a_socket(served, "/ws/tail?category=job") as socket:
        receipt = httpx.post(f"{served.url}/api/v1/events", json=EVENTS[0], headers=OWNER).json()
        stored = json.loads(socket.recv(PATIENCE))
    shown = httpx.get(f"{served.url}/api/v1/events/{receipt['id']}", headers=OWNER).json()

    assert stored["id"] == receipt["id"]
    assert wrong(document, "tail.StoredEvent", stored) == []
    assert wrong(document, "envelope.JobQueued", shown) == []
