"""Telemetry of the real process: ids that go through, traces that go on, records that can be queried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.contracts.receiver import Receiver, receiving
from tests.records import Recorded, connections, eventually, queue_depth, recording, throughput

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOTE = {"type": "NoteUpdated", "tags": [], "has_ai_content": False, "has_links": False}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Recorded]:
    allowed = f'[webhooks]\nallow = ["127.0.0.1:{receiver.port}"]\n[plugins.host]\nenabled = false\n'
    calm = {"APPLIANCE_TELEMETRY__LEVEL": "debug", "APPLIANCE_TELEMETRY__CANARY": "off"}  # its connections would count
    with recording(tmp_path_factory.mktemp("telemetry"), allowed, **calm) as found:
        yield found


def call(server: Recorded, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
    said = {"authorization": f"Bearer {server.token}"} | {name.replace("_", "-"): v for name, v in headers.items()}
    content = None if body is None else json.dumps(body)
    return httpx.request(method, f"{server.url}{path}", content=content, headers=said, timeout=10)


def post(server: Recorded, **event: Any) -> str:
    headers = {name: event.pop(name) for name in ("traceparent", "x_request_id") if name in event}
    reply = call(server, "POST", "/api/v1/events", event, **headers)
    assert reply.status_code in (201, 202), reply.text
    return str(reply.json()["id"])


@pytest.mark.parametrize("path", ["/livez", "/api/v1/clients", "/nowhere", "/api/v1/events/none/trace", "/rpc"])
def test_a_request_keeps_the_id_it_came_with(server: Recorded, path: str):
    reply = call(server, "GET", path, x_request_id="mine-7")

    assert reply.headers["x-request-id"] == "mine-7"
    assert reply.status_code < 400 or reply.json().get("request_id", "mine-7") == "mine-7"


def test_an_answer_of_the_rest_lane_has_an_id_of_its_own_and_no_id_is_believed_blindly(server: Recorded):
    made = call(server, "GET", "/api/v1/clients").headers["x-request-id"]
    unsafe = call(server, "GET", "/api/v1/clients", x_request_id="<script>").headers["x-request-id"]

    assert re.fullmatch(r"[0-9a-f]{10}-[0-9a-f]+", made)
    assert re.fullmatch(r"[0-9a-f]{10}-[0-9a-f]+", unsafe)


def test_what_is_logged_for_a_request_names_it_and_its_trace(server: Recorded, receiver: Receiver):
    made = call(
        server, "POST", "/api/v1/webhooks", {"url": receiver.url, "events": ["NoteDeleted"]},
        x_request_id="named-1", traceparent=PARENT,
    ).json()  # fmt: skip
    call(server, "DELETE", f"/api/v1/webhooks/{made['id']}")

    [line] = eventually(lambda: [one for one in server.records() if one.get("request_id") == "named-1"])
    assert (line["event"], line["trace_id"]) == ("webhook created", PARENT[3:35])


def test_a_trace_goes_on_from_request_to_event_to_webhook_and_log(server: Recorded, receiver: Receiver):
    made = call(server, "POST", "/api/v1/webhooks", {"url": receiver.url, "events": ["NoteUpdated"]}).json()
    before = len(receiver.taken)

    traced = post(server, note_id="t-1", traceparent=PARENT, **NOTE)
    plain = post(server, note_id="t-2", traceparent="00-nonsense", **NOTE)
    sent = receiver.until(before + 2)[before:]
    call(server, "DELETE", f"/api/v1/webhooks/{made['id']}")

    rows = {row[0]: row[6] for row in call(server, "POST", "/rpc", ["category.get", "note"]).json()}
    lines = {one.get("event.id"): one for one in eventually(lambda: _with(server, plain))}
    by_note = {json.loads(one.body)["note_id"]: one.headers for one in sent}
    assert rows[traced]["traceparent"] == PARENT
    assert "traceparent" not in rows[plain]
    assert lines[traced]["trace_id"] == PARENT[3:35]
    assert "trace_id" not in lines[plain]
    child = by_note["t-1"]["traceparent"]
    assert (child[:36], child[52:]) == (PARENT[:36], PARENT[52:])
    assert child != PARENT
    assert "traceparent" not in by_note["t-2"]


def _with(server: Recorded, id: str) -> list[Any]:
    lines = server.records()
    return list(lines) if any(line.get("event.id") == id for line in lines) else []


def test_records_tell_throughput_queue_depth_and_open_connections(server: Recorded):
    """UC-005: JSON logs, throughput, queue depth, open minus closed connections; within 10 s."""
    before = connections(server.records())
    socket = connect(
        f"ws://127.0.0.1:{server.port}/api/v1/ws", additional_headers={"Authorization": f"Bearer {server.token}"}
    )
    with socket:
        eventually(lambda: connections(server.records()) == before + 1, patience=10)
        for number in range(20):
            post(server, note_id=f"u-{number}", **NOTE)
        post(server, type="QueueStatus", total_jobs=5, running=2, pending=3)
        eventually(lambda: 5 in queue_depth(server.records()), patience=10)
        rates = throughput(server.records())
    eventually(lambda: connections(server.records()) == before, patience=10)

    assert rates["NoteUpdated"] > 0
    closed = [one for one in server.records() if one.get("event.type") == "ConnectionClosed"][-1]
    assert (closed["client_ip"], closed["transport"], closed["reason"]) == ("127.0.0.1", "websocket", "left")
    assert closed["duration_s"] > 0


def test_metrics_are_seen_within_ten_seconds(server: Recorded):
    """test_telemetry_counter_metrics, test_telemetry_gauge_metrics (#45), on the real route"""

    def metric(name: str) -> float:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    before = metric('events_emitted_total{type="NoteUpdated"}'), metric("auth_failures_total")
    post(server, note_id="m-1", **NOTE)
    post(server, type="QueueStatus", total_jobs=9, running=4, pending=5)
    refused = httpx.get(f"{server.url}/api/v1/clients")
    with pytest.raises(Exception, match="401"):
        connect(f"ws://127.0.0.1:{server.port}/api/v1/ws")

    assert refused.status_code == 401
    assert metric('events_emitted_total{type="NoteUpdated"}') == before[0] + 1
    assert metric('queue_depth{state="running"}') == 4
    assert metric("auth_failures_total") == before[1] + 2
    assert metric('websocket_connections_rejected_total{reason="unauthenticated"}') >= 1
    assert metric("event_emit_latency_seconds_count") > 0


def test_the_canary_travels_every_leg_of_the_real_port_and_bothers_nobody(tmp_path: Path):
    """Over TLS, which it has to speak to itself."""
    with recording(tmp_path, "", APPLIANCE_TLS__MODE="auto", APPLIANCE_TELEMETRY__CANARY="1s") as server:
        asked = partial(httpx.get, headers={"authorization": f"Bearer {server.token}"}, verify=False)
        told = eventually(lambda: _flown(asked(f"https://127.0.0.1:{server.port}/api/v1/canary").json()))
        status = asked(f"https://127.0.0.1:{server.port}/status").json()
        metrics = asked(f"https://127.0.0.1:{server.port}/metrics").text
        mine = asked(f"https://127.0.0.1:{server.port}/export").text

    assert (told["trouble"], {leg["misses"] for leg in told["legs"]}) == ("", {0})
    assert [leg["name"] for leg in told["legs"]] == ["append", "bus", "websocket", "sse", "webhook"]
    assert all(0 < leg["last_ms"] < 5000 for leg in told["legs"])
    assert status["canary"] in ("ok", "late")
    assert 'appliance_canary_latency_seconds{leg="webhook"}' in metrics
    assert "CanaryFlown" not in mine


def _flown(told: Any) -> Any:
    return told if told["flown_at"] else None
