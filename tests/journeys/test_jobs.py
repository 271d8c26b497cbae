"""Jobs against the real process: the routes clients know, live events, rights, the command line, and a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.commands import Said, caller
from tests.records import eventually
from tests.served import PATIENCE, ROOT, Served, serving

PATH = "/api/v1/jobs"
CONFIG = f"""
plugins_path = ["{ROOT}/tests/fixtures/plugins"]
[jobs]
grace = "100ms"
retry_timeout = "50ms"
[events]
queue_status = "200ms"
[plugins.labour]
"""
ROW = {
    *("id", "note_id", "job_type", "status", "priority", "payload", "result", "error_message", "progress_percent"),
    *("progress_message", "retry_count", "max_retries", "created_at", "started_at", "completed_at", "cost_tier"),
}
NUMBERS = {"pending", "delayed", "processing", "completed_last_hour", "failed_last_hour", "dead", "incompatible"}
SECRETS = [
    "/home/ann/diary.txt",
    "postgres://u:hunter2@h/db",
    "SELECT name FROM people",
    "ann.lee@example.org",
    "Bearer mm_at_0123456789abcdef01234567",
    "192.168.77.20",
]


def configured(folder: Path) -> list[str]:
    (folder / "appliance.toml").write_text(CONFIG)
    return [f"--config={folder / 'appliance.toml'}"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("jobs")
    with serving(folder, arguments=configured(folder)) as server:
        yield server


@pytest.fixture
def api(served: Served) -> Iterator[httpx.Client]:
    with client(served) as found:
        yield found


@pytest.fixture
def call(served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    return caller(served, capfd, monkeypatch)


def client(served: Served, token: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {token or served.token}"}
    return httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE)


def queue(api: httpx.Client, type: str, /, memory: str = "", **body: Any) -> str:
    headers = {"X-Fortemi-Memory": memory} if memory else {}
    reply = api.post(PATH, json={"job_type": type, **body}, headers=headers)
    assert reply.status_code == 201, reply.text
    id: str = reply.json()["id"]
    return id


def until(api: httpx.Client, id: str, *statuses: str, **query: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while True:
        row: dict[str, Any] = api.get(f"{PATH}/{id}", params=query).json()
        if row.get("status") in statuses:
            return row
        assert time.monotonic() < end, row
        time.sleep(0.01)


def told(api: httpx.Client, id: str) -> list[str]:
    return [event["type"] for event in api.get(f"{PATH}/{id}/events").json()["events"]]


def test_a_job_is_queued_in_either_spelling_and_shown_in_one(api: httpx.Client):
    reply = api.post(PATH, json={"job_type": "Toil", "note_id": "n-1", "payload": {"steps": 1}, "priority": 3})
    other = queue(api, "toil")
    row = until(api, reply.json()["id"], "completed")

    assert (reply.status_code, reply.json()["status"]) == (201, "queued")
    assert reply.json()["message"] == "Toil job queued"
    assert row.keys() >= ROW
    assert (row["job_type"], row["note_id"], row["priority"], row["payload"]) == ("toil", "n-1", 3, {"steps": 1})
    assert (row["result"], row["progress_percent"], row["error_message"]) == ({"steps": 1}, 100, None)
    assert until(api, other, "completed")["job_type"] == "toil"


def test_events_of_a_job_are_live_in_order_and_kept(api: httpx.Client, served: Served):
    """test_job_completion_emits_server_event (#40)"""
    address = f"{served.url.replace('http', 'ws')}/api/v1/ws?types=job"
    with connect(address, additional_headers={"Authorization": f"Bearer {served.token}"}) as socket:
        json.loads(socket.recv(PATIENCE))
        began = time.monotonic()
        id = queue(api, "toil", note_id="n-2", payload={"steps": 2})
        live: list[dict[str, Any]] = []
        while not live or live[-1]["type"] != "JobCompleted":
            live.append(json.loads(socket.recv(PATIENCE)))
        took = time.monotonic() - began

    stored = [one["type"] for one in live if not one.get("ephemeral")]
    assert stored == told(api, id) == ["JobQueued", "JobStarted", "JobCompleted"]
    assert {one["job_id"] for one in live} == {id}
    assert {one["note_id"] for one in live} == {"n-2"}
    assert took < 5
    assert all({"seq", "event_id", "timestamp"} <= one.keys() for one in live)
    assert next(one["progress"] for one in live if one["type"] == "JobProgress") == 0


def test_a_failure_is_told_by_its_code_and_lies_on_the_shelf(api: httpx.Client):
    """test_job_failure_emits_server_event (#40)"""
    id = queue(api, "refuse", payload={"words": "the disk connection was refused"})
    row = until(api, id, "failed")
    events = api.get(f"{PATH}/{id}/events").json()["events"]
    (letter,) = [one for one in api.get("/api/v1/dead-letters").json()["dead_letters"] if one["job_id"] == id]

    assert (row["error_code"], row["retry_count"], row["max_retries"]) == ("connection_failed", 0, 1)
    assert events[-1]["payload"] == {
        "type": "JobFailed",
        "job_id": id,
        "job_type": "Refuse",
        "error": "connection_failed",
    }
    assert (letter["kind"], letter["source"], letter["reason"]) == ("job", "Refuse", "connection_failed")


def test_what_stumbles_gets_up_again(api: httpx.Client):
    id = queue(api, "stumble", payload={"times": 2})
    row = until(api, id, "completed")

    assert row["retry_count"] == 2
    assert [one["outcome"] for one in row["attempts"]] == ["retried", "retried", "completed"]
    assert [one["error_code"] for one in row["attempts"]] == ["model_backend_error", "model_backend_error", None]
    assert {one["payload_bytes"] for one in row["attempts"]} == {len('{"times":2}')}


@pytest.mark.parametrize("secret", SECRETS)
def test_no_answer_and_no_event_and_no_log_line_holds_a_secret(api: httpx.Client, served: Served, secret: str):
    failed = queue(api, "refuse", payload={"words": f"cannot do {secret}"})
    shown = queue(api, "toil", payload={"steps": 0}, note_id="n-3")
    until(api, failed, "failed")
    until(api, shown, "completed")

    paths = [PATH, f"{PATH}/{failed}", f"{PATH}/{failed}/events", "/api/v1/dead-letters", f"{PATH}/stats", "/metrics"]
    assert not [path for path in paths if secret in api.get(path).text]
    assert secret not in served.errors


def test_the_listing_filters_and_turns_pages(api: httpx.Client):
    ids = [queue(api, "nothing", note_id="n-list") for _ in range(7)]
    for id in ids:
        until(api, id, "completed")

    def listed(**query: object) -> list[str]:
        reply = api.get(PATH, params={"note_id": "n-list", **query})
        assert reply.status_code == 200, reply.text
        assert reply.json().keys() == {"jobs", "total"} | NUMBERS
        return [row["id"] for row in reply.json()["jobs"]]

    newest = list(reversed(ids))
    assert listed() == newest
    assert listed(limit=3) == newest[:3]
    assert listed(limit=3, offset=3) == newest[3:6]
    assert listed(limit=3, after=newest[2]) == newest[3:6]
    assert listed(status="completed", job_type="Nothing", limit=1) == newest[:1]
    assert listed(status="failed") == listed(job_type="toil") == []
    assert api.get(PATH, params={"note_id": "n-list", "limit": 2}).json()["total"] == 7


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"job_type": "nobody"}, 400),
        ({"job_type": ""}, 400),
        ({}, 400),
        ({"job_type": "toil", "payload": [1]}, 400),
        ({"job_type": "toil", "priority": "high"}, 400),
        ({"job_type": "toil", "surprise": 1}, 400),
        ({"job_type": "nothing", "note_id": "missing"}, 404),
    ],
)
def test_what_cannot_be_queued_is_refused_with_a_hint(api: httpx.Client, body: dict[str, Any], status: int):
    reply = api.post(PATH, json=body)

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


