"""The contest of the dashboard: a thousand events a second on its page of events, in a real browser."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from playwright.sync_api import sync_playwright

from tests.load import servers
from tests.load.arena import Arena
from tests.load.contest import Contender, Contest, Goal
from tests.load.hooks import Side
from tests.load.machine import Started

__all__ = ["CONTESTS"]

RATE = 1000  # events a second
BATCH = 20  # of one write
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LEAST = 5.0  # seconds: a page has to have been full for a while

# Tasks that hold the page up, and how old the newest event is whenever another one is drawn.
WATCH = """
    window.tasks = []; window.ages = []; let last = "";
    new PerformanceObserver(seen => tasks.push(...seen.getEntries().map(one => one.duration)))
        .observe({type: "longtask", buffered: true});
    const look = () => {
        const row = document.querySelector(".event:not(.mark)"), time = row?.querySelector(".time")?.textContent;
        if (time && row.id !== last) {
            last = row.id;
            const [hours, minutes, seconds] = time.split(":").map(Number), now = new Date();
            ages.push((now.getHours() - hours) * 36e5 + (now.getMinutes() - minutes) * 6e4
                + now.getSeconds() * 1e3 + now.getMilliseconds() - seconds * 1e3);
        }
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""


def dashboard(arena: Arena) -> Contest:
    """The page while a thousand events a second come, and how long after its acceptance an event is seen."""
    server = arena.once("dashboard", lambda: servers.appliance(arena.folder / "dashboard"))
    return Contest(
        "dashboard",
        f"the page of events in Chromium, {RATE:,} events a second",
        {"page": _page(server)},
        (
            Goal("dashboard/responsive", "ms of its longest task", ("page",), "longest_ms", at_most=200),
            Goal("dashboard/screen", "p95 ms from acceptance to the screen", ("page",), "p95_ms", at_most=500),
        ),
        rounds=3,
    )


def _page(server: Started) -> Contender:
    def measure(seconds: float) -> Mapping[str, Any]:
        stop = threading.Event()
        writer = threading.Thread(target=_write, args=(server, stop))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"http://127.0.0.1:{server.port}/dashboard/assets/none")
            visit = json.dumps({"token": server.token})
            page.evaluate("visit => sessionStorage.setItem('appliance.visit', visit)", visit)
            page.goto(f"http://127.0.0.1:{server.port}/dashboard/events")
            page.wait_for_selector(".event")
            page.evaluate(WATCH)
            writer.start()
            try:
                before, begun = _seen(page.inner_text(".feed-foot")), time.perf_counter()
                page.wait_for_timeout(1000 * max(seconds, LEAST))
                after, took = _seen(page.inner_text(".feed-foot")), time.perf_counter() - begun
                tasks, ages = page.evaluate("[tasks, ages]")
            finally:
                stop.set()
                writer.join()
                browser.close()
        ages.sort()
        return {
            "rate": (after - before) / took,
            "longest_ms": max(tasks, default=0.0),
            "p50_ms": ages[len(ages) // 2],
            "p95_ms": ages[int(len(ages) * 0.95)],
        }

    return measure


def _seen(foot: str) -> int:
    """ "live · up to #1 204 of the log  204 events seen, …" → 1204: how far in the log the page is."""
    return int("".join(letter for letter in foot.partition("#")[2].partition(" of")[0] if letter.isdigit()))


def _write(server: Started, stop: threading.Event) -> None:
    side, due = Side(server), time.perf_counter()
    number = 0
    while not stop.is_set():
        stream = f"order-{number // BATCH % 100}"
        events = [
            {"stream": stream, "type": "OrderPlaced", "data": {"n": number + n, "total": 90}} for n in range(BATCH)
        ]
        side.ask("POST", "/rpc", ["stream.writeMany", events])
        number += BATCH
        due += BATCH / RATE
        time.sleep(max(0.0, due - time.perf_counter()))


CONTESTS: dict[str, Callable[[Arena], Contest]] = {"dashboard": dashboard}
