"""The notes of a real process over HTTP: what may be done with them, what is refused, and what never leaks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contracts.receiver import Receiver, Taken, receiving
from tests.records import Recorded, recording
from tests.served import PATIENCE, Served, serving

Server = Served | Recorded

NOTES = "/api/v1/notes"
CONFIG = """
[plugins.notes]
max_chars = 5000
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with recording(tmp_path_factory.mktemp("notes"), CONFIG) as served:
        yield served


@pytest.fixture
def memory() -> str:
    """A memory of the test's own."""
    return f"m-{uuid4()}"


def call(
    server: Server,
    method: str,
    path: str,
    body: object = None,
    expect: int = 200,
    memory: str = "",
    **headers: str,
) -> Any:
    named = {"X-Fortemi-Memory": memory} if memory else {}
    reply = httpx.request(
        method,
        server.url + path,
        json=body,
        headers={"Authorization": f"Bearer {server.token}"} | named | headers,
        timeout=PATIENCE,
    )
    assert reply.status_code == expect, reply.text
    return reply.json() if reply.content else None


def store(server: Server, content: str, memory: str = "", **more: object) -> str:
    wish = {"content": content, "pipeline": [], **more}
    id: str = call(server, "POST", NOTES, wish, 201, memory)["id"]
    return id


def until_idle(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(call(server, "GET", "/api/v1/jobs/stats")[state] for state in ("pending", "delayed", "processing")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ids(listed: Any) -> list[str]:
    return [row["id"] for row in listed["notes"]]


# -- one note ---------------------------------------------------------------------------------


def test_a_note_is_stored_shown_changed_deleted_restored_and_purged(server: Server, memory: str):
    id = store(server, "# Plan\n\nBuy flour.", memory, tags=["home/kitchen"], metadata={"k": [1, None]}, source="test")

    made = call(server, "GET", f"{NOTES}/{id}", memory=memory)
    changed = call(server, "PATCH", f"{NOTES}/{id}", {"starred": True, "metadata": {}}, memory=memory)
    call(server, "PATCH", f"{NOTES}/{id}/status", {"archived": True}, 204, memory)
    call(server, "PUT", f"{NOTES}/{id}/tags", {"tags": ["a", " b "]}, 204, memory)
    listed = call(server, "GET", NOTES, memory=memory)
    call(server, "DELETE", f"{NOTES}/{id}", expect=204, memory=memory)
    call(server, "GET", f"{NOTES}/{id}", expect=404, memory=memory)
    trash = call(server, "GET", f"{NOTES}?filter=deleted", memory=memory)
    restored = call(server, "POST", f"{NOTES}/{id}/restore", memory=memory)
    back = call(server, "GET", f"{NOTES}/{id}", memory=memory)
    purging = call(server, "POST", f"{NOTES}/{id}/purge", memory=memory)
    until_idle(server)

    assert made["original"]["content"] == made["revised"]["content"] == "# Plan\n\nBuy flour."
    assert (made["tags"], made["note"]["metadata"], made["note"]["source"]) == (
        ["home/kitchen"],
        {"k": [1, None]},
        "test",
    )
    assert (changed["note"]["starred"], changed["note"]["metadata"]) == (True, {})
    assert changed["original"] == made["original"]
    assert [(row["archived"], row["starred"], row["tags"]) for row in listed["notes"]] == [(True, True, ["a", "b"])]
    assert ids(trash) == [id]
    assert restored == {"restored": True, "id": id}
    assert back["tags"] == ["a", "b"]
    assert (purging["status"], purging["note_id"]) == ("queued", id)
    call(server, "GET", f"{NOTES}/{id}", expect=404, memory=memory)
    call(server, "POST", f"{NOTES}/{id}/restore", expect=404, memory=memory)


def test_an_empty_text_is_a_note(server: Server):
    """CRUD-009"""
    id = store(server, "")

    assert call(server, "GET", f"{NOTES}/{id}")["original"]["content"] == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("PATCH", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/related"),
        ("POST", "/restore"), ("POST", "/purge"), ("PATCH", "/status"), ("PUT", "/tags"),
    ],
)  # fmt: skip
def test_a_note_that_is_not_there_is_404_with_a_way_on(server: Server, method: str, path: str):
    body = {"/tags": {"tags": []}, "/status": {}, "": {} if method in ("PUT", "PATCH") else None}.get(path)

    told = call(server, method, f"{NOTES}/{uuid4()}{path}", body, 404)

    assert "Note not found" not in json.dumps(told)
    assert told["hint"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {}),
        ("POST", "", {"content": 5}),
        ("POST", "", {"content": "x", "colour": "red"}),
        ("POST", "", {"content": "x", "tags": ["y" * 101]}),
        ("POST", "", {"content": "x", "tags": ["a/b/c/d/e/f"]}),
        ("POST", "", {"content": "x", "revision_mode": "wild"}),
        ("POST", "", {"content": "x", "pipeline": ["dance"]}),
        ("POST", "", {"content": "x" * 5001}),
        ("POST", "", []),
        ("POST", "/bulk", {"notes": [{"content": "x"}] * 101}),
        ("POST", "/bulk", {"notes": [{"content": "x"}, {"content": None}]}),
        ("GET", "?limit=-1", None),
        ("GET", "?sort_by=colour", None),
        ("GET", "?since=never", None),
        ("GET", "/search", None),
    ],
)
def test_bad_input_is_400_with_words_that_help(server: Server, method: str, path: str, body: object):
    told = call(server, method, NOTES + path, body, 400)

    assert told["message"]
    assert told["error"] == told["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"content":"\x00"}', b"[" * 5000, b"nan", b'{"content":"\\ud800"}']
)
def test_nonsense_is_never_a_500(server: Server, body: bytes):
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}

    reply = httpx.post(server.url + NOTES, content=body, headers=headers, timeout=PATIENCE)

    assert 400 <= reply.status_code < 500, reply.text


