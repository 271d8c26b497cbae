"""The harness runs a plugin as an appliance would, and waits for nothing under the mock clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio

from appliance.api import Context, Misdeclared, Plugin, Rejected, Unavailable
from appliance.errors import ConfigError, NotFound
from appliance.testing import harness, load


@dataclass(frozen=True)
class Config:
    every: float = 2.0


def ticker() -> tuple[Plugin, type, type]:
    plugin = Plugin("ticker", config=Config)

    @plugin.event(stream="tick-{name}")
    @dataclass(frozen=True)
    class Ticked:
        name: str
        count: int

    @plugin.event(stream="tock-{name}")
    @dataclass(frozen=True)
    class Tocked:
        name: str

    @plugin.service
    async def tick(ctx: Context[Config]) -> None:
        for count in range(1000):
            await ctx.emit(Ticked("a", count))
            if count % 2:
                await ctx.emit(Tocked("b"))
            await ctx.sleep(ctx.config.every)

    @plugin.panel("Ticks")
    async def panel(ctx, config) -> dict:
        return {"every": config.every, "two": await ctx.run_in_thread(lambda: 1 + 1)}

    return plugin, Ticked, Tocked


async def test_each_wait_gives_the_next_event_of_its_type(autojump_clock):
    plugin, ticked, tocked = ticker()

    async with harness(plugin, {"every": 10.0}) as rig:
        begin = trio.current_time()
        found = [await rig.wait_for(ticked), await rig.wait_for(tocked), await rig.wait_for("Ticked")]
        took = trio.current_time() - begin

    assert found == [ticked("a", 0), tocked("b"), ticked("a", 1)]
    assert took == 10.0
    assert [event.global_position for event in rig.stored] == [1, 2, 3]
    assert [(event.stream, event.position) for event in rig.stored] == [("tick-a", 0), ("tick-a", 1), ("tock-b", 0)]
    assert rig.events == [ticked("a", 0), ticked("a", 1), tocked("b")]


async def test_time_of_day_follows_the_clock_from_a_fixed_beginning(autojump_clock):
    plugin, ticked, _ = ticker()

    async with harness(plugin) as rig:
        await rig.wait_for(ticked)
        first = rig.ctx.wall()
        await rig.ctx.sleep(90)

        assert (first, rig.ctx.wall()) == ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:01:30.000000Z")


async def test_wait_for_an_event_that_never_comes_ends(autojump_clock):
    plugin, _, _ = ticker()

    @plugin.event(stream="never-{name}")
    class Never:
        name: str

    with pytest.raises(trio.TooSlowError):
        async with harness(plugin) as rig:
            await rig.wait_for(Never, within=5)


async def test_what_is_not_declared_cannot_be_waited_for_or_shown(autojump_clock):
    async with harness(ticker()[0], Config(every=1.0)) as rig:
        with pytest.raises(NotFound) as missing:
            await rig.wait_for("Tiked")
        with pytest.raises(NotFound):
            await rig.panel("Ticcs")

    assert missing.value.hint == 'did you mean "Ticked"?'


async def test_ids_are_in_the_order_of_creation_while_time_stands_still(autojump_clock):
    plugin = Plugin("maker")

    @plugin.panel("Ids")
    async def panel(ctx: Context) -> dict:
        return {"ids": [ctx.new_id() for _ in range(100)]}

    async with harness(plugin) as rig:
        ids = (await rig.panel("Ids"))["ids"]

    assert ids == sorted(set(ids))


async def test_panel_gives_its_values(autojump_clock):
    async with harness(ticker()[0], Config(every=1.0)) as rig:
        assert await rig.panel("Ticks") == {"every": 1.0, "two": 2}


@pytest.mark.parametrize("config", [{"evry": 1}, {"every": "often"}])
async def test_config_is_as_strict_as_in_the_appliance(config, autojump_clock):
    with pytest.raises(ConfigError):
        async with harness(ticker()[0], config):
            pass


async def test_config_of_another_kind_is_a_mistake_of_the_test(autojump_clock):
    with pytest.raises(TypeError, match="a table or a Config, not int"):
        async with harness(ticker()[0], 3):
            pass


async def test_crash_of_a_service_comes_out_as_it_is(autojump_clock):
    plugin = Plugin("bad")

    @plugin.service
    async def go(ctx) -> None:
        await ctx.sleep(1)
        raise KeyError("run_id")

    with pytest.raises(KeyError, match="run_id"):
        async with harness(plugin):
            await trio.sleep_forever()


async def test_service_that_returns_is_told(autojump_clock):
    plugin = Plugin("bad")

    @plugin.service
    async def go() -> None: ...

    with pytest.raises(Misdeclared, match="service go returned"):
        async with harness(plugin):
            await trio.sleep_forever()


async def test_two_crashes_at_once_come_out_together(autojump_clock):
    plugin = Plugin("bad")

    @plugin.service
    async def one() -> None:
        raise KeyError

    @plugin.service
    async def two() -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup) as both:
        async with harness(plugin):
            await trio.sleep_forever()

    assert {type(crash) for crash in both.value.exceptions} == {KeyError, ValueError}


async def test_emit_checks_and_refuses_as_in_the_appliance(autojump_clock):
    plugin, ticked, _ = ticker()

    async with harness(plugin) as rig:
        with pytest.raises(Rejected):
            await rig.ctx.emit(ticked("", 1))
        with pytest.raises(Misdeclared):
            await rig.ctx.emit(object())

        receipt = await rig.ctx.emit(ticked("z", 1))

    assert (receipt.stream, receipt.position, receipt.global_position) == ("tick-z", 0, 1)
    assert receipt.id == rig.stored[0].id


async def test_log_that_takes_no_writes_can_be_played(autojump_clock):
    plugin, ticked, _ = ticker()

    async with harness(plugin) as rig:
        rig.refusal = Unavailable("the disk is full")
        with pytest.raises(Unavailable):
            await rig.ctx.emit(ticked("z", 1))
        rig.refusal = None
        await rig.wait_for(ticked)


async def test_folder_is_run_as_well(write, autojump_clock):
    folder = write("cards", "@plugin.panel('P')\nasync def p(): return {'n': 1}")

    async with harness(folder) as rig:
        assert await rig.panel("P") == {"n": 1}

    assert load(folder).name == "cards"


def shop() -> Plugin:
    plugin = Plugin("shop")

    @plugin.event(stream="order-{order_id}")
    @dataclass(frozen=True)
    class OrderPlaced:
        order_id: str

    @plugin.route("PUT", "/orders/{order_id}", scope="write")
    async def place(ctx, request, order_id):
        async with ctx.transaction(key=request.idempotency_key) as tx:
            tx.put(order_id, {"by": request.caller.subject, "memory": request.memory})
            tx.emit(OrderPlaced(order_id))
        return {"memory": ctx.memory}

    @plugin.route("GET", "/orders/{order_id}", scope="read", blocking=True)
    def show(order_id, ctx):
        if order_id == "bug":
            raise KeyError("bug")
        return trio.from_thread.run(ctx.get, order_id)

    @plugin.on(OrderPlaced, retry="1s")
    async def bill(ctx, event):
        if event.data.order_id == "odd":
            raise ValueError("odd")
        await ctx.enqueue(print_bill, order_id=event.data.order_id, key=event.id)

    @plugin.on("JobCompleted")
    async def note(ctx, event):
        async with ctx.transaction() as tx:
            tx.put(f"done/{event.data.job_id}", event.data.result)

    @plugin.job(retry="1s 5s", blocking=True)
    def print_bill(order_id):
        return f"bill of {order_id}"

    @plugin.action("greet")
    async def greet(name):
        return f"hello, {name}"

    return plugin


async def test_a_story_through_every_door_takes_no_time(autojump_clock):
    async with harness(shop()) as app:
        placed = await app.request("PUT", "/orders/7?memory=work", memories=("work", "home"), subject="anna")
        results = await app.run_jobs()
        shown = await app.request("GET", "/orders/7")
        done = await app.ctx.count("done/")
        said = await app.act("greet", name="ben")
        refused = await app.request("PUT", "/orders/7", scopes=("read",))
        missing = await app.request("GET", "/nowhere")

    assert placed.json() == {"memory": "work"}
    assert results == ["bill of 7"]
    assert shown.json() == {"by": "anna", "memory": "work"}
    assert (done, said) == (1, "hello, ben")
    assert (refused.status, missing.status) == (403, 404)
    assert [event.type for event in app.stored] == ["OrderPlaced", "JobQueued", "JobStarted", "JobCompleted"]


async def test_what_goes_wrong_in_the_plugin_comes_out_as_it_is(autojump_clock):
    async with harness(shop()) as app:
        with pytest.raises(KeyError, match="bug"):
            await app.request("GET", "/orders/bug")
        await app.request("PUT", "/orders/odd")
        with pytest.raises(ValueError, match="odd"):
            await app.settle()
        await app.emit("JobCompleted", {"job_id": "9", "job_type": "PrintBill", "result": 7}, stream="job-9")
        await app.settle()
        kept = await app.ctx.get("done/9")

    assert kept == 7
    assert [letter.source for letter in app.shelf.letters] == ["shop: bill"]
