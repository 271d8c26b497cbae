"""Plugin code that holds the loop is interrupted at its budget, and nothing else ever is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest
import trio

from appliance.plugins.stall import Stall, Stalled, StallWatch

BUDGET = 0.25
LATE = 1.0  # a machine shared with others may look late; thirty seconds it must never be

BLOCKED = {
    "sleep": "time.sleep(30)",
    "spin": "while True: pass",
    "library": "import subprocess; subprocess.run(['sleep', '30'])",
    "lock": "import threading; threading.Semaphore(0).acquire()",
    "own task": (
        "import trio\n    async with trio.open_nursery() as own:\n"
        "        own.start_soon(block)\n        await ctx.sleep(99)"
    ),
}


@pytest.mark.parametrize("how", BLOCKED)
async def test_blocking_service_is_interrupted_at_its_budget_and_the_loop_lives(how, write, hosting):
    write("bad", f"async def block(): time.sleep(30)\n@plugin.service\nasync def work(ctx):\n    {BLOCKED[how]}\n")

    begin = time.monotonic()
    async with hosting(budget=0) as running:
        bad = await running.until("bad", "parked")
        took = time.monotonic() - begin

        assert BUDGET <= took < BUDGET + LATE
        assert "plugin bad held the loop" in bad.reason
        assert "plugin.py" in bad.reason
        assert bad.stalls == 1


async def test_blocking_import_has_a_longer_budget_but_ends_too(write, hosting, monkeypatch):
    monkeypatch.setattr("appliance.plugins.guest.IMPORT_BUDGET", 0.5)
    write("bad", "time.sleep(30)")

    begin = time.monotonic()
    async with hosting() as running:
        bad = running.status("bad")

    assert 0.5 <= time.monotonic() - begin < 0.5 + LATE
    assert bad.state == "parked"
    assert "held the loop for 0.5 s" in bad.reason


async def test_plugin_that_keeps_the_interruption_and_blocks_again_is_parked(write, hosting):
    write(
        "bad",
        """
        @plugin.service
        async def work(ctx):
            while True:
                try:
                    time.sleep(30)
                except BaseException:
                    pass
                await ctx.sleep(0)
        """,
    )

    async with hosting() as running:
        bad = await running.until("bad", "parked")

    assert 4 <= bad.stalls <= 7  # each turn of the loop until the sentence is carried out may be one more
    assert "again and again" in bad.reason


async def test_blocking_panel_costs_its_own_card(write, hosting):
    write("bad", "@plugin.panel('Slow')\nasync def slow(): time.sleep(30)")
    write("good", "@plugin.panel('Fine')\nasync def fine(): return {'n': 1}")

    async with hosting() as running:
        slow, fine = await running.host.panels()

    assert "held the loop" in slow.error
    assert fine.values == {"n": 1}


async def test_our_own_blocking_code_is_never_interrupted(write, hosting):
    """Also not while a plugin of the same loop is loaded and running."""
    write("good", "@plugin.service\nasync def work(ctx):\n    while True: await ctx.sleep(0.01)")

    async with hosting() as running:
        time.sleep(3 * BUDGET)  # noqa: ASYNC251 - the point of the test
        await trio.sleep(0.1)
        good = running.status("good")

    assert (good.state, good.stalls) == ("ready", 0)


async def test_frame_of_ours_above_the_plugin_is_not_torn_but_the_plugin_is_when_it_is_back(
    write, hosting, monkeypatch
):
    """The plugin calls us, we take long; the interruption waits for the plugin's own next instruction."""
    finished = []

    def slow_wall(self) -> str:
        time.sleep(2 * BUDGET)
        finished.append(True)
        return ""

    slow_wall = _as_if_in("appliance.plugins.context", slow_wall)
    monkeypatch.setattr("appliance.plugins.context.PluginContext.wall", slow_wall)
    write("bad", "@plugin.service\nasync def work(ctx):\n    ctx.wall()\n    while True: pass")

    async with hosting(budget=0) as running:
        bad = await running.until("bad", "parked")

    assert finished == [True]
    assert "plugin.py:7 in work" in bad.reason


async def test_many_short_steps_are_no_stall(write, hosting):
    """Seen in every look, and yet the loop turns all the time."""
    write(
        "busy", "@plugin.service\nasync def work(ctx):\n    while True:\n        time.sleep(0.01); await ctx.sleep(0)"
    )

    async with hosting() as running:
        await trio.sleep(4 * BUDGET)
        busy = running.status("busy")

    assert (busy.state, busy.stalls) == ("ready", 0)


def test_watch_says_that_it_cannot_work_outside_the_main_thread():
    reports: list[Stall] = []

    async def main() -> None:
        with StallWatch().watching(reports.append):
            await trio.lowlevel.checkpoint()

    outcome: list[str] = []
    thread = threading.Thread(target=lambda: outcome.append(str(trio.run(main))))
    thread.start()
    thread.join()

    assert (outcome, reports) == (["None"], [])


async def test_late_signal_after_the_loop_turned_does_nothing():
    watch = StallWatch()

    with watch.watching(lambda _: None):
        watch._verdict = "gone"
        watch._interrupt(0, sys._getframe())

    assert watch._turned


def test_stalled_passes_handlers_that_catch_every_exception():
    assert not issubclass(Stalled, Exception)


def _as_if_in(module: str, function: Callable[..., str]) -> Callable[..., str]:
    """The same function with the globals of a module of ours, so that its frame counts as ours."""
    scope = {"__name__": module, "time": time, "BUDGET": BUDGET}
    made = type(function)(function.__code__, scope, function.__name__, None, function.__closure__)
    assert made.__globals__["__name__"] == module
    return made
