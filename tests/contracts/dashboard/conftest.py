"""A server, a browser, and tabs in which nothing may go wrong unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.contracts.dashboard.visiting import DESK, Visit
from tests.contracts.test_browser import SWITCHES
from tests.served import PATIENCE, Served, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("dashboard")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: apt-get install -y chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab. Errors of scripts and breaches of the policy fail its test."""
    complaints: list[str] = []
    context = browser.new_context(viewport=DESK)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def visit(page: Page, server: Served) -> Visit:
    """A tab that is signed in as the owner."""
    return Visit(page, server)
