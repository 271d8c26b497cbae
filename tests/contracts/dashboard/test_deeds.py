"""What is done from the dashboard happens: a client is closed, a webhook is made and tested, a token ends."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.contracts.dashboard.visiting import Visit, asked
from tests.contracts.receiver import Receiver, receiving
from tests.served import Served, serving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as there:
        yield there


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("deeds")
    file = folder / "appliance.toml"
    file.write_text(f'[webhooks]\nallow = ["127.0.0.1:{receiver.port}"]\n')
    with serving(folder, arguments=[f"--config={file}"]) as served:
        yield served


def test_events_come_live_are_held_while_paused_and_counted(visit: Visit):
    page = visit.open("/events?filter=order")
    visit.wrote("order-1", "OrderPlaced", {"total": 90})
    visit.wrote("bill-1", "BillSent", {})
    page.wait_for_selector(".event:has-text('order-1')")
    page.click("#pause")
    visit.wrote("order-2", "OrderPlaced", {"total": 91})
    page.wait_for_selector("#fresh:has-text('1 new')")
    held = page.locator(".event").count()
    page.click("#fresh")
    page.wait_for_selector(".event:has-text('order-2')")

    assert held == 1
    assert page.locator(".event:has-text('bill-1')").count() == 0


def test_an_event_tells_where_it_went_and_what_came_of_it(visit: Visit):
    first = asked(
        visit.server, "POST", "/api/v1/events", {"type": "order.asked", "data": {"n": 1}, "stream": "order-9"}
    )
    asked(
        visit.server,
        "POST",
        "/api/v1/events",
        {"type": "order.made", "data": {}, "stream": "order-9", "causation_id": first["id"]},
    )
    page = visit.open(f"/events/{first['id']}")

    page.wait_for_selector("[role=dialog] >> text=Where it went")
    said = page.inner_text("[role=dialog]")
    visit.picture("event-desk-light")
    page.click("[role=dialog] >> text=order.made")
    page.wait_for_selector("[role=dialog] >> text=because of")

    assert "accepted" in said
    assert "order-9 @ 0" in said
    assert '"n": 1' in said


def test_a_client_is_closed_and_told_why(visit: Visit):
    address = visit.server.url.replace("http", "ws") + "/api/v1/ws?types=closing"
    with connect(address, additional_headers={"Authorization": f"Bearer {visit.server.token}"}) as client:
        client.recv()
        page = visit.open("/clients")
        page.click("tr:has-text('closing') >> text=Close")
        page.fill("#reason", "the kitchen is closed")
        page.click("text=Close it")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)
        page.wait_for_selector("tr:has-text('closing')", state="detached")

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the kitchen is closed")


def test_a_webhook_is_made_tested_paused_rotated_and_its_shelf_emptied(visit: Visit, receiver: Receiver):
    page = visit.open("/deliveries")
    page.click("text=Add a webhook")
    page.fill("[name=url]", receiver.url)
    page.fill("[name=name]", "erp")
    page.fill("[name=events]", "order, BillSent")
    page.click("text=Add it")
    secret = page.wait_for_selector("#secret").inner_text()
    page.click("text=I have it")
    page.click("tr:has-text('erp') >> text=Test")
    page.wait_for_selector(".toast:has-text('It arrived: 200')")
    receiver.answer = lambda _: 422
    visit.wrote("order-3", "OrderPlaced", {"total": 1})
    page.wait_for_selector("#shelf tr:has-text('OrderPlaced')")
    page.click("a >> text=erp")
    page.click("#attempts >> text=OrderPlaced")
    attempt = page.wait_for_selector("#attempts pre").inner_text()
    page.wait_for_selector("text=hmac.compare_digest")
    visit.picture("webhook-desk-light")
    page.click("text=Rotate")
    page.click("text=make a new one?")
    rotated = page.wait_for_selector("#secret").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("#secret", state="detached")
    page.keyboard.press("Escape")
    receiver.answer = lambda _: 200
    page.click("#shelf >> text=Retry")
    page.wait_for_selector("text=Nothing waits for a person")
    page.click("tr:has-text('erp') >> text=Pause")
    page.wait_for_selector("tr:has-text('erp') >> text=Resume")
    [row] = asked(visit.server, "GET", "/api/v1/webhooks")

    assert secret.startswith("whsec_")
    assert rotated.startswith("whsec_")
    assert rotated != secret
    assert "webhook-signature: (hidden)" in attempt
    assert (row["name"], sorted(row["events"]), row["is_active"]) == ("erp", ["BillSent", "order"], False)


def test_a_webhook_that_may_not_be_told_says_what_to_write(visit: Visit):
    page = visit.open("/deliveries")
    page.click("text=Add a webhook")
    page.fill("[name=url]", "http://192.168.1.20:8080/in")
    page.click("text=Add it")

    said = page.wait_for_selector("[role=dialog] [role=alert]").inner_text()

    assert "webhooks.allow" in said


def test_a_token_is_made_shown_once_and_revoked(visit: Visit):
    page = visit.open("/system/access")
    page.click("text=Make a token")
    page.fill("[name=name]", "Anna's phone")
    page.click("text=Make it")
    token = page.wait_for_selector("#made").inner_text()
    works = status(visit.server, token)
    page.click("text=I have it")
    page.click('[aria-label="revoke Anna\'s phone"]')
    page.click("text=revoke it?")
    page.wait_for_selector('tr:has-text("Anna\'s phone")', state="detached")

    assert (works, status(visit.server, token)) == (200, 401)


def status(server: Served, token: str) -> int:
    """Whether a token may read."""
    request = urllib.request.Request(f"{server.url}/api/v1/name", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def test_a_backup_is_made_and_checked_again(visit: Visit):
    page = visit.open("/system/backups")
    page.click("text=Make one now")
    page.wait_for_selector(".toast:has-text('Made and proven')")
    page.click("#backups >> text=Verify")
    page.wait_for_selector(".toast:has-text('checked whole')")

    assert "asked" in [one["reason"] for one in asked(visit.server, "GET", "/api/v1/backups")["backups"]]


def test_the_configuration_is_shown_with_its_origins_and_without_secrets(visit: Visit):
    page = visit.open("/system/config")
    row = page.wait_for_selector("#config tr:has-text('webhooks.allow')").inner_text()
    token = page.inner_text("#config tr:has-text('token')")

    assert "line 2" in row
    assert visit.server.token not in page.content()
    assert "secret" in token
    assert visit.server.token not in json.dumps(asked(visit.server, "GET", "/api/v1/config"))
