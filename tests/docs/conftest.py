from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.docs.follower import RunScript
from tests.docs.terminal import PATIENCE

SWITCHES = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


@pytest.fixture
def browser() -> Iterator[Callable[[], RunScript]]:
    """A real browser for scripts, started for a page that has one.

    It ends with the page: two of Playwright's loops cannot be in one process at once.
    """
    with ExitStack() as held:
        tabs: list[Page] = []

        def run(address: str, script: str) -> str:
            lines: list[str] = []
            note = lambda message: lines.append(message.text)  # noqa: E731
            tabs[0].goto(address)
            tabs[0].on("console", note)
            tabs[0].evaluate(f"async () => {{ {_bounded(script)} }}")
            tabs[0].remove_listener("console", note)
            return "\n".join(lines)

        def start() -> RunScript:
            if not tabs:
                chromium = shutil.which("chromium")
                assert chromium, "chromium is missing: apt-get install -y chromium"
                playwright = held.enter_context(sync_playwright())
                launched = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
                held.callback(launched.close)
                tabs.append(launched.new_page())
            return run

        yield start


def _bounded(script: str) -> str:
    """A script that fails instead of waiting for ever."""
    late = f"setTimeout(fail, {PATIENCE * 1000}, Error({json.dumps('the script did not end')}))"
    return f"await Promise.race([(async () => {{\n{script}\n}})(), new Promise((_, fail) => {late})])"
