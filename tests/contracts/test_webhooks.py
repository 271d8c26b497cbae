"""Webhooks of a real process, to receivers we did not write the HTTP of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.contracts.receiver import Receiver, Taken, receiving
from tests.load.packages import npm
from tests.served import PATIENCE, Served, serving
from tests.soak import hookkills

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


def note(id: str) -> dict[str, object]:
    """The members that an event of a note has."""
    return {"note_id": id, "tags": [], "has_ai_content": False, "has_links": False}


def write(server: Served, id: str, type: str = "NoteUpdated") -> str:
    made: str = call(server, "POST", "/api/v1/events", {"type": type, **note(id)}, 201)["id"]
    return made


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


def test_a_paused_one_hears_nothing_and_misses_nothing(server: Served, receiver: Receiver):
    made = hook(server, receiver)
    paused = call(server, "POST", f"{HOOKS}/{made['id']}/pause")
    ids = [write(server, f"p-{n}") for n in range(3)]
    time.sleep(0.3)
    heard = len(receiver.taken)
    call(server, "POST", f"{HOOKS}/{made['id']}/resume")

    taken = receiver.until(3)
    settled(server, made, 3)

    assert (paused["is_active"], paused["reason"], heard) == (False, "paused", 0)
    assert {json.loads(one.body)["event_id"] for one in taken} == set(ids)
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


def test_a_test_says_what_came_of_it(server: Served, receiver: Receiver):
    made = hook(server, receiver)
    good = call(server, "POST", f"{HOOKS}/{made['id']}/test")
    receiver.answer = lambda _: 500
    bad = call(server, "POST", f"{HOOKS}/{made['id']}/test")

    assert (good["status"], good["status_code"]) == ("delivered", 200)
    assert (bad["status"], bad["status_code"], bad["error_class"]) == ("failed", 500, "server")
    assert receiver.taken[0].headers["x-fortemi-event"] == "test"
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


def test_one_a_range_and_everything_since_are_sent_again_with_their_ids(server: Served, receiver: Receiver):
    made = hook(server, receiver)
    for n in range(3):
        write(server, f"r-{n}")
    first = settled(server, made, 3)
    ids = {one.id for one in receiver.taken}
    path, seq = f"{HOOKS}/{made['id']}/redeliver", min(row["seq"] for row in first)

    call(server, "POST", path, {"delivery": first[0]["id"]}, 202)
    settled(server, made, 4)
    call(server, "POST", path, {"since": seq, "through": seq + 1}, 202)
    settled(server, made, 6)
    call(server, "POST", path, {"since": seq}, 202)
    settled(server, made, 9)
    shown = call(server, "GET", f"{HOOKS}/{made['id']}/deliveries/{first[0]['id']}")

    assert len(receiver.taken) == 9
    assert {one.id for one in receiver.taken} == ids
    assert shown["request"]["headers"]["webhook-signature"] == "(hidden)"
    assert json.loads(shown["request"]["body"])["note_id"] == "r-2"
    call(server, "POST", path, {}, 422)
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


def test_a_new_secret_signs_beside_the_old_one_and_the_official_library_agrees(server: Served, receiver: Receiver):
    """The library takes a request that is signed with either secret, and none that was changed."""
    made = hook(server, receiver, format="standard")
    turned = call(server, "POST", f"{HOOKS}/{made['id']}/rotate")
    write(server, "s-1")

    (taken,) = receiver.until(1)

    for secret in (made["secret"], turned["secret"]):
        assert Webhook(secret).verify(taken.body, taken.headers)["type"] == "note.updated"
    with pytest.raises(WebhookVerificationError):
        Webhook(turned["secret"]).verify(taken.body + b" ", taken.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(taken.body, taken.headers)
    assert len(taken.headers["webhook-signature"].split()) == 2
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


@pytest.mark.conformance
def test_the_library_of_another_language_agrees(server: Served, receiver: Receiver):
    made = hook(server, receiver)
    write(server, "js-1")
    (taken,) = receiver.until(1)
    script = """
        import { createRequire } from "node:module";
        const [folder, secret, headers, body] = process.argv.slice(1);
        const { Webhook } = createRequire(folder + "/")("standardwebhooks");
        console.log(new Webhook(secret).verify(body, JSON.parse(headers)).note_id);
    """
    words = ["node", "--input-type=module", "-e", script, str(npm("standardwebhooks@1"))]
    words += [made["secret"], json.dumps(taken.headers), taken.body.decode()]

    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (done.stdout, done.returncode) == ("js-1\n", 0), done.stderr
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


def test_dead_letters_are_listed_shown_tried_again_and_dropped(server: Served):
    shelf = "/api/v1/dead-letters"
    with receiving(Receiver(lambda taken: 400)) as receiver:
        made = hook(server, receiver)
        for n in range(3):
            write(server, f"d-{n}")
        settled(server, made, 3)
        mine = call(server, "GET", f"{shelf}?kind=webhook&source={made['id']}")["dead_letters"]
        receiver.answer = lambda _: 200
        call(server, "DELETE", f"{shelf}/{mine[0]['id']}", expect=204)
        retried = call(server, "POST", f"{shelf}/retry", {"source": made["id"]}, 202)
        again = settled(server, made, 5)
        left = [one for one in call(server, "GET", shelf)["dead_letters"] if one["source"] == made["id"]]
        call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)

    assert len(mine) == 3
    assert (retried, left) == ({"retried": 2, "left": 0}, [])
    assert [row["state"] for row in again[:2]] == ["succeeded", "succeeded"]
    call(server, "GET", f"{shelf}/{mine[0]['id']}", expect=404)
    call(server, "POST", f"{shelf}/drop", {}, 422)
    assert call(server, "POST", f"{shelf}/drop", {"all": True})["dropped"] >= 0


def test_ten_failures_in_a_row_disable_and_an_event_says_so(server: Served):
    with receiving(Receiver(lambda taken: 400)) as receiver, receiving() as watcher:
        made = hook(server, receiver)
        watching = hook(server, watcher, events=["webhook.disabled"])
        for n in range(10):
            write(server, f"f-{n}")
        (told,) = watcher.until(1)
        shown = call(server, "GET", f"{HOOKS}/{made['id']}")
        for one in (made, watching):
            call(server, "DELETE", f"{HOOKS}/{one['id']}", expect=204)

    body = json.loads(told.body)
    assert (body["event"], body["webhook_id"]) == ("WebhookDisabled", made["id"])
    assert (shown["is_active"], shown["failure_count"]) == (False, 10)
    assert "10 deliveries in a row" in shown["reason"]


def test_bad_wishes_are_refused_with_a_hint(server: Served, receiver: Receiver):
    for wish in (
        {"url": receiver.url, "events": [""]},
        {"url": receiver.url, "events": ["QueueStatus"]},
        {"url": receiver.url, "secret": "whsec_short"},
        {"url": receiver.url, "colour": "red"},
        {"events": []},
    ):
        refused = call(server, "POST", HOOKS, wish, 400 if "events" in wish and "url" in wish else 422)
        assert refused["hint"]


def test_only_an_admin_and_only_in_its_own_namespace(server: Served, receiver: Receiver):
    made = hook(server, receiver)
    writer = call(server, "POST", "/api/v1/tokens", {"scopes": ["read", "write"]}, 201)["token"]
    bound = call(server, "POST", "/api/v1/tokens", {"scopes": ["admin"], "memories": ["work"]}, 201)["token"]

    for token, path, expected in (
        (writer, HOOKS, 403),
        (bound, f"{HOOKS}/{made['id']}", 404),
        (bound, "/api/v1/dead-letters", 403),
        ("", HOOKS, 401),
    ):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert httpx.get(server.url + path, headers=headers).status_code == expected
    assert httpx.get(server.url + HOOKS, headers={"Authorization": f"Bearer {bound}"}).json() == []
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)


def test_secrets_are_nowhere_on_disk_and_survive_a_restart(tmp_path: Path):
    """The database, its journal, and the log lines hold no secret and no URL."""
    (tmp_path / "appliance.toml").write_text(CONFIG)
    canary = "canary-5f1d"
    with (
        receiving() as receiver,
        serving(tmp_path, arguments=[f"--config={tmp_path / 'appliance.toml'}"]) as server,
    ):
        made = hook(server, receiver, url=f"{receiver.url}?key={canary}", secret=canary)
        shown = call(server, "GET", HOOKS)
        write(server, "c-1")
        settled(server, made)
        server.restart()
        write(server, "c-2")
        taken = receiver.until(2)

        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert canary.encode() not in kept
    expected = "sha256=" + hmac.new(canary.encode(), taken[1].body, hashlib.sha256).hexdigest()

    assert shown[0]["url"].endswith("/hook?key=(hidden)")
    assert taken[1].headers["x-matric-signature"] == expected
    assert taken[1].path == f"/hook?key={canary}"


@pytest.mark.timeout(300)
def test_killed_between_send_and_record_twenty_times_nothing_is_missing(tmp_path: Path):
    """At least once, with the same id, in order where promised; a receiver with a ledger sees each effect once."""
    findings = hookkills.run(tmp_path, kills=20, seed=5)

    assert findings.complaints == []
    assert findings.written == 100


def test_deliveries_are_counted_for_whoever_scrapes(server: Served, receiver: Receiver):
    def counted() -> dict[str, float]:
        text = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.token}"}).text
        pairs = [line.split() for line in text.splitlines() if "webhook_" in line and not line.startswith("#")]
        return {name: float(value) for name, value in pairs}

    before = counted()
    answers = iter([503, 200, 400])
    receiver.answer = lambda _: next(answers)
    made = hook(server, receiver)
    write(server, "m-1")
    settled(server, made)
    write(server, "m-2")
    settled(server, made, 2)
    after = counted()
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)

    rows = [f'webhook_deliveries_total{{status="{status}"}}' for status in ("success", "retry", "failed")]
    rows += ["webhook_delivery_duration_seconds_count", "webhook_retry_attempts_count", "webhook_retry_attempts_sum"]
    assert [after[row] - before[row] for row in rows] == [1, 1, 1, 3, 2, 3]
    assert after["appliance_webhook_endpoints"] >= 1
    assert after["appliance_webhook_deliveries_waiting"] <= before["appliance_webhook_deliveries_waiting"]


def test_a_key_pair_signs_and_receivers_need_no_secret(server: Served, receiver: Receiver):
    """`v1a` of Standard Webhooks: ed25519 over id.timestamp.body; after a rotation both sign."""
    made = hook(server, receiver, signature="v1a")
    call(server, "POST", f"{HOOKS}/{made['id']}/test")
    rotated = call(server, "POST", f"{HOOKS}/{made['id']}/rotate", {})
    shown = call(server, "GET", f"{HOOKS}/{made['id']}")
    call(server, "POST", f"{HOOKS}/{made['id']}/test")
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)

    def signed(taken: Taken, public: str, signature: str) -> bool:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
        content = f"{taken.id}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
        try:
            key.verify(base64.b64decode(signature.removeprefix("v1a,")), content)
        except InvalidSignature:
            return False
        return True

    before, after = receiver.taken
    new, old = after.headers["webhook-signature"].split()
    assert (made["signature"], made["secret"][:5]) == ("v1a", "whsk_")
    assert signed(before, made["public_key"], before.headers["webhook-signature"])
    assert signed(after, rotated["public_key"], new)
    assert signed(after, made["public_key"], old)
    assert not signed(after, made["public_key"], new)
    assert shown["public_key"] == rotated["public_key"]


def test_a_tool_that_may_not_know_what_is_there_sees_that_something_is(server: Served, receiver: Receiver):
    made = hook(server, receiver, url=f"{receiver.url}?key=canary", name="canary")
    call(server, "POST", "/api/v1/events", {"type": "NoteUpdated", **note("canary")}, 201)
    settled(server, made)

    shown = call(server, "GET", f"{HOOKS}/{made['id']}?redact=true")
    (row,) = [one for one in call(server, "GET", f"{HOOKS}?redact=true") if one["id"] == made["id"]]
    (delivery,) = call(server, "GET", f"{HOOKS}/{made['id']}/deliveries?redact=true")
    call(server, "GET", f"{HOOKS}?redact=maybe", expect=422)
    call(server, "DELETE", f"{HOOKS}/{made['id']}", expect=204)

    assert shown == row
    assert (row["url_class"], row["url_secret_candidate"], row["event_count"]) == ("local_or_private", True, 1)
    assert (delivery["status_code"], delivery["response_body_len"], delivery["success"]) == (200, 6, True)
    assert "canary" not in json.dumps([shown, row, delivery])
