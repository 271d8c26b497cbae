"""Webhooks of a real process, to receivers we did not write the HTTP of."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contracts.receiver import Receiver, Taken, receiving
from tests.served import PATIENCE, Served, serving

HOOKS = "/api/v1/webhooks"
CONFIG = """
[webhooks]
allow = ["127.0.0.1"]
timeout = "500ms"
schedule = ["100ms", "200ms", "400ms", "800ms"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("webhooks")
    (folder / "appliance.toml").write_text(CONFIG)
    with serving(folder, arguments=[f"--config={folder / 'appliance.toml'}"]) as served:
        yield served


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def call(server: Served, method: str, path: str, body: object = None, expect: int = 200) -> Any:
    reply = httpx.request(
        method,
        server.url + path,
        content=b"" if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
        timeout=PATIENCE,
    )
    assert reply.status_code == expect, reply.text
    return reply.json() if reply.content else None


def hook(server: Served, receiver: Receiver, **wish: object) -> Any:
    return call(server, "POST", HOOKS, {"url": receiver.url, "events": ["NoteUpdated"], **wish}, 201)


def write(server: Served, note: str, type: str = "NoteUpdated") -> str:
    id: str = call(server, "POST", "/api/v1/events", {"type": type, "note_id": note}, 201)["id"]
    return id


def settled(server: Served, hook: Any, count: int = 1) -> list[Any]:
    """Its newest deliveries, when `count` are over."""
    deadline = time.monotonic() + PATIENCE
    while True:
        rows = call(server, "GET", f"{HOOKS}/{hook['id']}/deliveries")
        over = [row for row in rows if row["state"] in ("succeeded", "failed")]
        if len(over) >= count:
            return over
        assert time.monotonic() < deadline, rows
        time.sleep(0.02)


def test_endpoints_are_made_listed_shown_changed_and_deleted(server: Served, receiver: Receiver):
    """test_webhook_crud_api (#44)"""
    made = hook(server, receiver, secret="planted-secret", name="erp")
    shown = call(server, "GET", f"{HOOKS}/{made['id']}")
    listed = call(server, "GET", HOOKS)
    changed = call(server, "PATCH", f"{HOOKS}/{made['id']}", {"events": ["note.updated", "job"], "is_active": False})
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)

    assert made["secret"] == "planted-secret"
    assert "secret" not in shown
    assert "planted-secret" not in json.dumps([shown, listed, changed])
    assert listed[0]["id"] == made["id"]
    assert (changed["is_active"], changed["events"]) == (False, ["note.updated", "job"])
    call(server, "GET", f"{HOOKS}/{made['id']}", expect=404)


def test_an_event_is_posted_and_signed(server: Served, receiver: Receiver):
    """test_webhook_delivery_success, test_webhook_hmac_signature (#44), UC-004"""
    made = hook(server, receiver, secret="a secret of the house")
    began = time.monotonic()
    event = write(server, "n-1")

    (taken,) = receiver.until(1)
    body = json.loads(taken.body)
    expected = "sha256=" + hmac.new(b"a secret of the house", taken.body, hashlib.sha256).hexdigest()
    (row,) = settled(server, made)

    assert taken.at - began < 5.0
    assert taken.headers["x-matric-signature"] == taken.headers["x-fortemi-signature"] == expected
    assert (body["event"], body["note_id"], body["event_id"]) == ("NoteUpdated", "n-1", event)
    assert (row["state"], row["status_code"], row["response_body"], row["event_id"]) == (
        "succeeded",
        200,
        "thanks",
        event,
    )
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


def test_a_failed_one_is_tried_again_with_growing_gaps_and_the_same_id(server: Served):
    """test_webhook_retry_on_failure (#44)"""
    with receiving(Receiver(lambda taken: 503)) as receiver:
        made = hook(server, receiver)
        write(server, "n-2")
        (row,) = settled(server, made)
        taken = list(receiver.taken)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(taken)]
        letters = call(server, "GET", "/api/v1/dead-letters")["dead_letters"]

    assert (row["state"], row["attempt"], len(taken)) == ("failed", 5, 5)
    assert gaps == sorted(gaps)
    assert len({one.id for one in taken}) == 1
    assert [one["reason"] for one in letters if one["source"] == made["id"]] == ["server"]
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.2:9/x", "http://localhost/x", "http://10.0.0.1/x", "http://192.168.7.7/", "http://[::1]/",
     "http://169.254.169.254/latest", "http://172.16.0.9/", "http://[fe80::1]/", "file:///etc/passwd"],
)  # fmt: skip
def test_where_webhooks_may_not_go(server: Served, url: str):
    """test_webhook_ssrf_prevention_localhost, test_webhook_ssrf_prevention_private_ip (#44)"""
    refused = call(server, "POST", HOOKS, {"url": url, "events": []}, 400)

    assert "SSRF" in refused["error"] or "private IP" in refused["error"] or url.startswith("file")


def test_a_slow_receiver_is_cut_and_tried_again(server: Served):
    """test_webhook_timeout_30s (#44), with half a second for 30"""
    slow = iter([2.0, 0.0])

    def answer(taken: Taken) -> int:
        time.sleep(next(slow))
        return 200

    with receiving(Receiver(answer)) as receiver:
        made = hook(server, receiver)
        write(server, "n-3")
        (row,) = settled(server, made)

    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)