def test_bad_questions_are_refused(api: httpx.Client):
    asked = [f"{PATH}?status=odd", f"{PATH}?limit=0", f"{PATH}?limit=9999", f"{PATH}?offset=-1"]

    assert [api.get(path).status_code for path in asked] == [400] * 4
    assert api.get(f"{PATH}/nobody").status_code == 404
    assert api.delete(f"{PATH}/nobody").status_code == 404


def test_the_same_request_is_the_same_job_and_a_second_one_is_not_wanted(api: httpx.Client):
    key = {"Idempotency-Key": "once-7"}
    body = {"job_type": "toil", "note_id": "n-dup", "payload": {"steps": 5, "pause": 0.2}}
    first, again = api.post(PATH, json=body, headers=key), api.post(PATH, json=body, headers=key)
    second = api.post(PATH, json={**body, "deduplicate": True})

    assert first.json()["id"] == again.json()["id"]
    assert (second.status_code, second.json()) == (200, {"id": None, "status": "already_pending"})
    until(api, first.json()["id"], "completed")
    assert api.post(PATH, json={**body, "deduplicate": True}).status_code == 201


def test_a_job_is_cancelled_and_wanted_again(api: httpx.Client):
    waiting, running = queue(api, "toil", delay_s=3600), queue(api, "toil", payload={"steps": 600, "pause": 0.1})
    until(api, running, "running")

    at_once, asked = api.delete(f"{PATH}/{waiting}"), api.delete(f"{PATH}/{running}")
    until(api, running, "cancelled")
    wanted = api.post(f"{PATH}/{waiting}/retry")

    assert (at_once.status_code, at_once.json()) == (200, {"id": waiting, "status": "cancelled"})
    assert (asked.status_code, asked.json()) == (202, {"id": running, "status": "cancelling"})
    assert told(api, running) == ["JobQueued", "JobStarted", "JobFailed"]
    assert wanted.status_code == 202
    assert until(api, waiting, "completed")["error_code"] is None
    assert api.delete(f"{PATH}/{waiting}").status_code == 409
    assert api.post(f"{PATH}/{waiting}/retry").status_code == 409


