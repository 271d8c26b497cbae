"""Webhooks that arrive at a real process, from clients that know nothing of us (specs/streaming §6.5)."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.served import PATIENCE, Served, serving

PATH = "/api/v1/webhooks/incoming"
SECRET = "a secret of the house"
CLIENT = httpx.Client(timeout=PATIENCE)
PAYMENT = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("incoming")
    (folder / "appliance.toml").write_text('[incoming]\nmax_body = "4KiB"\n')
    with serving(folder, arguments=[f"--config={folder / 'appliance.toml'}"]) as served:
        yield served


def call(server: Served, method: str, path: str, body: object = None, expect: int = 200, token: str = "") -> Any:
    reply = CLIENT.request(
        method,
        server.url + path,
        content=b"" if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token or server.token}", "Content-Type": "application/json"},
    )
    assert reply.status_code == expect, reply.text
    return reply.json() if reply.content else None


def receiver(server: Served, slug: str, **wish: object) -> Any:
    return call(server, "POST", PATH, {"slug": slug, "hmac_secret": SECRET, **wish}, 201)


def send(
    server: Served, slug: str, body: bytes, *, secret: str = SECRET, key: str = "", **headers: str
) -> httpx.Response:
    """As any script would."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = {"X-Fortemi-Signature": f"sha256={digest}", **({"Idempotency-Key": key} if key else {}), **headers}
    return CLIENT.post(f"{server.url}{PATH}/{slug}", content=body, headers=given)


def events(server: Served, slug: str) -> list[Any]:
    arguments = ["stream.get", f"incoming_webhook-{slug}", {"position": 0}]
    found: list[Any] = call(server, "POST", "/rpc", arguments)
    return found


def test_receivers_are_made_listed_shown_changed_and_deleted(server: Served):
    made = receiver(server, "crud", provider="ERP", schema_ref="payment.v1", schema_doc=PAYMENT)
    listed = call(server, "GET", PATH)
    shown = call(server, "GET", f"{PATH}/crud")
    changed = call(server, "PATCH", f"{PATH}/crud", {"is_active": False, "provider": "Shop"})
    refused = send(server, "crud", b'{"amount": 1}')
    call(server, "POST", PATH, {"slug": "crud"}, 409)
    call(server, "DELETE", f"{PATH}/crud", expect=204)

    assert made["hmac_secret"] == SECRET
    assert SECRET not in json.dumps([listed, shown, changed])
    assert (shown["schema_doc"], shown["signature_header"], shown["received"]) == (PAYMENT, "X-Fortemi-Signature", 0)
    assert (changed["is_active"], changed["provider"], changed["schema_ref"]) == (False, "Shop", "payment.v1")
    assert refused.status_code == 404
    call(server, "GET", f"{PATH}/crud", expect=404)
    call(server, "DELETE", f"{PATH}/crud", expect=404)


def test_what_is_signed_becomes_an_event(server: Served):
    made = receiver(server, "erp", provider="ERP", headers=["X-GitHub-Event"], memory="work")

    reply = send(server, "erp", b'{"order": 7, "price": 1.10}', key="o-7", **{"X-GitHub-Event": "push", "X-Other": "1"})
    ((id, type, *_, data, metadata, _),) = events(server, "erp")

    assert reply.status_code == 200
    assert reply.json() == {
        "status": "accepted",
        "receiver_id": made["id"],
        "event_id": id,
        "idempotency_replay": False,
    }
    assert type == "IncomingWebhookReceived"
    assert data == {
        "receiver_id": made["id"],
        "slug": "erp",
        "provider": "ERP",
        "schema_ref": "",
        "key": "o-7",
        "headers": {"x-github-event": "push"},
        "payload": {"order": 7, "price": 1.1},
    }
    assert (metadata["memory"], metadata["actor"]["kind"]) == ("work", "system")
    assert call(server, "GET", f"{PATH}/erp")["received"] == 1


