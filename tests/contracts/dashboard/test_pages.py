"""Every page as people meet it: wide and narrow, light and dark, with hands on the keyboard, and without an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.contracts.dashboard.visiting import DESK, PHONE, Visit, asked

PAGES = {
    "overview": ("", "#tiles >> text=Events stored"),
    "events": ("/events", ".event"),
    "clients": ("/clients", "td >> text=eventing"),
    "deliveries": ("/deliveries", "text=Nothing waits for a person"),
    "jobs": ("/jobs", "#queue, [role=note]"),
    "plugins": ("/plugins", "[aria-label='plugin host']"),
    "tree": ("/system", ".twig >> text=watchdog"),
    "config": ("/system/config", "#config"),
    "backups": ("/system/backups", "text=appliance restore"),
    "access": ("/system/access", "#tokens >> text=default itself"),
}
NAMELESS = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, [role=progressbar]")]
    .filter(one => one.offsetParent)
    .filter(one => !(one.getAttribute("aria-label") || one.innerText?.trim() || one.labels?.length || one.title))
    .map(one => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_every_page_fits_and_all_that_can_be_used_has_a_name(visit: Visit, size: Any, scheme: Any):
    visit.wrote("order-1", "OrderPlaced", {"total": 90})
    page = visit.page
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    too_wide, nameless = {}, {}

    for name, (path, there) in PAGES.items():
        visit.open(path)
        page.wait_for_selector(there)
        visit.picture(f"{name}-{'phone' if size is PHONE else 'desk'}-{scheme}")
        too_wide[name], nameless[name] = visit.too_wide, page.evaluate(NAMELESS)
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    assert {name: wide for name, wide in too_wide.items() if wide} == {}
    assert {name: found for name, found in nameless.items() if found} == {}
    assert background == {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 18, 22)"}[scheme]


def test_a_phone_finds_the_other_pages_under_more(visit: Visit):
    page = visit.page
    page.set_viewport_size(PHONE)
    visit.open()

    page.click(".tabs-below >> text=Events")
    page.wait_for_selector("h1:text-is('Events')")
    page.click("text=More")
    page.click("[role=dialog] >> text=System")
    page.wait_for_selector("h1:text-is('System')")

    assert page.is_hidden("[role=dialog]")
    assert page.is_hidden(".side")


def test_keys_lead_everywhere_and_back(visit: Visit):
    visit.wrote("order-1", "OrderPlaced", {"total": 90})
    page = visit.open()
    seen = []
    for key in "ecdjpso":
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        seen.append(page.inner_text("h1"))
    page.keyboard.press("?")
    page.wait_for_selector("[role=dialog] >> text=this list")
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=dialog]", state="detached")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_selector(".event")
    page.keyboard.press("/")
    in_search = page.evaluate("document.activeElement.id")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=dialog] >> text=Where it went")
    inside = page.evaluate("document.querySelector('[role=dialog]').contains(document.activeElement)")
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=dialog]", state="detached")

    assert seen == ["Events", "Clients", "Deliveries", "Jobs", "Plugins", "System", "Overview"]
    assert in_search == "filter"
    assert inside


FAST_KEYS = """async (keys) => {
    // in one task, so that no picture is painted between two keys
    for (const key of keys) {
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        for (let n = 0; n < 20; n++) await null;
    }
    const over = document.querySelector("[role=dialog]");
    return [document.querySelector("h1").textContent, over ? over.contains(document.activeElement) : null];
}"""


def test_keys_that_come_quicker_than_pictures_reach_what_the_page_shows_by_then(visit: Visit):
    visit.wrote("order-1", "OrderPlaced", {"total": 90})
    page = visit.open("/events")
    page.wait_for_selector(".event")

    gone_elsewhere = page.evaluate(FAST_KEYS, ["g", "c", "j", "Escape"])
    and_back = page.evaluate(FAST_KEYS, ["g", "e"])
    page.wait_for_selector(".event")
    opened = page.evaluate(FAST_KEYS, ["j", "Enter"])
    address = page.evaluate("location.pathname")
    shut = page.evaluate(FAST_KEYS, ["Escape"])
    page.goto(f"{visit.server.url}{address}")
    page.wait_for_selector("[role=dialog] >> text=Where it went")
    straight_there = page.evaluate(FAST_KEYS, [])

    assert gone_elsewhere == ["Clients", None]
    assert and_back == ["Events", None]
    assert opened == ["Events", True]
    assert shut == ["Events", None]
    assert straight_there == ["Events", True]


def test_a_theme_that_is_chosen_stays(visit: Visit):
    page = visit.open("/clients")
    page.emulate_media(color_scheme="light")

    page.keyboard.press("t")
    dark = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    page.reload()
    page.wait_for_selector("h1")
    still = page.evaluate("getComputedStyle(document.documentElement).colorScheme")

    assert (dark, still) == ("dark", "dark")


def missing(route: Route) -> None:
    """An older appliance: nothing at this address."""
    said = {
        "code": "not_found",
        "message": "Endpoint not found",
        "error": {"code": "NOT_FOUND", "message": "Endpoint not found"},
    }
    route.fulfill(status=404, content_type="application/json", body=json.dumps(said))


def broken(route: Route) -> None:
    said = {"code": "broken", "message": "something went wrong here", "hint": "look into the log", "request_id": "r-77"}
    route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(said))


def test_what_this_version_does_not_have_is_said_so(visit: Visit):
    visit.page.route("**/api/v1/jobs**", missing)
    visit.page.route("**/api/v1/plugins**", missing)
    page = visit.open("/jobs")

    jobs = page.inner_text("[role=note]")
    visit.open("/plugins")
    page.wait_for_selector("[aria-label='plugin host']")  # from the status, which every version has

    assert "not available on this version" in jobs


def test_what_goes_wrong_is_said_with_a_hint_and_the_request(visit: Visit):
    visit.page.route("**/api/v1/clients", broken)
    page = visit.open("/clients")

    said = page.wait_for_selector("[role=alert]").inner_text()

    assert "Something went wrong here." in said
    assert "Look into the log." in said
    assert "r-77" in said


def test_a_reader_sees_what_a_reader_may(page: Page, visit: Visit):
    made = asked(visit.server, "POST", "/api/v1/tokens", {"scopes": ["read"], "name": "reader"})
    page.goto(f"{visit.server.url}/dashboard/events")
    page.fill("#token", made["token"])
    page.press("#token", "Enter")
    visit.wrote("order-1", "OrderPlaced", {"total": 90})
    page.wait_for_selector(".event:has-text('OrderPlaced')")
    page.click("text=Clients")
    refused = page.wait_for_selector("[role=alert]").inner_text()

    assert "admin" in refused
