"""`webhook` and `dlq` against the real process, and the programs that verify a signature."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.egress.webhooks.snippets import SNIPPETS
from tests.commands import Said, caller
from tests.contracts.receiver import Receiver, Taken, receiving
from tests.served import PATIENCE, TOKEN, Served, serving

CONFIG = '[webhooks]\nallow = ["127.0.0.1"]\nschedule = ["50ms"]\n'
RUNTIMES = {
    "python": ("python3", ["python3"], "verify.py"),
    "javascript": ("node", ["node"], "verify.cjs"),
    "php": ("php", ["php"], "verify.php"),
    "go": ("go", ["go", "run"], "verify.go"),
    "shell": ("openssl", ["sh"], "verify.sh"),
}
PRESENT = [name for name, (program, _, _) in RUNTIMES.items() if shutil.which(program)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "appliance.toml").write_text(CONFIG)
    with serving(folder, arguments=[f"--config={folder / 'appliance.toml'}"]) as server:
        yield server


@pytest.fixture
def call(served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    return caller(served, capfd, monkeypatch)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_webhook_from_its_making_to_its_end(call: Callable[..., Said], receiver: Receiver):
    made = call("webhook", "create", receiver.url, "--event", "HouseEvent", "--name", "erp", "--ordered")
    secret = made.out.strip()
    row = call("webhook", "list", "--json").json["webhooks"][0]
    short = row["id"][-8:]
    call("publish", "HouseEvent", '{"a": 1}', "--stream", "house-1")
    (taken,) = receiver.until(1)
    until(lambda: any(row["success"] for row in call("webhook", "deliveries", short, "--json").json["deliveries"]))

    assert (made.code, secret.startswith("whsec_"), row["name"], row["ordered"]) == (0, True, "erp", True)
    assert "succeeded" in call("webhook", "deliveries", short).out
    assert call("webhook", "pause", short, "--json").json["reason"] == "paused"
    assert call("webhook", "resume", short, "--json").json["is_active"] is True
    assert call("webhook", "test", short).code == 0
    assert call("webhook", "update", short, "--format", "standard", "--json").json["format"] == "standard"
    assert call("webhook", "rotate", short, "--overlap", "1h").out.startswith("whsec_")
    assert call("webhook", "rotate", short, "--ed25519").out.startswith("whpk_")
    assert "1 events" in call("webhook", "redeliver", short, "--event", json.loads(taken.body)["event_id"]).out
    assert secret not in call("webhook", "show", short).out
    assert call("webhook", "delete", short).code == 0
    assert call("webhook", "list").out == "there are no webhooks\n"


def test_what_cannot_be_is_said_with_the_line_to_add(call: Callable[..., Said]):
    refused = call("webhook", "create", "http://192.168.1.20:8080/")

    assert refused.code != 0
    assert 'webhooks.allow = ["192.168.1.20:8080"]' in refused.err


def test_the_shelf_of_the_dead(call: Callable[..., Said], receiver: Receiver):
    receiver.answer = lambda taken: 400
    call("webhook", "create", receiver.url, "--event", "DeadEvent")
    for _ in range(3):
        call("publish", "DeadEvent", "{}", "--stream", "dead-1")
    until(lambda: call("dlq", "list", "--json").json["total"] == 3)
    receiver.answer = lambda taken: 200
    first = call("dlq", "list", "--json").json["dead_letters"][0]["id"]

    assert "DeadEvent" in call("dlq", "list").out
    assert call("dlq", "show", first[-8:], "--json").json["reason"] == "client"
    assert call("dlq", "list", "--kind", "job").out == "nothing waits for a person\n"
    assert call("dlq", "drop", first[-8:]).code == 0
    assert call("dlq", "retry", "--kind", "job", "--json").json == {"retried": 0, "left": 0}
    assert call("dlq", "retry", "--kind", "job", "--all").code != 0
    assert call("dlq", "retry", "--all", "--json").json == {"retried": 2, "left": 0}
    assert call("dlq", "list").out == "nothing waits for a person\n"
    assert call("dlq", "drop").code != 0


@pytest.fixture(scope="module")
def signed(served: Served) -> tuple[Taken, str]:
    """A request of the server's, and the secret it was signed with."""
    from appliance.client import Client
    from appliance.client.protocol import rest

    with receiving() as receiver, Client(served.url, TOKEN) as client:
        made = client.run(rest("POST", "/api/v1/webhooks", {"url": receiver.url, "events": ["None"]}))
        client.run(rest("POST", f"/api/v1/webhooks/{made['id']}/test"))
        client.run(rest("DELETE", f"/api/v1/webhooks/{made['id']}"))
        return receiver.taken[0], made["secret"]


@pytest.mark.parametrize("language", PRESENT)
def test_the_printed_program_takes_our_requests_and_no_others(
    language: str, signed: tuple[Taken, str], call: Callable[..., Said], tmp_path: Path
):
    taken, secret = signed
    _, command, name = RUNTIMES[language]
    (tmp_path / name).write_text(call("webhook", "verify", "--lang", language).out)

    def accepts(secret: str, body: bytes, **changed: str) -> bool:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        given = {one.upper().replace("-", "_"): taken.headers[one] for one in names}
        environment = os.environ | given | changed | {"WEBHOOK_SECRET": secret}
        words = [*command, str(tmp_path / name)]
        return subprocess.run(words, input=body, env=environment, check=False, timeout=PATIENCE).returncode == 0

    assert accepts(secret, taken.body)
    assert not accepts(secret, taken.body + b" ")
    assert not accepts("whsec_" + "A" * 44, taken.body)
    assert not accepts(secret, taken.body, WEBHOOK_ID="msg_other")
    assert not accepts(secret, taken.body, WEBHOOK_TIMESTAMP="1700000000")


def test_there_are_five_languages():
    assert set(SNIPPETS) == set(RUNTIMES)
    assert {"python", "shell"} <= set(PRESENT)
