"""Notes and jobs as people and programs meet them: the five use cases, on a real process, through foreign clients.

How long what somebody does takes to be on somebody's screen is kept in `artifacts/use-cases.json`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.sync.client import ClientConnection, connect

from tests.contracts.receiver import receiving
from tests.records import Recorded, connections, eventually, queue_depth, recording, throughput
from tests.served import PATIENCE, ROOT

FOUND = ROOT / "artifacts/use-cases.json"
CONFIG = """
[webhooks]
allow = ["127.0.0.1"]
"""
TEXT = (
    "Sourdough bread needs flour, water and salt. The starter ferments the dough overnight. "
    "My neighbour owns a red bicycle. Bake the bread in a hot oven until the crust is dark. "
    "The dough is ready when it is airy. Flour from rye makes the starter stronger."
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with recording(tmp_path_factory.mktemp("use-cases"), CONFIG, APPLIANCE_TELEMETRY__LEVEL="debug") as served:
        yield served


@pytest.fixture(scope="module")
def latencies() -> Iterator[dict[str, float]]:
    """What the tests measured, in milliseconds, kept when the last is done."""
    found: dict[str, float] = {}
    yield found
    FOUND.parent.mkdir(exist_ok=True)
    FOUND.write_text(json.dumps(found, indent=1) + "\n")


def call(server: Recorded, method: str, path: str, body: object = None, expect: int = 200) -> Any:
    reply = httpx.request(
        method, server.url + path, json=body, headers={"Authorization": f"Bearer {server.token}"}, timeout=PATIENCE
    )
    assert reply.status_code == expect, reply.text
    return reply.json() if reply.content else None


def store(server: Recorded, content: str = TEXT, **more: object) -> str:
    id: str = call(server, "POST", "/api/v1/notes", {"content": content, "pipeline": [], **more}, 201)["id"]
    return id


def ask(server: Recorded, job: str, note: str, **more: object) -> str:
    id: str = call(server, "POST", "/api/v1/jobs", {"job_type": job, "note_id": note, **more}, 201)["id"]
    return id


class Screen:
    """A client that shows all that comes, and when."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    def until(self, wanted: Callable[[dict[str, Any]], bool], within: float = PATIENCE) -> dict[str, Any]:
        """The first message that is wanted, from now on."""
        deadline = time.monotonic() + within
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv(timeout=max(0.0, deadline - time.monotonic())))
            self.seen.append(message)
            if wanted(message):
                return message

    def note(self, id: str, type: str = "NoteUpdated", **members: object) -> dict[str, Any]:
        """The next event of this note."""
        wish = {"type": type, "note_id": id, **members}
        return self.until(lambda message: wish.items() <= message.items())

    def of(self, id: str) -> list[str]:
        """Types of what came about a job."""
        return [message["type"] for message in self.seen if message.get("job_id") == id]


@contextmanager
def watching(server: Recorded, query: str = "") -> Iterator[Screen]:
    url = server.url.replace("http", "ws") + f"/api/v1/ws?{query}"
    with connect(url, compression=None, additional_headers={"Authorization": f"Bearer {server.token}"}) as socket:
        screen = Screen(socket)
        assert screen.until(lambda _: True)["type"] == "QueueStatus"
        yield screen


def since(message: dict[str, Any]) -> float:
    """Seconds from what the message tells to now; both clocks are this machine's."""
    return time.time() - datetime.fromisoformat(message["timestamp"]).timestamp()


# -- #41: notes tell that they change ---------------------------------------------------------


def test_create_note_emits_noteupdated(server: Recorded, latencies: dict[str, float]):
    """test_create_note_emits_noteupdated (#41)"""
    with watching(server) as screen:
        began = time.monotonic()
        id = store(server, title="Bread", tags=["baking"])
        created = screen.note(id, "NoteCreated")
        updated = screen.note(id)
        latencies["create to screen"] = 1000 * (time.monotonic() - began)

    assert (updated["operation"], updated["title"], updated["tags"]) == ("create", "Bread", ["baking"])
    assert (updated["has_ai_content"], updated["has_links"]) == (False, False)
    assert updated["seq"] == created["seq"] + 1
    pair = [call(server, "GET", f"/api/v1/events/{event['event_id']}") for event in (created, updated)]
    assert pair[0]["correlation_id"] == pair[1]["correlation_id"]
    assert pair[0]["actor"]["kind"] == "user"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_update_note_emits_noteupdated(server: Recorded, method: str):
    """test_update_note_emits_noteupdated (#41)"""
    id = store(server)
    with watching(server) as screen:
        shown = call(server, method, f"/api/v1/notes/{id}", {"content": "Rye bread.", "tags": ["rye"]})
        tags, updated = screen.note(id, "NoteTagsUpdated"), screen.note(id)

    assert (shown["original"]["content"], shown["tags"]) == ("Rye bread.", ["rye"])
    assert (tags["tags"], updated["operation"]) == (["rye"], "update")