@pytest.mark.parametrize(
    ("slug", "body", "headers", "status"),
    [
        ("nobody", b'{"amount": 1}', {}, 404),  # before anything else
        ("order", b'{"amount": 1}', {"X-Fortemi-Signature": ""}, 401),
        ("order", b"no json", {"X-Fortemi-Signature": "sha256=00"}, 401),  # before the body is looked at
        ("order", b"no json", {}, 400),
        ("order", b"\xff", {}, 400),
        ("order", b"[" * 100, {}, 400),
        ("order", b'{"amount": "1"}', {}, 400),
        ("order", b'{"amount": 1, "text": "\\u0000"}', {}, 400),
        ("order", b'{"amount": 1}' + b" " * 5000, {}, 413),
        ("order", b'{"amount": 1}', {"Idempotency-Key": "x" * 300}, 422),
        ("order", b'{"amount": 1}', {}, 200),
    ],
)
def test_refusals_come_in_this_order(server: Served, slug: str, body: bytes, headers: dict[str, str], status: int):
    if not any(row["slug"] == "order" for row in call(server, "GET", PATH)):
        receiver(server, "order", schema_doc=PAYMENT)

    reply = send(server, slug, body, **headers)

    assert reply.status_code == status, reply.text
    assert status == 200 or reply.json()["message"]


def test_a_schema_names_the_place_and_can_be_tried_beforehand(server: Served):
    receiver(server, "pay", schema_ref="contract.payment.v1", schema_doc=PAYMENT)
    reader = call(server, "POST", "/api/v1/tokens", {"scopes": ["read"]}, 201)["token"]

    refused = send(server, "pay", b'{"currency": "EUR"}')
    tried = [
        call(
            server, "POST", f"{PATH}/validate", {"schema_ref": "contract.payment.v1", "payload": payload}, token=reader
        )
        for payload in ({"amount": 1}, {"amount": "1"})
    ]

    assert refused.status_code == 400
    assert "amount" in refused.json()["message"]
    assert tried == [
        {"valid": True, "schema_ref": "contract.payment.v1", "errors": []},
        {"valid": False, "schema_ref": "contract.payment.v1", "errors": ['/amount: "1" is not of type "number"']},
    ]
    call(server, "POST", f"{PATH}/validate", {"schema_ref": "none", "payload": 1}, 404)
    call(server, "POST", PATH, {"slug": "bad", "schema_doc": {"$ref": "http://127.0.0.1/x"}}, 422)


def test_a_key_makes_it_once_and_another_body_is_refused(server: Served):
    receiver(server, "keys")
    receiver(server, "others")

    first, again = (send(server, "keys", b'{"n": 1}', key="k") for _ in range(2))
    other = send(server, "keys", b'{"n": 2}', key="k")
    elsewhere = send(server, "others", b'{"n": 2}', key="k")
    keyless = [send(server, "keys", b'{"n": 1}').status_code for _ in range(2)]

    assert again.json() == first.json() | {"idempotency_replay": True}
    assert (again.status_code, other.status_code, elsewhere.status_code) == (200, 409, 200)
    assert keyless == [200, 200]
    assert len(events(server, "keys")) == 3


def test_fifty_at_once_with_one_key_are_one_event(server: Served):
    receiver(server, "race")
    replies: list[Any] = []

    def one() -> None:
        replies.append(send(server, "race", b'{"n": 1}', key="same").json())

    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(events(server, "race")) == 1
    assert sum(reply["idempotency_replay"] for reply in replies) == 49
    assert len({reply["event_id"] for reply in replies}) == 1


def test_standard_webhooks_are_taken_once_by_their_own_id(server: Served):
    """Signed by the standardwebhooks library."""
    made = call(server, "POST", PATH, {"slug": "standard", "signature": "standard"}, 201)

    def post(at: float, id: str = "msg_1", body: str = '{"n":1}') -> httpx.Response:
        signature = Webhook(made["hmac_secret"]).sign(id, datetime.fromtimestamp(at, UTC), body)
        headers = {"webhook-id": id, "webhook-timestamp": str(int(at)), "webhook-signature": signature}
        return CLIENT.post(f"{server.url}{PATH}/standard", content=body.encode(), headers=headers)

    now = time.time()
    replies = [post(now), post(now + 1), post(now - 400, "msg_2"), post(now, "msg_1", '{"n":2}')]

    assert [reply.status_code for reply in replies] == [200, 200, 401, 409]
    assert replies[1].json()["idempotency_replay"] is True
    assert "s away from now" in replies[2].json()["message"]


