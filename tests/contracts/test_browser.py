"""A real browser is a client too: it runs the page under its own policy, and hears pokes by its own EventSource."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.served import Served, serving

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SWITCHES += ["--disable-component-update", "--disable-sync"]
PHONE = {"width": 375, "height": 667}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("browser"), test_mode=True) as served:
        yield served


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: apt-get install -y chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield browser.new_page(viewport=PHONE)
        browser.close()


def test_the_page_runs_under_its_own_policy_and_fits_a_phone(page: Page, server: Served):
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(server.url)
    page.wait_for_function("() => [...document.querySelectorAll('td code')].some(cell => cell.innerText == '/rpc')")
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    assert complaints == []
    assert wider == 0


def test_a_browser_writes_and_hears_the_poke(page: Page, server: Served):
    page.goto(server.url)

    heard = page.evaluate(
        """async token => {
            const source = new EventSource(`/subscribe?stream=seen-1&position=0&token=${token}`)
            await new Promise(opened => source.onopen = opened)
            const poke = new Promise(resolve => source.addEventListener('poke', event => resolve(event.data)))
            const written = await fetch('/rpc', {
                method: 'POST',
                headers: {Authorization: `Bearer ${token}`},
                body: JSON.stringify(['stream.write', 'seen-1', {type: 'Seen', data: {by: 'browser'}}, {}]),
            })
            const said = JSON.parse(await poke)
            source.close()
            return [written.status, said.stream, said.position]
        }""",
        server.token,
    )

    assert heard == [200, "seen-1", 0]
