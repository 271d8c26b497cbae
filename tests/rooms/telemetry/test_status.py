from __future__ import annotations

import msgspec
import pytest
import trio

from appliance.errors import Forbidden
from appliance.model.event import Namespace
from appliance.model.http import Request
from appliance.model.principal import ADMIN, Principal
from appliance.supervise.tree import Node, State
from appliance.telemetry.status import About, Status, StatusJson, Storage, overall
from appliance.world import RealWorld

ABOUT = About(
    "kitchen", "1.0", 7, "/data", test_mode=False, storage=Storage("sqlite", 5, 5, 0, ["a torn tail was cut"])
)
TREE = (Node("log", State.READY, 0), Node("plugins", State.READY, 0, children=(Node("host", State.PARKED, 0),)))


def asked_by(principal: Principal | None) -> Request:
    return Request("GET", "/status", principal=principal)


def status() -> Status:
    return Status(
        ABOUT, RealWorld(), counts=lambda: {"sockets": 2}, tree=lambda: TREE, plugins=lambda: [{"name": "host"}]
    )


async def test_the_operator_sees_everything_in_one_answer(autojump_clock):
    asked = status()
    asked.urls = ["http://127.0.0.1:1"]
    await trio.sleep(90)

    answer = await_answer(asked, Principal(Namespace(1, "default"), frozenset({ADMIN}), operator=True))

    told = msgspec.json.decode(answer, type=StatusJson)
    assert (told.name, told.state, told.pid, told.uptime_s) == ("kitchen", "degraded", 7, 90.0)
    assert (told.counts, told.plugins, told.storage.notes) == (
        {"sockets": 2},
        [{"name": "host"}],
        ["a torn tail was cut"],
    )
    assert [node.name for node in told.tree] == ["log", "plugins"]
    assert told.tree[1].children[0].state == "parked"
    assert told.urls == ["http://127.0.0.1:1"]


def await_answer(asked: Status, principal: Principal) -> bytes:
    answer = asked.route().handler(asked_by(principal))
    assert answer.headers == (("cache-control", "no-store"),)
    return answer.body


@pytest.mark.parametrize("principal", [None, Principal(Namespace(2, "tenant"), frozenset({ADMIN}))])
async def test_nobody_else_does(principal):
    with pytest.raises(Forbidden):
        status().route().handler(asked_by(principal))


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (["READY", "READY"], "well"),
        (["READY", "STARTING"], "starting"),
        (["READY", "WAITING"], "starting"),
        (["READY", "PAUSED"], "degraded"),
        (["PARKED", "READY"], "degraded"),
        (["READY", "DRAINING"], "stopping"),
        (["PAUSED", "STOPPED"], "stopping"),
    ],
)
def test_one_word_for_all_services(states, word):
    assert overall([Node(name, State[name], 0) for name in states]) == word


def test_what_is_below_a_parked_service_is_not_expected_to_run():
    parked = Node("notes", State.PARKED, 0, children=(Node("tick", State.CRASHED, 0),))

    assert overall([parked]) == "degraded"
