"""What a model's endpoint may answer, and what becomes of a text on its way there. Pure: the endpoint is a fake."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from appliance.api import HttpReply, LimitReached, PeerFailed, Rejected
from appliance.testing import load

load(Path(__file__).parents[1])
revision = import_module("appliance_plugins.notes.revision")
Model, by_model = revision.Model, revision.by_model

MODEL = Model("http://127.0.0.1:1/v1/", "tiny", timeout=5.0)
SAID = {"choices": [{"message": {"role": "assistant", "content": "  Better. \n"}}]}


@dataclass
class Endpoint:
    """`appliance.api.Http`, which answers the same each time."""

    status: int = 200
    body: bytes = field(default_factory=lambda: json.dumps(SAID).encode())
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def request(self, method: str, url: str, **what: Any) -> HttpReply:
        self.asked.append({"method": method, "url": url} | what)
        return HttpReply(self.status, {}, self.body)


async def silent(percent: int, message: str = "") -> None:
    assert 0 <= percent <= 100


async def test_a_text_is_sent_with_its_order_and_comes_back_trimmed():
    endpoint = Endpoint()

    made = await by_model(endpoint, MODEL, "bad text", "light", [], silent)

    (asked,) = endpoint.asked
    assert (asked["method"], asked["url"], asked["timeout"]) == ("POST", "http://127.0.0.1:1/v1/chat/completions", 5.0)
    assert asked["json"]["model"] == "tiny"
    assert asked["json"]["messages"][1] == {"role": "user", "content": "bad text"}
    assert asked["headers"] == {}
    assert (made.content, made.model) == ("Better.", "tiny")
    assert (made.metadata["mode"], made.metadata["generated"]) == ("light", True)


async def test_a_long_text_is_sent_in_parts_that_make_it_up_and_tells_how_far_it_is():
    endpoint, told = Endpoint(), []

    async def tell(percent: int, message: str = "") -> None:
        told.append((percent, message))

    text = "\n\n".join(["a" * 3000, "b" * 500, "c" * 9000, "d"])
    await by_model(endpoint, MODEL, text, "full", [], tell)

    parts = [asked["json"]["messages"][1]["content"] for asked in endpoint.asked]
    assert "".join(parts).replace("\n\n", "") == text.replace("\n\n", "")
    assert max(map(len, parts)) <= revision.PART
    assert told == sorted(told)
    assert told[0] == (10, f"part 1 of {len(parts)}")


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, LimitReached), (500, PeerFailed), (503, PeerFailed), (408, PeerFailed), (400, Rejected), (401, Rejected)],
)
async def test_a_refusal_says_whether_trying_again_would_help(status: int, error: type[Exception]):
    with pytest.raises(error) as caught:
        await by_model(Endpoint(status, b"secret words of the endpoint"), MODEL, "text", "full", [], silent)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"choices":[]}', b'{"choices":[{"message":{"content":null}}]}'])
async def test_an_answer_without_a_text_is_the_endpoints_fault(body: bytes):
    with pytest.raises(PeerFailed):
        await by_model(Endpoint(200, body), MODEL, "text", "full", [], silent)


@pytest.mark.parametrize("mode", revision.ORDERS)
def test_without_a_model_every_mode_gives_sentences_of_the_text(mode: str):
    text = "One is first. Two is second. Three is third. Four is last."

    made = revision.extracted(text, mode)

    assert made.content
    assert all(sentence in text for sentence in made.content.split(". "))
    assert (made.metadata["method"], made.model) == ("extractive", None)
