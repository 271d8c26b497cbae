"""Backups that make themselves, under a clock that jumps, and the routes that ask for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from appliance.errors import Forbidden, NotFound, Unavailable
from appliance.model.event import Namespace
from appliance.model.http import Request, Response
from appliance.model.principal import Principal
from appliance.storage import backup
from appliance.storage.schedule import SETTLE, Backups, backup_routes
from appliance.storage.sqlite import SqliteEngine
from appliance.testing.simulation import Simulation
from tests.rooms.storage.store import Store

HOUR = 3600.0
OPERATOR = Principal(Namespace(1, "default"), operator=True)
TENANT = Principal(Namespace(2, "tenant"))


@asynccontextmanager
async def a_service(folder: Path, **options: Any) -> AsyncIterator[Backups]:
    with closing(SqliteEngine.open(folder)) as engine:
        Store(engine)
        backups = Backups(engine, Simulation(1).boot(), folder / "backups", **options)
        async with trio.open_nursery() as nursery:
            await nursery.start(backups.run)
            yield backups
            nursery.cancel_scope.cancel()


def names(backups: Backups) -> list[str]:
    return [found.name for found in backup.listing(backups.folder)]


async def test_backup_is_made_after_a_start_and_then_every_so_often(tmp_path, autojump_clock):
    async with a_service(tmp_path, every=HOUR) as backups:
        counts = []
        for seconds in (SETTLE - 1, 2, HOUR - 10, 20, HOUR):
            await trio.sleep(seconds)
            counts.append(len(names(backups)))

    assert counts == [0, 1, 1, 2, 3]
    assert {found.reason for found in backup.listing(backups.folder)} == {"schedule"}


async def test_restart_does_not_bring_a_backup_forward(tmp_path, autojump_clock):
    async with a_service(tmp_path, every=HOUR) as backups:
        await trio.sleep(SETTLE + 1)
    async with a_service(tmp_path, every=HOUR) as backups:
        await trio.sleep(SETTLE + HOUR / 2)

        assert len(names(backups)) == 1


async def test_only_the_newest_are_kept(tmp_path, autojump_clock):
    async with a_service(tmp_path, every=HOUR, keep=2) as backups:
        await trio.sleep(5.5 * HOUR)

        assert len(names(backups)) == 2


async def test_schedule_that_is_off_makes_none_and_can_be_switched_on(tmp_path, autojump_clock):
    async with a_service(tmp_path) as backups:
        await trio.sleep(100 * HOUR)
        before = len(names(backups))
        backups.configure(every=HOUR, keep=3)
        await trio.sleep(1)

        assert (before, len(names(backups))) == (0, 1)


async def test_failed_backup_is_tried_again_and_ends_nothing(tmp_path, autojump_clock):
    async with a_service(tmp_path, every=HOUR) as backups:
        backups.folder.write_text("in the way")
        await trio.sleep(SETTLE + 1)
        backups.folder.unlink()
        await trio.sleep(700)

        assert len(names(backups)) == 1


async def test_two_requests_at_once_make_two_backups_one_after_the_other(tmp_path, autojump_clock):
    async with a_service(tmp_path) as backups, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(backups.now)

    assert len(names(backups)) == 2


async def test_stopping_service_makes_no_more(tmp_path, autojump_clock):
    async with a_service(tmp_path) as backups:
        await backups.drain()

        with pytest.raises(Unavailable):
            await backups.now()

    assert names(backups) == []


async def answer(backups: Backups, method: str, path: str, principal: Principal = OPERATOR, **params: str) -> Response:
    (route,) = (route for route in backup_routes(backups) if (route.method, route.path) == (method, path))
    given = route.handler(Request(method, path, params=params, principal=principal))
    assert isinstance(given, Awaitable)
    response = await given
    assert isinstance(response, Response)
    return response


async def test_routes_make_list_and_prove(tmp_path, autojump_clock):
    async with a_service(tmp_path, every=HOUR, keep=3) as backups:
        made = await answer(backups, "POST", "/api/v1/backups")
        name = msgspec.json.decode(made.body)["name"]
        listed = msgspec.json.decode((await answer(backups, "GET", "/api/v1/backups")).body)
        proven = await answer(backups, "POST", "/api/v1/backups/{name}/verify", name=name)

    assert made.status == 201
    assert (listed["every_s"], listed["keep"], [one["name"] for one in listed["backups"]]) == (HOUR, 3, [name])
    assert proven.status == 200
    assert msgspec.json.decode(proven.body) == msgspec.json.decode(made.body)


async def test_the_operator_is_told_what_is_damaged(tmp_path, autojump_clock):
    async with a_service(tmp_path) as backups:
        made = await answer(backups, "POST", "/api/v1/backups")
        name = msgspec.json.decode(made.body)["name"]
        copy = tmp_path / "backups" / name / "log.db"
        assert copy.is_file()
        copy.write_bytes(copy.read_bytes()[:5000])
        with pytest.raises(Unavailable, match=r"log\.db"):
            await answer(backups, "POST", "/api/v1/backups/{name}/verify", name=name)


async def test_only_the_operator_may_use_the_routes(tmp_path, autojump_clock):
    async with a_service(tmp_path) as backups:
        for method, path in (("GET", "/api/v1/backups"), ("POST", "/api/v1/backups")):
            with pytest.raises(Forbidden):
                await answer(backups, method, path, TENANT)
        with pytest.raises(NotFound):
            await answer(backups, "POST", "/api/v1/backups/{name}/verify", name="../../etc")

    assert names(backups) == []
