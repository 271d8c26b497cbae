"""The first visit in a real browser: the link opens the dashboard, and the first event is sent and seen to arrive."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.contracts.dashboard.visiting import DESK, LIVE, PHONE, Visit, asked, link
from tests.served import serving


@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", PHONE)])
def test_three_steps_name_it_and_bring_the_first_event_back(page: Page, tmp_path: Path, scheme: Any, size: Any):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    with serving(tmp_path) as server:
        visit = Visit(page, server)
        visit.enter()
        page.fill("#name", "kitchen")
        page.click("button:text-is('Name it')")
        page.wait_for_selector("#called:text-is('kitchen')")
        visit.picture(f"first-run-{scheme}")
        page.click("#send")
        row = page.wait_for_selector("#events li.mine").inner_text()
        page.wait_for_selector("#receipt:has-text('is stored')")
        page.wait_for_selector("#told:has-text('It is back here, live')")
        visit.picture(f"first-event-{scheme}")
        too_wide = visit.too_wide
        page.click("#onward")
        page.wait_for_selector("#hero:has-text('version')")
        title = page.title()
        named = asked(server, "GET", "/status")["name"]

    assert "hello @ 0" in row
    assert '{"from":"me"}' in row
    assert too_wide == 0
    assert (title, named) == ("Overview · kitchen", "kitchen")


def test_the_code_leaves_the_address_and_the_token_stays_in_the_tab(visit: Visit):
    page, server = visit.page, visit.server
    visit.enter()
    address = page.url
    kept = page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]")
    page.reload()
    page.wait_for_selector(LIVE, state="attached")
    other = page.context.new_page()
    other.goto(f"{server.url}/welcome")
    other.wait_for_selector("h1:has-text('Come in')")

    assert address == f"{server.url}/dashboard"
    assert kept == [["appliance.visit"], [], ""]


def test_a_used_link_says_so_and_names_the_next_step(visit: Visit):
    used = link(visit.server)
    visit.page.goto(used)
    visit.page.wait_for_selector(LIVE, state="attached")
    other = visit.page.context.new_page()
    other.goto(used)

    notice = other.wait_for_selector("#notice:has-text('used already')")

    assert notice is not None
    assert "appliance link" in other.inner_text("main")


def test_a_token_that_is_pasted_opens_it_and_a_wrong_one_says_why(visit: Visit):
    page = visit.page
    page.goto(f"{visit.server.url}/dashboard/clients")
    page.fill("#token", "ns_wrong")
    page.press("#token", "Enter")
    refused = page.wait_for_selector("[role=alert]").inner_text()
    page.fill("#token", visit.server.token)
    page.check("text=Stay signed in on this device")
    page.press("#token", "Enter")
    page.wait_for_selector(LIVE, state="attached")

    assert "Request" in refused
    assert page.inner_text("h1") == "Clients"
    assert page.evaluate("[sessionStorage.length, Object.keys(localStorage)]") == [0, ["appliance.visit"]]


def test_what_is_typed_is_stored_to_the_digit_and_the_lines_to_copy_say_the_same(visit: Visit):
    page = visit.open("/events")
    page.click("text=Publish an event")
    page.fill("#type", "it's")
    page.fill("#stream", "order-7")
    page.fill("#data", '{"n": 12345678901234567890,\n "s": "<b>it\'s</b>"}')
    page.click("#send")
    page.wait_for_selector("#receipt:has-text('order-7 @ 0')")
    lines = page.inner_text("#publish"), page.inner_text("#curl")
    page.click("#export + button")
    page.wait_for_selector("#export + button:has-text('copied')")
    token = page.evaluate("navigator.clipboard.readText()")
    page.keyboard.press("Escape")
    page.click(".event:has-text('order-7')")
    shown = page.wait_for_selector("[role=dialog] pre").inner_text()

    stored = asked(visit.server, "POST", "/rpc", ["stream.last", "order-7"])
    ran = subprocess.run(["sh", "-c", f"{token}; {lines[1]}"], capture_output=True, timeout=60)

    assert "12345678901234567890" in shown
    assert stored[1:3] == ["it's", 0]
    assert stored[4] == {"n": 12345678901234567890, "s": "<b>it's</b>"}
    assert shlex.split(lines[0])[:3] == ["appliance", "publish", "it's"]
    assert json.loads(shlex.split(lines[0])[3]) == stored[4]
    assert json.loads(ran.stdout)["position"] == 1


def test_what_is_wrong_with_an_event_is_said_and_nothing_is_sent(visit: Visit):
    page = visit.open("/events")
    page.click("text=Publish an event")
    page.fill("#stream", "never-1")
    page.fill("#data", "{oops}")
    page.click("#send")
    page.wait_for_selector("[role=alert]:has-text('not JSON')")

    assert asked(visit.server, "POST", "/rpc", ["stream.version", "never-1"]) is None


def test_a_revoked_token_ends_the_visit_with_the_next_step(visit: Visit):
    visit.enter()
    id = visit.page.evaluate("JSON.parse(sessionStorage.getItem('appliance.visit')).id")

    asked(visit.server, "DELETE", f"/api/v1/tokens/{id}")
    visit.page.wait_for_selector("#notice:has-text('revoked')")

    assert visit.page.evaluate("sessionStorage.getItem('appliance.visit')") is None


def test_a_visit_that_ends_itself_leaves_a_revoked_token(visit: Visit):
    visit.enter()
    page = visit.page
    id = page.evaluate("JSON.parse(sessionStorage.getItem('appliance.visit')).id")

    page.click(".side [aria-label='end this access']")
    page.click("text=end it?")
    page.wait_for_selector("#notice:has-text('its token is revoked')")
    [row] = [row for row in asked(visit.server, "GET", "/api/v1/tokens") if row["id"] == id]

    assert row["revoked"] is not None


def test_a_restart_is_survived_and_nothing_of_it_is_missed(visit: Visit):
    page, server = visit.open("/events?filter=back"), visit.server
    port = server.port
    page.wait_for_selector("#told:has-text('live')")  # else there is nothing to be connected to again

    server.stop()
    page.wait_for_selector("#line:has-text('next try')")
    server.arguments = [*server.arguments, f"--port={port}"]
    server.start()
    visit.wrote("back-1", "Back", {})
    page.wait_for_selector("#line:has-text('nothing missed')")
    page.wait_for_selector(".event.mark:has-text('nothing was missed')")
    page.wait_for_selector(".event:has-text('Back')")

    assert server.port == port


def test_a_name_in_the_configuration_is_shown_and_not_changed_here(page: Page, tmp_path: Path):
    file = tmp_path / "appliance.toml"
    file.write_text('name = "cellar"\n')
    with serving(tmp_path, arguments=[f"--config={file}"]) as server:
        Visit(page, server).enter()
        page.wait_for_selector("#called:text-is('cellar')")
        said = page.inner_text(".steps > section:first-child")

    assert "line 1" in said
