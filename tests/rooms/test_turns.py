"""Changes are made one after the other, each to its end."""

from __future__ import annotations

import pytest
import trio

from appliance.errors import Conflict, Unavailable
from appliance.resilience.turns import Turns


async def test_a_change_goes_on_although_its_caller_leaves(autojump_clock: trio.testing.MockClock):
    turns, made = Turns(limit=10), list[str]()

    async def change() -> None:
        await trio.sleep(2)
        made.append("whole")

    async with trio.open_nursery() as nursery:
        turns.begin(nursery)
        with trio.move_on_after(1) as left:
            await turns.take(change)

    assert left.cancelled_caught
    assert made == ["whole"]


async def test_no_two_are_made_at_once(autojump_clock: trio.testing.MockClock):
    turns, steps = Turns(limit=10), list[str]()

    async def change() -> None:
        steps.append("begin")
        await trio.sleep(1)
        steps.append("end")

    async with trio.open_nursery() as nursery:
        turns.begin(nursery)
        nursery.start_soon(turns.take, change)
        nursery.start_soon(turns.take, change)

    assert steps == ["begin", "end"] * 2


async def test_trouble_reaches_who_asked_and_the_next_one_goes_on(autojump_clock: trio.testing.MockClock):
    turns, made = Turns(limit=10), list[str]()

    async def refused() -> None:
        raise Conflict("not now")

    async def endless() -> None:
        await trio.sleep_forever()

    async def fine() -> None:
        made.append("fine")

    async with trio.open_nursery() as nursery:
        turns.begin(nursery)
        with pytest.raises(Conflict, match="not now"):
            await turns.take(refused)
        with pytest.raises(Unavailable, match="too long"):
            await turns.take(endless)
        await turns.take(fine)

    assert made == ["fine"]


async def test_before_the_start_and_after_the_end_nothing_is_changed():
    turns, made = Turns(limit=10), list[str]()

    async def change() -> None:
        made.append("change")

    with pytest.raises(Unavailable, match="ready"):
        await turns.take(change)
    async with trio.open_nursery() as nursery:
        turns.begin(nursery)
        turns.end()
        with pytest.raises(Unavailable, match="ready"):
            await turns.take(change)

    assert made == []


async def test_a_change_that_the_end_of_the_service_cuts_off_is_not_called_made():
    turns, said = Turns(limit=10), list[str]()

    async def asking() -> None:
        with pytest.raises(Unavailable, match="stopping"):
            await turns.take(trio.sleep_forever)
        said.append("told")

    async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
        turns.begin(nursery)
        outer.start_soon(asking)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert said == ["told"]
