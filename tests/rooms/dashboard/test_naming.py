"""A name that is given on the first visit: kept beside the log, and outdone by the configuration."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from appliance.dashboard.naming import Naming
from appliance.errors import Conflict, Forbidden, Rejected
from appliance.log import Log
from appliance.model.event import Namespace
from appliance.model.http import Request, Response
from appliance.model.principal import ADMIN, Principal
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import TokenRow
from appliance.world import RealWorld


@asynccontextmanager
async def a_log() -> AsyncIterator[tuple[Log, Namespace]]:
    engine = MemoryEngine()
    space = engine.create_namespace("default", "", TokenRow("t", b"t", 0, (ADMIN,)), 1)
    log = Log(engine, RealWorld(), lambda _: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        yield log, space
        nursery.cancel_scope.cancel()


def naming(log: Log, space: Namespace, origin: str = "default") -> Naming:
    return Naming(log, lambda: space.key, name="vm", origin=origin)


async def put(one: Naming, space: Namespace, body: object, *, operator: bool = True) -> Response:
    [route] = [route for route in one.routes() if route.method == "PUT"]
    who = Principal(space, frozenset({ADMIN}), operator=operator)
    answer = route.handler(Request("PUT", route.path, body=json.dumps(body).encode(), principal=who))
    assert not isinstance(answer, Response)
    said = await answer
    assert isinstance(said, Response)
    return said


async def test_a_given_name_is_there_after_a_restart():
    async with a_log() as (log, space):
        first = naming(log, space)
        said = await put(first, space, {"name": " kitchen "})
        second = naming(log, space)
        await second.recall()

    assert json.loads(said.body) == {"name": "kitchen", "origin": "given here", "changeable": True}
    assert (first.name, second.name) == ("kitchen", "kitchen")


async def test_the_configuration_wins_and_is_changed_where_it_stands():
    async with a_log() as (log, space):
        await put(naming(log, space), space, {"name": "kitchen"})
        named = naming(log, space, "appliance.toml, line 1")
        await named.recall()

        with pytest.raises(Conflict, match=r"appliance\.toml, line 1"):
            await put(named, space, {"name": "cellar"})

    assert named.name == "vm"


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "  "}, {"name": "a\nb"}, {"name": "x" * 64}, {"nam": "x"}, [], 7]
)
async def test_what_is_no_name_is_refused(body: object):
    async with a_log() as (log, space):
        with pytest.raises(Rejected):
            await put(naming(log, space), space, body)


async def test_only_the_operator_names_it():
    async with a_log() as (log, space):
        with pytest.raises(Forbidden):
            await put(naming(log, space), space, {"name": "kitchen"}, operator=False)