def test_a_request_that_comes_again_makes_no_second_note(server: Server, memory: str):
    wish, key = {"content": "once", "pipeline": ["embedding"]}, str(uuid4())

    with ThreadPoolExecutor(4) as pool:
        again = [
            pool.submit(call, server, "POST", NOTES, wish, 201, memory, **{"Idempotency-Key": key}) for _ in range(4)
        ]
    other = call(server, "POST", NOTES, wish, 201, memory + "x", **{"Idempotency-Key": key})
    call(server, "POST", NOTES, {"content": "other"}, 422, memory, **{"Idempotency-Key": key})

    assert len({reply.result()["id"] for reply in again}) == 1
    assert call(server, "GET", NOTES, memory=memory)["total"] == 1
    assert other["id"] != again[0].result()["id"]


# -- many -------------------------------------------------------------------------------------


def test_a_hundred_notes_at_once_are_all_there_or_none(server: Server, memory: str):
    wish = {"notes": [{"content": f"note {n}", "pipeline": []} for n in range(100)]}

    made = call(server, "POST", f"{NOTES}/bulk", wish, 201, memory)
    wish["notes"][50]["content"] = "x" * 5001
    call(server, "POST", f"{NOTES}/bulk", wish, 400, memory)
    empty = call(server, "POST", f"{NOTES}/bulk", {"notes": []}, 200, memory)

    assert (made["count"], len(set(made["ids"]))) == (100, 100)
    assert empty == {"ids": [], "count": 0}
    listed = call(server, "GET", f"{NOTES}?limit=1000", memory=memory)
    assert (listed["total"], ids(listed)) == (100, made["ids"][::-1])


def test_a_list_is_filtered_sorted_and_paged(server: Server, memory: str):
    bread = store(server, "bread", memory, title="Zebra", tags=["food/bread", "hot"], collection_id="c1")
    soup = store(server, "soup", memory, title="apple", tags=["food"])
    bike = store(server, "bike", memory, title="Moon", tags=["sport"])
    call(server, "PATCH", f"{NOTES}/{bread}", {"starred": True}, memory=memory)
    found = {
        query: ids(call(server, "GET", f"{NOTES}?{query}", memory=memory))
        for query in (
            "", "sort_order=asc", "limit=1&offset=1", "tags=food", "tags=food,hot", "filter=starred", "filter=archived",
            "collection_id=c1", "sort_by=title&sort_order=asc", "sort_by=updated_at", "since=1h",
            "created_before=2020-01-01", "limit=0", "offset=7",
        )
    }  # fmt: skip

    assert found == {
        "": [bike, soup, bread],
        "sort_order=asc": [bread, soup, bike],
        "limit=1&offset=1": [soup],
        "tags=food": [soup, bread],
        "tags=food,hot": [bread],
        "filter=starred": [bread],
        "filter=archived": [],
        "collection_id=c1": [bread],
        "sort_by=title&sort_order=asc": [soup, bike, bread],
        "sort_by=updated_at": [bread, bike, soup],
        "since=1h": [bike, soup, bread],
        "created_before=2020-01-01": [],
        "limit=0": [],
        "offset=7": [],
    }
    assert call(server, "GET", f"{NOTES}?limit=0", memory=memory)["total"] == 3