def test_a_new_secret_and_the_one_before_for_a_while(server: Served):
    receiver(server, "rotate")

    call(server, "PATCH", f"{PATH}/rotate", {"hmac_secret": "second", "overlap_s": 3600})
    both = [send(server, "rotate", b"{}", secret=secret).status_code for secret in (SECRET, "second", "third")]
    call(server, "PATCH", f"{PATH}/rotate", {"hmac_secret": "third"})
    last = [send(server, "rotate", b"{}", secret=secret).status_code for secret in (SECRET, "second", "third")]

    assert (both, last) == ([200, 200, 401], [401, 401, 200])


def test_too_many_are_put_off_and_unsigned_ones_cost_nobody_anything(server: Served):
    receiver(server, "busy", rate=6)

    for _ in range(20):
        assert send(server, "busy", b"{}", secret="wrong").status_code == 401
    first, second = send(server, "busy", b"{}"), send(server, "busy", b"{}")

    assert (first.status_code, second.status_code) == (200, 429)
    assert 1 <= int(second.headers["retry-after"]) <= 10


def test_only_an_admin_and_only_in_its_own_namespace_and_memory(server: Served):
    receiver(server, "private", memory="work")
    token = call(server, "POST", "/api/v1/tokens", {"scopes": ["write"]}, 201)["token"]
    elsewhere = call(server, "POST", "/api/v1/tokens", {"scopes": ["admin"], "memories": ["home"]}, 201)["token"]
    here = call(server, "POST", "/api/v1/tokens", {"scopes": ["admin"], "memories": ["work"]}, 201)["token"]

    call(server, "GET", PATH, expect=403, token=token)
    call(server, "GET", f"{PATH}/private", expect=404, token=elsewhere)
    call(server, "POST", PATH, {"slug": "home-1", "memory": "work"}, 403, token=elsewhere)
    call(server, "POST", PATH, {"slug": "home-1", "memory": "home"}, 201, token=elsewhere)
    assert {row["memory"] for row in call(server, "GET", PATH, token=here)} == {"work"}


def test_receivers_of_a_deleted_namespace_are_gone_and_their_slugs_free(server: Served):
    made = call(server, "POST", "/rpc", ["ns.create", "tenant", {}])
    call(server, "POST", PATH, {"slug": "theirs", "hmac_secret": SECRET}, 201, token=made["token"])
    call(server, "GET", f"{PATH}/theirs", expect=404)
    before = send(server, "theirs", b"{}").status_code

    call(server, "POST", PATH, {"slug": "theirs"}, 409)
    call(server, "POST", "/rpc", ["ns.delete", "tenant"])
    after = send(server, "theirs", b"{}").status_code

    assert (before, after) == (200, 404)
    receiver(server, "theirs")


@pytest.mark.timeout(300)
def test_killed_between_accepting_and_answering_six_times_each_is_there_once(tmp_path: Path):
    """Who gets no answer sends it again, with the same key: one event, whichever answer was lost."""
    chance = random.Random(11)
    with serving(tmp_path) as server:
        receiver(server, "kills", rate=100_000)
        sent, answered = 0, set[int]()
        for _ in range(6):
            over = threading.Event()

            def kill(wait: float, pid: int, over: threading.Event) -> None:
                time.sleep(wait)
                os.kill(pid, signal.SIGKILL)
                over.set()

            thread = threading.Thread(target=kill, args=(0.02 + chance.random() / 20, server.pid, over))
            thread.start()
            try:
                while not over.is_set():
                    sent += 1
                    if send(server, "kills", b'{"n": %d}' % sent, key=f"k-{sent}").status_code == 200:
                        answered.add(sent)
            except httpx.HTTPError:
                pass  # no answer: the last one may be there or not
            thread.join()
            server.restart()
            assert send(server, "kills", b'{"n": %d}' % sent, key=f"k-{sent}").status_code == 200
            answered.add(sent)
        found = [data["payload"]["n"] for *_, data, _, _ in events(server, "kills")]

    assert found == sorted(set(found)), "none twice"
    assert set(found) == answered == set(range(1, sent + 1))


def test_secrets_are_nowhere_on_disk_and_receivers_survive_a_restart(tmp_path: Path):
    canary = "canary-7d21-receiver"
    with serving(tmp_path) as server:
        call(server, "POST", PATH, {"slug": "safe", "hmac_secret": canary}, 201)
        send(server, "safe", b"{}", secret=canary)
        server.restart()
        after = send(server, "safe", b"{}", secret=canary).status_code

    assert after == 200
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path
