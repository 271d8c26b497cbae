"""`webhook listen` against the real process: what a webhook would be sent arrives at a program here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.commands import Said, caller
from tests.contracts.receiver import Receiver, receiving
from tests.served import PATIENCE, ROOT, TOKEN, Served, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")  # without an allow-list: the server may not go to loopback
    with serving(folder) as server:
        yield server


@pytest.fixture
def call(served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    return caller(served, capfd, monkeypatch)


def test_what_comes_is_brought_signed_and_shown_as_it_happens(served: Served, call: Callable[..., Said]):
    command = [
        sys.executable, "-m", "appliance", "webhook", "listen", "--event", "LiveEvent", "--format", "standard",
        "--secret", SECRET, "--count", "2", "--url", served.url, "--token", TOKEN,
    ]  # fmt: skip
    answers = iter([200, 503])
    with receiving(Receiver(lambda _: next(answers))) as receiver:
        listening = subprocess.Popen(
            [*command, "--forward", receiver.url], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert listening.stderr is not None
        assert "listening on" in listening.stderr.readline()
        for number in range(20):  # the first ones may come before it follows the log
            call("publish", "OtherEvent", "{}", "--stream", "live-1")
            call("publish", "LiveEvent", json.dumps({"n": number}), "--stream", "live-1")
            if len(receiver.taken) >= 2:
                break
        out, _ = listening.communicate(timeout=PATIENCE)

    first, second = receiver.taken
    body = Webhook(SECRET).verify(first.body, first.headers)
    assert (body["type"], set(body["data"])) == ("live.event", {"n"})
    assert second.id != first.id
    assert [line.split("  ")[1] for line in out.splitlines()] == ["LiveEvent"] * 2
    assert "200 in" in out.splitlines()[0]
    assert "503 in" in out.splitlines()[1]
    assert listening.returncode == 1


def test_it_is_told_as_a_webhook_is(call: Callable[..., Said]):
    made = call("webhook", "create", "http://example.org/", "--event", "LikeEvent", "--format", "seed", "--json").json
    call("publish", "LikeEvent", '{"n": 1}', "--stream", "like-1")

    with receiving() as receiver:
        done = call(
            "webhook", "listen", "--like", made["id"][-8:], "--since", "0", "--count", "1", "--json",
            "--secret", SECRET, "--forward", receiver.url,
        )  # fmt: skip
        (taken,) = receiver.taken

    assert json.loads(taken.body) == {"event": "LikeEvent", "n": 1}
    assert (done.code, done.json["status"], done.json["answer"], done.json["event_type"]) == (
        0,
        200,
        "thanks",
        "LikeEvent",
    )
    assert taken.headers["x-webhook-id"] == "local"
    call("webhook", "delete", made["id"])


def test_it_can_only_be_looked_at(call: Callable[..., Said]):
    call("publish", "SeenEvent", '{"n": 7}', "--stream", "seen-1")

    seen = call("webhook", "listen", "--print-only", "--event", "SeenEvent", "--since", "0", "--count", "1")

    head, _, body = seen.out.partition("\n\n")
    assert "webhook-signature: v1," in head
    assert json.loads(body)["data"]["n"] == 7
    assert "signed with whsec_" in seen.err


def test_when_nothing_answers_there_it_says_so(call: Callable[..., Said], tmp_path: Path):
    with receiving() as receiver:
        closed = receiver.url
    call("publish", "LostEvent", "{}", "--stream", "lost-1")

    said = call("webhook", "listen", "--forward", closed, "--event", "LostEvent", "--since", "0", "--count", "1")

    assert said.code == 1
    assert "not sent" in said.out


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--print-only", "--forward", "http://127.0.0.1/"],
        ["--forward", "ftp://127.0.0.1/"],
        ["--forward", "127.0.0.1:3000"],
        ["--print-only", "--secret", "whsec_short"],
        ["--print-only", "--like", "x", "--event", "y"],
        ["--print-only", "--when", "data.total >"],
    ],
)
def test_what_cannot_be_is_refused_with_a_hint(wrong: list[str], call: Callable[..., Said]):
    call("publish", "AnyEvent", "{}", "--stream", "any-1")

    refused = call("webhook", "listen", *wrong, "--since", "last", "--count", "1", "--json")

    assert refused.code not in (0, 1)
    assert json.loads(refused.err.splitlines()[-1])["error"]["hint"]