def test_memories_do_not_see_each_other(server: Server, memory: str):
    mine = store(server, "the password of the safe is in the drawer", memory, tags=["secret"], pipeline=["embedding"])
    until_idle(server)
    elsewhere = [f"{memory}2", memory[:-1], f"{memory}/", ""]

    for other in elsewhere:
        assert mine not in ids(call(server, "GET", NOTES, memory=other))
        assert mine not in ids(call(server, "GET", f"{NOTES}/search?q=password", memory=other))
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/purge"), ("GET", "/related")):
            call(server, method, f"{NOTES}/{mine}{path}", expect=404, memory=other)
        call(server, "POST", "/api/v1/jobs", {"job_type": "embedding", "note_id": mine}, 404, other)

    assert ids(call(server, "GET", f"{NOTES}/search?q=password", memory=memory)) == [mine]


def test_tokens_may_do_what_their_scope_says(server: Server, memory: str):
    id = store(server, "text", memory)
    reader = call(server, "POST", "/api/v1/tokens", {"scopes": ["read"]}, 201)["token"]
    writer = call(server, "POST", "/api/v1/tokens", {"scopes": ["read", "write"], "memories": [memory]}, 201)["token"]

    statuses = {}
    for who, token in (("reader", reader), ("writer", writer), ("nobody", "")):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=server.url, headers=headers | {"X-Fortemi-Memory": memory}) as client:
            statuses[who] = [
                client.get(f"{NOTES}/{id}").status_code,
                client.patch(f"{NOTES}/{id}", json={"starred": True}).status_code,
                client.post(f"{NOTES}/{id}/purge").status_code,
                client.post("/api/v1/jobs", json={"job_type": "purge_note", "note_id": id}).status_code,
                client.get(NOTES, headers={"X-Fortemi-Memory": "another"}).status_code,
            ]

    assert statuses == {
        "reader": [200, 403, 403, 403, 200],
        "writer": [200, 200, 403, 403, 403],
        "nobody": [401] * 5,
    }


# -- what is made of notes --------------------------------------------------------------------


def test_the_pipeline_finds_title_concepts_vector_and_links(server: Server, memory: str):
    first = call(server, "POST", NOTES, {"content": "Sourdough bread: flour, water, and a starter."}, 201, memory)["id"]
    until_idle(server)
    text = "Bread with rye flour. The sourdough starter makes the bread sour."
    second = call(server, "POST", NOTES, {"content": text}, 201, memory)["id"]
    store(server, "The bicycle chain is worn.", memory, pipeline=["embedding"])
    until_idle(server)

    note = call(server, "GET", f"{NOTES}/{second}", memory=memory)
    related = call(server, "GET", f"{NOTES}/{first}/related", memory=memory)["related"]
    found = call(server, "GET", f"{NOTES}?query=sourdough", memory=memory)

    assert note["note"]["title"] == "Bread with rye flour"
    assert "rye flour" in note["concepts"]
    assert [link["note_id"] for link in note["links"]] == [first]
    assert [row["id"] for row in related] == [second]
    assert set(ids(found)) == {first, second}
    assert ids(call(server, "GET", f"{NOTES}?concept={note['concepts'][0]}", memory=memory)) == [second]


def test_an_edited_note_is_found_by_its_new_words_and_a_deleted_one_by_none(server: Server, memory: str):
    id = call(server, "POST", NOTES, {"content": "sourdough", "pipeline": ["embedding"]}, 201, memory)["id"]
    until_idle(server)
    before = ids(call(server, "GET", f"{NOTES}/search?q=sourdough", memory=memory))
    call(server, "PUT", f"{NOTES}/{id}", {"content": "bicycle"}, memory=memory)
    until_idle(server)
    after = [ids(call(server, "GET", f"{NOTES}/search?q={word}", memory=memory)) for word in ("sourdough", "bicycle")]
    call(server, "DELETE", f"{NOTES}/{id}", expect=204, memory=memory)
    gone = ids(call(server, "GET", f"{NOTES}/search?q=bicycle", memory=memory))
    call(server, "POST", f"{NOTES}/{id}/restore", memory=memory)
    until_idle(server)

    assert (before, after, gone) == ([id], [[], [id]], [])
    assert ids(call(server, "GET", f"{NOTES}/search?q=bicycle", memory=memory)) == [id]


def test_vectors_are_there_after_a_restart_and_can_be_made_anew(tmp_path: Path):
    with serving(tmp_path) as server:
        id = call(server, "POST", NOTES, {"content": "sourdough"}, 201)["id"]
        bare = store(server, "sourdough without a vector")
        until_idle(server)
        server.restart()
        before = ids(call(server, "GET", f"{NOTES}/search?q=sourdough"))
        call(server, "POST", "/api/v1/jobs", {"job_type": "re_embed_all"}, 201)
        until_idle(server)
        after = ids(call(server, "GET", f"{NOTES}/search?q=sourdough"))

    assert before == [id]
    assert set(after) == {id, bare}