def test_pausing_a_memory_holds_its_jobs_alone(api: httpx.Client):
    paused = api.post(f"{PATH}/pause/kitchen")
    held, free = queue(api, "nothing", memory="kitchen"), queue(api, "nothing")
    until(api, free, "completed")
    status = api.get(f"{PATH}/status").json()
    during = api.get(f"{PATH}/{held}").json()
    resumed = api.post(f"{PATH}/resume/kitchen")
    until(api, held, "completed")

    assert paused.json() == {"status": "paused", "scope": "archive", "archive": "kitchen"}
    assert (status["global"], status["archives"]) == ("running", {"kitchen": "paused"})
    assert (during["status"], during["memory"]) == ("pending", "kitchen")
    assert resumed.json() == {"status": "resumed", "scope": "archive", "archive": "kitchen"}
    written = api.post("/rpc", content=json.dumps(["stream.get", "jobs", {"batchSize": 100}])).json()
    assert [message[1] for message in written] == ["JobsPaused", "JobsResumed"]


def test_each_sees_the_jobs_of_its_memory(api: httpx.Client, served: Served):
    def token(*scopes: str, memories: tuple[str, ...] = ()) -> str:
        body = {"scopes": scopes, "memories": memories}
        made: str = api.post("/api/v1/tokens", json=body).json()["token"]
        return made

    reader, cook = token("read"), token("read", "write", memories=("attic",))
    with client(served, reader) as read, client(served, cook) as bound:
        own = queue(bound, "nothing")
        other = queue(api, "nothing", memory="cellar")
        until(api, own, "completed", memory="attic")

        assert bound.get(f"{PATH}/{own}").json()["memory"] == "attic"
        assert bound.get(f"{PATH}/{other}").status_code == 404
        assert bound.get(PATH, headers={"X-Fortemi-Memory": "cellar"}).status_code == 403
        assert {row["memory"] for row in bound.get(PATH).json()["jobs"]} == {"attic"}
        assert bound.get(f"{PATH}/stats").json()["total"] == 1
        assert "attic" not in {row["memory"] for row in read.get(PATH).json()["jobs"]}
        assert read.get(f"{PATH}/{own}").status_code == 404
        assert read.get(f"{PATH}/{own}", params={"memory": "attic"}).status_code == 200
        assert read.post(PATH, json={"job_type": "nothing"}).status_code == 403
        assert read.delete(f"{PATH}/{own}").status_code == 403
        assert bound.post(f"{PATH}/pause").status_code == 403
    assert httpx.get(served.url + PATH).status_code == 401


def test_the_state_of_the_queue_is_told_at_once_on_demand_and_again_and_again(api: httpx.Client, served: Served):
    """test_bridge_periodic_queue_status, test_ws_refresh_command (#40, #39)"""
    eventually(lambda: api.get(f"{PATH}/stats").json()["processing"] == 0)  # others' jobs may be on their way out
    waiting = [queue(api, "nothing", delay_s=3600), queue(api, "nothing", delay_s=3600)]
    address = f"{served.url.replace('http', 'ws')}/api/v1/ws?types=queue.status"
    with connect(address, additional_headers={"Authorization": f"Bearer {served.token}"}) as socket:
        first = json.loads(socket.recv(PATIENCE))
        socket.send('{"type":"refresh"}')
        others = [json.loads(socket.recv(PATIENCE)) for _ in range(4)]
    for id in waiting:
        api.delete(f"{PATH}/{id}")

    numbers = [{name: one[name] for name in ("type", "total_jobs", "running", "pending")} for one in [first, *others]]
    assert numbers == [{"type": "QueueStatus", "total_jobs": 2, "running": 0, "pending": 0}] * 5


