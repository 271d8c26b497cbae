"""Where did my event go, and why not elsewhere? Asked of the real process with all that can be told of one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from appliance.cli.main import run
from tests.contracts.receiver import Receiver, receiving
from tests.served import PATIENCE, TOKEN, Served, serving

CONFIG = """\
plugins_path = ["{plugins}"]
[webhooks]
allow = ["127.0.0.1"]
schedule = ["50ms"]
[plugins.shop]
"""
MANIFEST = 'name = "shop"\nversion = "1.0"\napi = 1\nsummary = "Greets whoever buys much."\n'
PLUGIN = '''"""Greets whoever buys much."""

from appliance.api import Context, Plugin

plugin = Plugin("shop", summary="Greets whoever buys much.")


@plugin.on("OrderPlaced", when="data.total > 100")
async def thank(ctx: Context[None], event) -> None:
    """Queue a card."""
    await ctx.enqueue(card, to=event.data.buyer, key=event.id)


@plugin.on("OrderPlaced", when="buyer == 'trouble'", retry="20ms")
async def worry(ctx: Context[None], event) -> None:
    """Fail."""
    raise ValueError("no idea what to do")


@plugin.job()
async def card(to: str) -> str:
    """Write a card."""
    return f"dear {to}"
'''


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shop = folder / "plugins" / "shop"
    shop.mkdir(parents=True)
    (shop / "plugin.toml").write_text(MANIFEST)
    (shop / "plugin.py").write_text(PLUGIN)
    config = folder / "appliance.toml"
    config.write_text(CONFIG.format(plugins=folder / "plugins"))
    with serving(folder, arguments=[f"--config={config}"]) as server:
        yield server


@pytest.fixture
def call(served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command line in this process, against the server."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv: str, token: str = TOKEN) -> Said:
        capfd.readouterr()
        code = run([*argv, "--url", served.url, "--token", token])
        return Said(code, *capfd.readouterr())

    return call


@pytest.fixture
def receiver(call: Callable[..., Said]) -> Iterator[Receiver]:
    """A webhook named erp that wants large orders; it is forgotten afterwards."""
    with receiving() as found:
        call("webhook", "create", found.url, "--event", "OrderPlaced", "--name", "erp", "--when", "data.total > 100")
        id = call("webhook", "list", "--json").json["webhooks"][0]["id"]
        try:
            yield found
        finally:
            call("webhook", "delete", id)


@contextmanager
def following(served: Served, query: str) -> Iterator[ClientConnection]:
    """A client that has been greeted: it is sent what it follows from now on."""
    with connect(
        f"ws://127.0.0.1:{served.port}/api/v1/ws?{query}", additional_headers={"Authorization": f"Bearer {TOKEN}"}
    ) as socket:
        socket.recv(PATIENCE)
        yield socket


PLACES = (["order-8"], ["order-8@0"], ["order-8", "@", "0"])


def placed(call: Callable[..., Said], stream: str, **data: Any) -> str:
    call("publish", "OrderPlaced", json.dumps(data), "--stream", stream)
    id: str = call("stream", "last", stream, "--json").json["id"]
    return id


def why(call: Callable[..., Said], id: str, settled: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The legs of an event, once they are as they will be."""
    deadline = time.monotonic() + PATIENCE
    while True:
        legs: list[dict[str, Any]] = call("event", "why", id, "--json").json["legs"]
        if settled(legs):
            return legs
        assert time.monotonic() < deadline, legs
        time.sleep(0.02)


def outcomes(legs: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(leg["kind"], leg["name"].split(" (")[0]): (leg["outcome"], leg.get("detail", "")) for leg in legs}


def quiet(legs: list[dict[str, Any]]) -> bool:
    return all(leg["outcome"] != "waiting" for leg in legs)


def test_an_event_that_matched_nothing_explains_all(call: Callable[..., Said], served: Served, receiver: Receiver):
    """Like #46, for what is missed; I2 (conditions evaluated again, reasons given)."""
    with following(served, "types=invoice"):
        id = placed(call, "order-7", total=90, buyer="anna")
        legs = why(call, id, quiet)
        people, short = call("event", "why", id), call("event", "trace", id, "--json")

    found = outcomes(legs)
    assert found["webhook", "erp"] == ("skipped", "`data.total` is 90, needed > 100")
    assert found["plugin", "shop: thank"] == ("skipped", "`data.total` is 90, needed > 100")
    assert found["plugin", "shop: worry"] == ("skipped", "`data.buyer` is 'anna', needed == 'trouble'")
    assert [leg["detail"] for leg in legs if leg["kind"] == "client"] == ["order.placed is not wanted, only invoice"]
    assert {leg["outcome"] for leg in legs} == {"skipped"}
    assert short.json["legs"] == []
    assert re.search(r" – webhook  erp +`data.total` is 90, needed > 100", people.out)
    assert "\x1b" not in people.out