def test_a_model_behind_an_endpoint_revises_notes_part_by_part(tmp_path: Path):
    """Its key goes in the header; a failing answer is tried again; related notes go along when the mode says so."""
    asked: list[dict[str, Any]] = []
    headers: list[str] = []

    def answer(taken: Taken) -> int:
        asked.append(json.loads(taken.body))
        headers.append(taken.headers["authorization"])
        return 200

    said = {"choices": [{"message": {"role": "assistant", "content": "Better text."}}]}
    with receiving(Receiver(answer, body=json.dumps(said).encode())) as model:
        (tmp_path / "key").write_text("sk-planted")
        config = tmp_path / "appliance.toml"
        endpoint = f"http://127.0.0.1:{model.port}/v1"
        config.write_text(f'[plugins.notes]\nendpoint = "{endpoint}"\nmodel = "tiny"\nkey = {{ file = "key" }}\n')
        with serving(tmp_path, arguments=[f"--config={config}"]) as server:
            first = call(server, "POST", NOTES, {"content": "Helpful bread context.", "pipeline": ["embedding"]}, 201)
            until_idle(server)
            long = "\n\n".join(f"Bread paragraph {n}. " + "word " * 300 for n in range(4))
            wish = {"content": long, "revision_mode": "contextual"}
            id = call(server, "POST", NOTES, wish, 201)["id"]
            until_idle(server)
            note = call(server, "GET", f"{NOTES}/{id}")
            errors = server.errors

    parts = [one["messages"][1]["content"] for one in asked]
    assert "\n\n".join(parts) == long
    assert len(parts) == 2
    assert set(headers) == {"Bearer sk-planted"}
    assert all("Helpful bread context." in one["messages"][0]["content"] for one in asked)
    assert note["revised"]["content"] == "Better text.\n\nBetter text."
    assert (note["revised"]["model"], note["revised"]["generation_count"]) == ("tiny", 1)
    assert note["revised"]["ai_metadata"]["method"] == "model"
    assert note["original"]["content"] == long
    assert first["id"]
    assert "sk-planted" not in errors


def test_edits_while_jobs_run_are_never_lost(server: Server, memory: str):
    """People and four jobs change one note at the same time: what people wrote last is what stays."""
    id = call(server, "POST", NOTES, {"content": "version 0 of the bread"}, 201, memory)["id"]
    stop = threading.Event()

    def star() -> int:
        count = 0
        while not stop.is_set():
            call(server, "PATCH", f"{NOTES}/{id}/status", {"starred": count % 2 == 0}, 204, memory)
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        stars = pool.submit(star)
        for n in range(1, 16):
            call(server, "PATCH", f"{NOTES}/{id}", {"content": f"version {n} of the bread"}, memory=memory)
        stop.set()
        count = stars.result()
    until_idle(server)

    note = call(server, "GET", f"{NOTES}/{id}", memory=memory)
    assert note["original"]["content"] == "version 15 of the bread"
    assert note["note"]["title"] == "version 15 of the bread"
    assert note["note"]["starred"] is (count % 2 == 1)
    assert call(server, "GET", "/api/v1/jobs/stats")["dead"] == 0


# -- what never leaks -------------------------------------------------------------------------

PLANTED = [
    "hunter2-leakcheck", "anna.leakcheck@example.org",
    "postgres://leakcheck:pw@db.internal/x", "/home/leakcheck/secret.txt",
    "SELECT leakcheck FROM users", "Bearer mm_at_leakcheck0123456789", "203.0.113.77",
]  # fmt: skip


def test_event_payload_no_pii(server: Recorded, memory: str):
    """test_event_payload_no_pii: the text of a note is in its answers only, never in events, logs or metrics."""
    text = "Meeting. " + " ".join(f"Remember {secret} well." for secret in PLANTED)
    id = call(server, "POST", NOTES, {"content": text, "revision_mode": "full"}, 201, memory)["id"]
    until_idle(server)
    call(server, "PUT", f"{NOTES}/{id}", {"content": text + " Again."}, memory=memory)
    until_idle(server)
    call(server, "GET", f"{NOTES}/search?q=hunter2-leakcheck", memory=memory)
    call(server, "DELETE", f"{NOTES}/{id}", expect=204, memory=memory)
    call(server, "POST", f"{NOTES}/{id}/purge", memory=memory)
    until_idle(server)

    export = httpx.get(f"{server.url}/export", headers={"Authorization": f"Bearer {server.token}"}, timeout=PATIENCE)
    metrics = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.token}"}, timeout=PATIENCE)
    jobs = call(server, "GET", f"/api/v1/jobs?note_id={id}&limit=100", memory=memory)
    assert export.status_code == metrics.status_code == 200
    assert id in export.text
    assert len(jobs["jobs"]) >= 10
    assert any(record.get("event.note_id") == id for record in server.records())
    for place in (export.text, metrics.text, json.dumps(jobs), server.log):
        assert [secret for secret in PLANTED if secret in place] == []
        assert "leakcheck" not in place