def test_delete_note_emits_event(server: Recorded):
    """test_delete_note_emits_event (#41)"""
    id = store(server)
    with watching(server) as screen:
        call(server, "DELETE", f"/api/v1/notes/{id}", expect=204)
        screen.note(id, "NoteDeleted")
        updated = screen.note(id)
        call(server, "DELETE", f"/api/v1/notes/{id}", expect=404)
        other = store(server)
        screen.note(other)

    assert updated["operation"] == "delete"
    assert [message["type"] for message in screen.seen if message.get("note_id") == id] == [
        "NoteDeleted",
        "NoteUpdated",
    ]


def test_post_job_note_update_emits(server: Recorded):
    """test_post_job_note_update_emits (#41)"""
    id = store(server)
    with watching(server) as screen:
        job = ask(server, "embedding", id)
        screen.note(id, "JobCompleted")
        updated = screen.note(id, operation="job")

    assert screen.of(job)[0] == "JobQueued"
    assert updated["operation"] == "job"


def test_bulk_create_emits_multiple_events(server: Recorded):
    """test_bulk_create_emits_multiple_events (#41)"""
    notes = [{"content": f"note {n}", "pipeline": [], "tags": [f"t{n}"]} for n in range(5)]
    with watching(server) as screen:
        made = call(server, "POST", "/api/v1/notes/bulk", {"notes": notes}, 201)
        updated = [screen.note(id) for id in made["ids"]]

    assert made["count"] == 5
    assert [message["tags"] for message in updated] == [[f"t{n}"] for n in range(5)]
    assert made["ids"] == sorted(made["ids"])


# -- #46: end to end --------------------------------------------------------------------------


def test_e2e_hotm_receives_job_status(server: Recorded, latencies: dict[str, float]):
    """test_e2e_hotm_receives_job_status (#46), UC-001"""
    with watching(server) as screen:
        id = store(server)
        asked = time.monotonic()
        job = ask(server, "AiRevision", id)
        screen.until(lambda message: (message["type"], message.get("job_id")) == ("JobQueued", job))
        latencies["UC-001 asked to JobQueued"] = 1000 * (time.monotonic() - asked)
        completed = screen.until(lambda message: (message["type"], message.get("job_id")) == ("JobCompleted", job))
        latencies["UC-001 JobCompleted to screen"] = 1000 * since(completed)

    seen = screen.of(job)
    assert seen[:2] == ["JobQueued", "JobStarted"]
    assert seen[-1] == "JobCompleted"
    assert set(seen[2:-1]) == {"JobProgress"}
    steps = [message["progress"] for message in screen.seen if message["type"] == "JobProgress"]
    assert steps == sorted(steps)
    assert (completed["job_type"], completed["note_id"]) == ("AiRevision", id)


def test_e2e_hotm_sees_why_a_job_failed(server: Recorded):
    """UC-001, the failure: a stable code, and nothing of the note."""
    id = store(server)
    call(server, "POST", "/api/v1/jobs", {"job_type": "dance", "note_id": id}, 400)
    call(server, "POST", "/api/v1/jobs", {"job_type": "embedding", "note_id": id[:-4] + "0000"}, 404)
    with watching(server) as screen:
        call(server, "POST", "/api/v1/jobs/pause")
        job = ask(server, "embedding", id)
        call(server, "DELETE", f"/api/v1/notes/{id}", expect=204)
        call(server, "POST", "/api/v1/jobs/resume")
        failed = screen.until(lambda message: message["type"] == "JobFailed")

    assert (failed["job_id"], failed["note_id"], failed["error"]) == (job, id, "not_found")
    assert "bread" not in json.dumps(screen.seen)


def test_e2e_note_auto_refresh(server: Recorded, latencies: dict[str, float]):
    """test_e2e_note_auto_refresh (#46), UC-002"""
    id = store(server)
    shown = call(server, "GET", f"/api/v1/notes/{id}")
    with watching(server, f"types=note.updated&entity_id={id}") as screen:
        ask(server, "ai_revision", id)
        updated = screen.note(id, operation="job")
        fresh = call(server, "GET", f"/api/v1/notes/{id}")
        latencies["UC-002 NoteUpdated to fetched note"] = 1000 * since(updated)
        ask(server, "embedding", id)
        screen.note(id, operation="job")

    assert updated["has_ai_content"] is True
    assert fresh["revised"]["content"] != shown["revised"]["content"]
    assert "bicycle" not in fresh["revised"]["content"]
    assert all(sentence in TEXT for sentence in fresh["revised"]["content"].split(". "))
    assert fresh["revised"]["ai_metadata"] == {"method": "extractive", "mode": "standard", "generated": False}
    assert fresh["original"] == shown["original"]
    assert len(screen.seen) == 3  # the queue's state, and one for each job: nothing to fetch twice