def test_who_comes_back_is_told_how_far_a_job_is(api: httpx.Client, served: Served):
    """A resume has the stored events; progress is none of them, and the last of it comes behind."""
    id = queue(api, "toil", payload={"steps": 50, "pause": 1.0})
    row = until(api, id, "running")
    while not row["progress_message"]:
        row = api.get(f"{PATH}/{id}").json()
    first = api.get(f"{PATH}/{id}/events").json()["events"][0]["seq"]
    headers = {"Authorization": f"Bearer {served.token}"}
    address = f"{served.url.replace('http', 'ws')}/api/v1/ws?types=job&entity_id={id}&since={first - 1}"
    with connect(address, additional_headers=headers) as socket:
        told = [json.loads(socket.recv(PATIENCE)) for _ in range(4)]
    lines = []
    path = f"/api/v1/events?types=job&entity_id={id}&since={first - 1}"
    with api.stream("GET", path) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if "JobProgress" in line:
                break
    api.delete(f"{PATH}/{id}")

    assert [one["type"] for one in told] == ["QueueStatus", "JobQueued", "JobStarted", "JobProgress"]
    assert told[-1]["job_id"] == id
    assert any('"message":"step ' in line for line in lines)


def test_the_end_of_a_job_is_traced_to_its_beginning(api: httpx.Client):
    id = queue(api, "nothing")
    until(api, id, "completed")
    events = api.get(f"{PATH}/{id}/events").json()["events"]

    trace = api.get(f"/api/v1/events/{events[-1]['event_id']}/trace").json()

    assert trace["correlation_id"] == events[0]["event_id"]
    assert {link["type"] for link in trace["chain"]} >= {"JobStarted", "JobQueued"}


def test_the_command_line(api: httpx.Client, call: Callable[..., Said]):
    failed, long = queue(api, "refuse", payload={"words": "no"}), queue(api, "toil", payload={"steps": 4, "pause": 0.2})
    watched = call("job", "show", long[-12:], "--watch")
    until(api, failed, "failed")
    running = queue(api, "toil", payload={"steps": 600, "pause": 0.1})
    until(api, running, "running")

    assert watched.code == 0
    assert "██████████████████████████████ 100 %  completed" in watched.err
    assert "completed" in watched.out
    assert failed[-8:] in call("job", "list", "--status", "failed").out
    assert call("job", "list", "--type", "Refuse", "--json").json["jobs"][0]["error_code"] == "operation_failed"
    assert "attempt" in call("job", "show", failed[-12:]).out
    assert call("job", "show", failed, "--watch").code == 1
    assert "waits for its turn" in call("job", "retry", failed[-12:]).out
    assert "being ended" in call("job", "cancel", running[-12:]).out
    assert call("job", "pause", "--json").json == {"status": "paused", "scope": "global"}
    assert api.get(f"{PATH}/status").json()["global"] == "paused"
    assert "resumed" in call("job", "resume").out
    assert "memory attic are paused" in call("job", "pause", "--memory", "attic").out
    assert call("job", "resume", "--memory", "attic").code == 0
    assert call("job", "show", "nobody").code == 5


def test_pauses_jobs_and_their_rows_survive_a_restart(tmp_path: Path):
    with serving(tmp_path, arguments=configured(tmp_path)) as served:
        with client(served) as api:
            done = queue(api, "nothing")
            long = queue(api, "toil", payload={"steps": 200, "pause": 0.1})
            until(api, done, "completed")
            until(api, long, "running")
            api.post(f"{PATH}/pause")
            held = queue(api, "nothing")
            api.delete(f"{PATH}/{long}")
            until(api, long, "cancelled")
        served.restart()
        with client(served) as api:
            time.sleep(0.3)
            assert api.get(f"{PATH}/{done}").json()["status"] == "completed"
            assert api.get(f"{PATH}/{held}").json()["status"] == "pending"
            assert api.get(f"{PATH}/status").json()["global"] == "paused"
            assert api.get(f"{PATH}/stats").json()["completed_last_hour"] == 1
            api.post(f"{PATH}/resume")
            until(api, held, "completed")
            assert told(api, held) == ["JobQueued", "JobStarted", "JobCompleted"]
