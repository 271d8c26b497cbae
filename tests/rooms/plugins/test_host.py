"""A plugin may do what it likes; its siblings do not notice."""

from __future__ import annotations

import time

import pytest
import trio

from appliance.api import Unavailable

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
        assert "Traceback" in bad.traceback
        assert running.status("good").state == "ready"
        assert running.status("good").restarts == 0
    beats = [later - sooner for sooner, later in zip(running.ledger.times, running.ledger.times[1:], strict=False)]
    assert beats
    assert beats == pytest.approx([1.0] * len(beats))
