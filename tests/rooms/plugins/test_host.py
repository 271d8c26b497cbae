"""A plugin may do what it likes; its siblings do not notice."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise

import pytest
import trio

from appliance.api import Unavailable
from appliance.plugins.registry import bundled

TICKER = """
@plugin.event(stream="tick-{name}", retention="2d")
class Ticked:
    name: str
    count: int

@plugin.service
async def tick(ctx):
    count = 0
    while True:
        await ctx.emit(Ticked("a", count))
        count += 1
        await ctx.sleep(1)
"""

CRASHES = {
    "at import": ("1 / 0", "ZeroDivisionError"),
    "at import by exit": ("raise SystemExit(3)", "SystemExit"),
    "at start": ("@plugin.service\nasync def go(): raise KeyError('run_id')", "run_id"),
    "in a group": (
        "@plugin.service\nasync def go(ctx):\n    raise BaseExceptionGroup('g', [ValueError('x'), SystemExit(1)])",
        "SystemExit: 1",
    ),
    "later": ("@plugin.service\nasync def go(ctx):\n    await ctx.sleep(1)\n    raise OSError('gone')", "gone"),
    "by exit": ("import sys\n@plugin.service\nasync def go(): sys.exit('bye')", "SystemExit: bye"),
    "by interrupt": ("@plugin.service\nasync def go(): raise KeyboardInterrupt", "KeyboardInterrupt"),
    "by returning": ("@plugin.service\nasync def go(): return", "returned"),
    "by strange await": (
        "class Odd:\n    def __await__(self): yield 7\n@plugin.service\nasync def go(): await Odd()",
        "7",
    ),
    "by asyncio": ("import asyncio\n@plugin.service\nasync def go(): await asyncio.sleep(1)", "event loop"),
    "by leaked nursery": (
        "import trio\n@plugin.service\nasync def go(ctx):\n"
        "    nursery = await trio.open_nursery().__aenter__()\n"
        "    nursery.start_soon(trio.sleep_forever)\n    raise ValueError('left open')",
        "",
    ),
}


@pytest.mark.parametrize("how", CRASHES)
async def test_crash_parks_the_plugin_with_its_reason_and_leaves_the_sibling_alone(how, write, hosting, autojump_clock):
    body, reason = CRASHES[how]
    write("bad", body)
    write("good", TICKER)

    async with hosting() as running:
        bad = await running.until("bad", "parked")
        await trio.sleep(3)

        assert reason in bad.reason
        assert "\n  in " in bad.traceback
        assert running.status("good").state == "ready"
        assert running.status("good").restarts == 0
    beats = [later - sooner for sooner, later in pairwise(running.ledger.times)]
    assert beats
    assert beats == pytest.approx([1.0] * len(beats))


async def test_crashing_service_comes_back_after_growing_pauses(write, hosting, autojump_clock):
    write("shaky", "starts = []\n@plugin.service\nasync def go(ctx):\n    starts.append(ctx.now()); 1 / 0")

    async with hosting(budget=3) as running:
        shaky = await running.until("shaky", "parked")

    assert shaky.restarts == 3
    starts = sys.modules["appliance_plugins.shaky"].starts
    pauses = [later - sooner for sooner, later in pairwise(starts)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4])


async def test_crash_of_one_service_leaves_the_other_services_of_the_plugin_alone(write, hosting, autojump_clock):
    body = "@plugin.service\nasync def go(ctx):\n    await ctx.sleep(90)\n    raise OSError('line down')\n"
    write("mixed", body + TICKER)

    async with hosting() as running:
        await trio.sleep(600.5)
        mixed = running.status("mixed")

    assert (mixed.state, mixed.restarts) == ("ready", 6)
    assert "line down" in mixed.reason
    assert [json.loads(event.data)["count"] for event in running.ledger.events] == list(range(601))


async def test_tasks_a_plugin_leaks_end_with_it(write, hosting, autojump_clock):
    write(
        "leaky",
        """
        import trio
        @plugin.service
        async def go(ctx):
            for _ in range(50):
                nursery = await trio.open_nursery().__aenter__()
                nursery.start_soon(trio.sleep_forever)
            await ctx.sleep(1)
            raise ValueError("enough")
        """,
    )
    write("good", TICKER)

    async with hosting() as running:
        before = trio.lowlevel.current_statistics().tasks_living
        await running.until("leaky", "parked")
        after = trio.lowlevel.current_statistics().tasks_living
        good = running.status("good")

    assert before > 50
    assert after < before - 50
    assert (good.state, good.restarts) == ("ready", 0)


async def test_repaired_plugin_runs_after_a_restart_by_hand(write, hosting, autojump_clock):
    write("late", "raise RuntimeError('not yet')")

    async with hosting() as running:
        parked = running.status("late")
        write("late", TICKER)
        running.host.restart("late")
        late = await running.until("late", "ready")
        await trio.sleep(0.5)

    assert "not yet" in parked.reason
    assert late.events == ("Ticked",)
    assert len(running.ledger.of("Ticked")) == 1


async def test_drained_host_has_ended_every_service(write, hosting, autojump_clock):
    write("good", TICKER)

    async with hosting() as running:
        await trio.sleep(1.5)
        await running.host.drain()
        await trio.sleep(5)
        good = running.status("good")

    assert good.state == "stopped"
    assert len(running.ledger.events) == 2


async def test_thread_a_plugin_left_behind_does_not_hold_up_a_stop(write, hosting):
    body = "import threading\nstuck = threading.Event()\n@plugin.service\nasync def go(ctx): await ctx.run_in_thread("
    write("stuck", body + "stuck.wait)")

    with trio.fail_after(5):
        async with hosting():
            await trio.sleep(0.05)

    sys.modules["appliance_plugins.stuck"].stuck.set()


async def test_retention_is_handed_on_before_the_first_event(write, hosting, autojump_clock):
    write("good", TICKER)

    async with hosting() as running:
        assert running.retained == [("tick", 2 * 86_400.0)]


async def test_whoever_begins_a_plugin_again_is_told_why_it_does_not_run(write, hosting, autojump_clock):
    write("late", TICKER)

    async with hosting() as running:
        write("late", "from appliance.api imporrt Plugin")
        broken = await running.host.restarted("late")
        write("late", "import json\njson.loads('{')")
        deep = await running.host.restarted("late")
        write("late", TICKER)
        repaired = await running.host.restarted("late")

    assert broken.startswith("SyntaxError: invalid syntax (plugin.py:")
    assert re.fullmatch(r"json\.decoder\.JSONDecodeError: .+ \(plugin\.py:\d+\)", deep)
    assert repaired == ""


async def test_second_plugin_with_another_retention_for_a_category_is_parked(write, hosting, autojump_clock):
    write("a", TICKER)
    write("b", TICKER.replace("2d", "3d"))
    write("c", TICKER)

    async with hosting() as running:
        states = {one.name: one.state for one in running.host.snapshot()}
        reason = running.status("b").reason

    assert states == {"a": "ready", "b": "parked", "c": "ready"}
    assert "plugin a keeps category tick" in reason


async def test_disabled_plugin_is_listed_and_not_even_imported(write, hosting, autojump_clock):
    write("quiet", "raise SystemExit")

    async with hosting({"quiet": {"enabled": False}}) as running:
        quiet = running.status("quiet")

    assert (quiet.state, quiet.reason) == ("disabled", "")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"max_char": 3}, 'unknown key "max_char"'),
        ({"max_chars": "many"}, "plugins.notes.max_chars: expected int, got str"),
        ({"enabled": "yes"}, '"enabled" is true or false'),
    ],
)
async def test_garbage_config_parks_the_plugin_with_the_key(table, reason, write, hosting, autojump_clock):
    write(
        "notes",
        """
        from dataclasses import dataclass
        @dataclass
        class Config:
            max_chars: int = 20_000
        plugin = Plugin("notes", config=Config)
        """,
    )
    write("good", TICKER)

    async with hosting({"notes": table}) as running:
        notes, good = running.status("notes"), running.status("good")

    assert notes.state == "parked"
    assert reason in notes.reason
    assert good.state == "ready"


async def test_bad_manifest_and_unknown_table_are_shown_as_parked(write, hosting, autojump_clock):
    write("odd", "", manifest='name = "odd"\nversion = "1"\napi = 99\n')
    write("good", TICKER)

    async with hosting({"goood": {}}) as running:
        states = {one.name: (one.state, one.reason) for one in running.host.snapshot()}

    assert states["odd"][0] == "parked"
    assert "written for api 99" in states["odd"][1]
    assert 'there is no plugin "goood"' in states["goood"][1]
    assert states["good"] == ("ready", "")


async def test_panels_are_contained_one_by_one(write, hosting, autojump_clock):
    write(
        "cards",
        """
        @plugin.panel("Fine")
        async def fine(ctx): return {"stored": 3, 4: "four"}
        @plugin.panel("Broken")
        async def broken(): raise KeyError("run_id")
        @plugin.panel("Slow")
        async def slow(ctx): await ctx.sleep(99)
        @plugin.panel("Slower")
        async def slower(ctx): await ctx.sleep(999)
        @plugin.panel("Odd")
        async def odd(): return [1]
        @plugin.panel("Dense")
        async def dense(): return {"it": object()}
        @plugin.panel("Exit")
        async def exits(): raise SystemExit("now")
        """,
    )
    write("dead", "1 / 0")

    async with hosting() as running:
        begin = trio.current_time()
        views = {view.title: view for view in await running.host.panels()}
        took = trio.current_time() - begin

    assert views["Fine"].values == {"stored": 3, "4": "four"}
    assert "run_id" in views["Broken"].error
    assert views["Slow"].error == "no answer within 2 s"
    assert views["Odd"].error == "the panel gave list, not a mapping"
    assert "object" in views["Dense"].error
    assert views["Exit"].error == "SystemExit: now (plugin.py:18)"
    assert took == pytest.approx(2.0)


async def test_tree_shows_each_plugin_and_its_services(write, hosting, autojump_clock):
    write("good", TICKER)

    async with hosting() as running:
        (good,) = running.host.branches()

    assert (good.name, [service.name for service in good.children]) == ("good", ["tick"])


async def test_handlers_get_what_they_ask_for_by_name(write, hosting):
    write(
        "asks",
        """
        @plugin.panel("One")
        async def one(log, config, ctx):
            value = await ctx.run_in_thread(lambda: 7)
            return {"same": config is ctx.config and log is ctx.log, "thread": value, "wall": ctx.wall()[-1],
                    "draw": 0 <= ctx.rng.random() < 1, "now": ctx.now() >= 0}
        """,
    )

    async with hosting() as running:
        (view,) = await running.host.panels()

    assert view.values == {"same": True, "thread": 7, "wall": "Z", "draw": True, "now": True}


async def test_receipt_says_where_the_event_is(write, hosting, autojump_clock):
    write("shows", TICKER + "\n@plugin.panel('P')\nasync def p(ctx): return {'r': str(await ctx.emit(Ticked('x', 1)))}")

    async with hosting() as running:
        (view,) = await running.host.panels()

    assert view.values == {"r": "tick-x @ 0"}


async def test_service_waits_out_a_log_that_takes_no_writes(write, hosting, autojump_clock):
    """A full disk is not the plugin's fault: it is never parked for it, and goes on by itself."""
    write("good", TICKER)

    async with hosting(budget=0) as running:
        await trio.sleep(0.5)
        running.ledger.refusal = Unavailable("the disk is full")
        await trio.sleep(600)
        while_full = running.status("good").state
        running.ledger.refusal = None
        before = len(running.ledger.events)
        await trio.sleep(31)
        after = len(running.ledger.events)

    assert while_full == "ready"
    assert (before, after > before) == (1, True)


async def test_bundled_host_plugin_stores_real_figures_within_two_seconds(hosting):
    with trio.fail_after(2):
        async with hosting(own=bundled()) as running:
            sample = await running.ledger.first("HostSampled")

    assert sample.stream.startswith("host-")
    assert json.loads(sample.data)["memory_total_bytes"] > 0
    assert ("host", 2 * 86_400.0) in running.retained