def test_e2e_mcp_monitors_events(server: Recorded):
    """test_e2e_mcp_monitors_events (#46), UC-003"""
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.url}/api/v1/events?events=NoteUpdated"
    with httpx.Client(timeout=PATIENCE, headers=headers) as agent:
        with connect_sse(agent, "GET", url) as source:
            events = source.iter_sse()
            first = store(server, tags=["watched"])
            seen = next(event for event in events if event.event == "NoteUpdated")
        missed = [store(server) for _ in range(3)]
        with connect_sse(agent, "GET", url, headers={"Last-Event-ID": seen.id}) as source:
            events = source.iter_sse()
            again = []
            while len(again) < 4:
                event = next(events)
                if event.event == "NoteUpdated":
                    again.append(event)
                if len(again) == 3:
                    missed.append(store(server))

    assert (seen.json()["note_id"], seen.json()["tags"]) == (first, ["watched"])
    assert [event.json()["note_id"] for event in again] == missed
    ids = [int(event.id) for event in (seen, *again)]
    assert ids == sorted(set(ids))


def test_e2e_webhook_notification(server: Recorded, latencies: dict[str, float]):
    """test_e2e_webhook_notification (#46), UC-004"""
    with receiving() as receiver:
        wish = {"url": receiver.url, "events": ["NoteUpdated"], "secret": "shared by two"}
        hook = call(server, "POST", "/api/v1/webhooks", wish, 201)
        began = time.monotonic()
        id = store(server, title="Told")
        (taken,) = receiver.until(1)
        latencies["UC-004 note to webhook"] = 1000 * (taken.at - began)
        call(server, "DELETE", f"/api/v1/webhooks/{hook['id']}", expect=204)

    body = json.loads(taken.body)
    expected = "sha256=" + hmac.new(b"shared by two", taken.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(taken.headers["x-matric-signature"], expected)
    assert (body["event"], body["note_id"], body["title"], body["operation"]) == ("NoteUpdated", id, "Told", "create")
    assert "content" not in body
    assert taken.at - began < 5.0


def test_e2e_telemetry_pipeline(server: Recorded):
    """test_e2e_telemetry_pipeline (#46), UC-005"""
    before = metrics(server)
    opened = connections(server.records())
    with watching(server) as screen:
        eventually(lambda: connections(server.records()) == opened + 1, patience=10)
        during = metrics(server)
        id = store(server)
        job = ask(server, "embedding", id)
        screen.until(lambda message: (message["type"], message.get("job_id")) == ("JobCompleted", job))
        screen.note(id, operation="job")
        assert eventually(lambda: queue_depth(server.records()))  # told every five seconds while somebody listens
    after = grown(server, 'events_emitted_total{type="JobCompleted"}', before)

    records = eventually(lambda: _about(server, job, "JobCompleted"), patience=10)
    assert [record["event.type"] for record in records] == ["JobQueued", "JobStarted", "JobCompleted"]
    assert {record["event.note_id"] for record in records} == {id}
    assert throughput(server.records())["NoteUpdated"] > 0
    for type, count in (("NoteCreated", 1), ("NoteUpdated", 2), ("JobCompleted", 1)):
        row = f'events_emitted_total{{type="{type}"}}'
        assert after[row] - before.get(row, 0.0) == count
    assert during["ws_connections_active"] - before["ws_connections_active"] == 1
    assert {'queue_depth{state="pending"}', 'queue_depth{state="running"}'} <= after.keys()
    assert "Sourdough" not in server.log


def _about(server: Recorded, job: str, last: str) -> list[Any]:
    """The records of a job's way, when the last one is there."""
    types = ("JobQueued", "JobStarted", "JobCompleted")
    found = [one for one in server.records() if one.get("event.job_id") == job and one["event.type"] in types]
    return found if any(one["event.type"] == last for one in found) else []


def metrics(server: Recorded) -> dict[str, float]:
    text = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.token}"}).text
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def grown(server: Recorded, row: str, before: dict[str, float]) -> dict[str, float]:
    """The metrics when this one has grown; values are visible within ten seconds."""
    deadline = time.monotonic() + 10
    while (found := metrics(server)).get(row, 0.0) <= before.get(row, 0.0):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