def test_an_event_that_went_everywhere_tells_when(call: Callable[..., Said], served: Served, receiver: Receiver):
    """Like #46: from the request to every place."""
    with following(served, "types=order"):
        id = placed(call, "order-8", total=190, buyer="ben")
        legs = why(call, id, lambda legs: quiet(legs) and any(leg["kind"] == "job" for leg in legs))
        trace, people = call("event", "trace", id, "--json").json, call("event", "trace", id)
        by_place = [call("event", "show", *place, "--json").json["event_id"] for place in PLACES]
        nowhere = [call("event", "show", place) for place in ("order-8@1", "order-99")]

    found = outcomes(legs)
    assert found["webhook", "erp"] == ("done", "200")
    assert found["plugin", "shop: thank"][0] == "done"
    assert found["job", "Card"][0] == "done"
    assert [leg["outcome"] for leg in legs if leg["kind"] == "client"] == ["done"]
    assert [leg["outcome"] for leg in trace["legs"]] == ["done"] * 4
    assert all(0 <= leg["after_ms"] < PATIENCE * 1000 and leg["at"].endswith("Z") for leg in trace["legs"])
    assert 0 <= trace["bus_ms"] <= trace["handed_ms"]
    assert by_place == [id] * len(PLACES)
    assert [said.code for said in nowhere] == [5, 5]
    assert "there is no event order-8@1" in nowhere[0].err
    assert "JobQueued" in [link["type"] for link in trace["chain"]]
    assert "✓ job" in people.out
    assert "erp" in people.out


def test_what_went_wrong_is_told_with_where_it_waits(call: Callable[..., Said], receiver: Receiver):
    receiver.answer = lambda taken: 400
    id = placed(call, "order-9", total=101, buyer="trouble")

    found = outcomes(why(call, id, lambda legs: quiet(legs) and any(leg["kind"] == "job" for leg in legs)))

    assert found["webhook", "erp"] == ("failed", "400; put on the shelf of dead letters")
    assert found["plugin", "shop: worry"][0] == "failed"
    assert {row["kind"] for row in call("dlq", "list", "--json").json["dead_letters"]} == {"webhook", "plugin"}


def test_a_paused_webhook_says_so(call: Callable[..., Said], receiver: Receiver):
    id = call("webhook", "list", "--json").json["webhooks"][0]["id"]
    call("webhook", "pause", id)
    event = placed(call, "order-10", total=500, buyer="ben")

    waiting = outcomes(why(call, event, lambda legs: True))["webhook", "erp"]
    call("webhook", "resume", id)
    brought = outcomes(why(call, event, quiet))["webhook", "erp"]

    assert (waiting, brought) == (("waiting", "not active: paused"), ("done", "200"))


def test_a_reader_sees_its_own_clients_and_no_webhooks(call: Callable[..., Said], served: Served, receiver: Receiver):
    token = call("token", "create", "--scope", "read", "--json").json["token"]
    with following(served, "types=order"):
        id = placed(call, "order-11", total=190, buyer="ben")
        everything = why(call, id, quiet)
        seen = call("event", "why", id, "--json", token=token).json["legs"]

    assert {leg["kind"] for leg in everything} >= {"client", "webhook", "plugin"}
    assert {leg["kind"] for leg in seen} & {"client", "webhook"} == set()


def test_a_condition_is_changed_refused_and_taken_away(call: Callable[..., Said], receiver: Receiver):
    id = call("webhook", "list", "--json").json["webhooks"][0]["id"]

    changed = call("webhook", "update", id, "--when", "total > 5 AND buyer.changed()", "--json").json
    refused = call("webhook", "update", id, "--when", "total => 5")
    kept = call("webhook", "show", id, "--json").json
    taken = call("webhook", "update", id, "--when", "", "--json").json

    assert changed["condition"] == kept["condition"] == "total > 5 && field_changed('buyer')"
    assert refused.code == 4
    assert refused.err.splitlines()[:4] == [
        "error: condition, column 7: => is no operator",
        "       total => 5",
        "             ^",
        "       did you mean >=?",
    ]
    assert taken["condition"] == ""


def test_what_a_condition_cannot_answer_is_counted_and_shown(call: Callable[..., Said], receiver: Receiver):
    id = call("webhook", "list", "--json").json["webhooks"][0]["id"]
    event = placed(call, "order-12", buyer="ben")

    skipped = outcomes(why(call, event, quiet))["webhook", "erp"]
    shown = call("webhook", "show", id, "--json").json

    assert skipped == ("skipped", "`data.total` is missing")
    assert (shown["condition_errors"], shown["condition_error"]) == (1, "`data.total` is missing")


def test_the_way_of_an_event_is_known_after_a_restart(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    with receiving() as receiver:
        config = tmp_path / "appliance.toml"
        config.write_text('[webhooks]\nallow = ["127.0.0.1"]\n')
        with serving(tmp_path, arguments=[f"--config={config}"]) as server:

            def call(*argv: str) -> Said:
                capfd.readouterr()
                code = run([*argv, "--url", server.url, "--token", TOKEN])
                return Said(code, *capfd.readouterr())

            call("webhook", "create", receiver.url, "--name", "erp", "--event", "OrderPlaced")
            id = placed(call, "order-1", total=1)
            before = why(call, id, quiet)
            server.restart()
            after = why(call, id, quiet)
            trace = call("event", "trace", id, "--json").json

    assert outcomes(before) == outcomes(after) == {("webhook", "erp"): ("done", "200")}
    assert "bus_ms" not in trace
