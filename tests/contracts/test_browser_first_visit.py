"""The first visit in a real browser: the link is opened, the first event is sent, and it is seen to arrive."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.contracts.test_browser import SWITCHES
from tests.served import Served, serving

PHONE: ViewportSize = {"width": 375, "height": 667}
DESK: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("visit")) as served:
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
    """A tab of its own, in which nothing may go wrong unnoticed."""
    complaints: list[str] = []
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()
    assert complaints == []


def asked(server: Served, method: str, path: str, value: object = None) -> Any:
    """What the owner is answered."""
    body = None if value is None else json.dumps(value).encode()
    headers = {"Authorization": f"Bearer {server.token}"}
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def link(server: Served) -> str:
    made: str = asked(server, "POST", "/api/v1/welcome/links", {})["link"]
    return made


def enter(page: Page, server: Served) -> None:
    page.goto(link(server))
    page.wait_for_selector("#state.live")


@pytest.mark.parametrize(("scheme", "size"), [("light", PHONE), ("dark", PHONE), ("light", DESK), ("dark", DESK)])
def test_the_first_event_is_sent_and_seen_within_one_screen(page: Page, server: Served, scheme: Any, size: Any):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)

    enter(page, server)
    page.click("#send")
    row = page.wait_for_selector("#events li.mine")
    receipt = page.wait_for_selector("#receipt:has-text('is stored, and it is back here, live')")

    assert row is not None
    assert receipt is not None
    assert "hello @ " in row.inner_text()
    assert '{"from":"me"}' in row.inner_text()
    assert receipt.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_the_code_leaves_the_address_and_the_token_stays_in_the_tab(page: Page, server: Served):
    enter(page, server)
    address = page.url
    kept = page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]")
    page.reload()
    page.wait_for_selector("#state.live")
    other = page.context.new_page()
    other.goto(f"{server.url}/welcome")
    other.wait_for_selector("#notice:has-text('opens with a one-time link')")

    assert address == f"{server.url}/welcome"
    assert kept == [["appliance.visit"], [], ""]


def test_a_used_link_says_so_and_names_the_next_step(page: Page, server: Served):
    used = link(server)
    page.goto(used)
    page.wait_for_selector("#state.live")
    other = page.context.new_page()
    other.goto(used)

    notice = other.wait_for_selector("#notice:has-text('used already')")

    assert notice is not None
    assert "appliance link" in notice.inner_text()
    assert other.is_hidden("#room")


def test_what_is_typed_is_stored_to_the_digit_and_the_lines_to_copy_say_the_same(page: Page, server: Served):
    enter(page, server)
    page.fill("#type", "it's")
    page.fill("#stream", "order-7")
    page.fill("#data", '{"n": 12345678901234567890,\n "s": "<b>it\'s</b>"}')
    page.click("#send")
    row = page.wait_for_selector("#events li.mine")
    lines = page.inner_text("#publish"), page.inner_text("#curl")
    token = page.evaluate("document.querySelector('#export').dataset.text")

    stored = asked(server, "POST", "/rpc", ["stream.last", "order-7"])
    ran = subprocess.run(["sh", "-c", f"{token}; {lines[1]}"], capture_output=True, timeout=60)

    assert row is not None
    assert '{"n":12345678901234567890,"s":"<b>it\'s</b>"}' in row.inner_text()
    assert stored[1:3] == ["it's", 0]
    assert stored[4] == {"n": 12345678901234567890, "s": "<b>it's</b>"}
    assert shlex.split(lines[0])[:3] == ["appliance", "publish", "it's"]
    assert json.loads(shlex.split(lines[0])[3]) == stored[4]
    assert json.loads(ran.stdout)["position"] == 1


def test_what_is_wrong_with_an_event_is_said_and_nothing_is_sent(page: Page, server: Served):
    enter(page, server)
    page.fill("#stream", "never-1")
    page.fill("#data", "{oops}")
    page.click("#send")
    page.wait_for_selector("#receipt:has-text('not JSON')")

    assert asked(server, "POST", "/rpc", ["stream.version", "never-1"]) is None


def test_a_filter_shows_one_category_from_its_newest_event_on(page: Page, server: Served):
    for n in range(2):
        asked(server, "POST", "/rpc", ["stream.write", "quiet-1", {"type": "Whispered", "data": {"n": n}}])
    enter(page, server)

    page.fill("#filter", "quiet")
    page.press("#filter", "Enter")
    page.wait_for_selector("#events li:has-text('quiet-1 @ 1')")
    asked(server, "POST", "/rpc", ["stream.write", "quiet-1", {"type": "Whispered", "data": {"n": 2}}])
    page.wait_for_selector("#events li:has-text('×2'):has-text('quiet-1 @ 2')")

    assert page.locator("#events li").count() == 1


def test_a_revoked_token_ends_the_visit_with_the_next_step(page: Page, server: Served):
    enter(page, server)
    visit = page.evaluate("JSON.parse(sessionStorage.getItem('appliance.visit')).id")

    asked(server, "DELETE", f"/api/v1/tokens/{visit}")
    page.wait_for_selector("#notice:has-text('revoked')")

    assert page.evaluate("sessionStorage.length") == 0


def test_a_visit_that_ends_itself_leaves_a_revoked_token(page: Page, server: Served):
    enter(page, server)
    visit = page.evaluate("JSON.parse(sessionStorage.getItem('appliance.visit')).id")

    page.click("#end")
    page.wait_for_selector("#notice:has-text('its token is revoked')")
    [row] = [row for row in asked(server, "GET", "/api/v1/tokens") if row["id"] == visit]

    assert row["revoked"] is not None


def test_a_restart_is_survived_and_nothing_of_it_is_missed(page: Page, server: Served):
    enter(page, server)
    page.click("#send")
    page.wait_for_selector("#events li.mine")
    port = server.port

    server.stop()
    page.wait_for_selector("#state:has-text('trying again')")
    server.arguments = [*server.arguments, f"--port={port}"]
    server.start()
    asked(server, "POST", "/rpc", ["stream.write", "back-1", {"type": "Back", "data": {}}])
    page.wait_for_selector("#state:has-text('nothing was missed')")
    page.wait_for_selector("#events li:has-text('Back')")

    assert server.port == port
