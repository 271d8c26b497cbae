"""The eventing streams in a real browser: its own WebSocket with a ticket, its own EventSource with a stream token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.contracts.test_browser import SWITCHES
from tests.served import Served, serving

ASK = """
const headers = {Authorization: `Bearer ${token}`}
const ask = async (path, body = {}) =>
    (await fetch(path, {method: 'POST', headers, body: JSON.stringify(body)})).json()
const write = async (type, data) => (await ask('/rpc', ['stream.write', 'page-1', {type, data}])).globalPosition
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("chromium")) as served:
        yield served


@pytest.fixture
def page(server: Served) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: apt-get install -y chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        page = browser.new_page()
        page.goto(server.url)
        yield page
        browser.close()


def test_a_websocket_opens_with_a_ticket_once(page: Page, server: Served):
    """test_ws_upgrade_success, test_ws_json_event_delivery (#39)"""
    seen = page.evaluate(
        """async token => {"""
        + ASK
        + """
            const {ticket} = await ask('/api/v1/tickets')
            const address = `${location.origin.replace('http', 'ws')}/api/v1/ws?types=page&ticket=${ticket}`
            const socket = new WebSocket(address), heard = []
            let enough
            const done = new Promise(resolve => enough = resolve)
            socket.onmessage = event => heard.push(JSON.parse(event.data)) == 2 && enough()
            await new Promise(opened => socket.onopen = opened)
            const place = await write('PageTurned', {n: 1})
            await done
            const again = new WebSocket(address)
            const refused = await new Promise(ended => again.onclose = event => ended(event.code))
            const closed = new Promise(ended => socket.onclose = event => ended(event.code))
            socket.close(1000)
            return [heard.map(one => one.type), heard[1].seq == place, refused, await closed]
        }""",
        server.token,
    )

    assert seen == [["QueueStatus", "PageTurned"], True, 1006, 1000]


def test_an_event_source_comes_back_by_itself_without_a_gap(page: Page, server: Served):
    """test_sse_reconnect_last_event_id (#43)"""
    seen = page.evaluate(
        """async token => {"""
        + ASK
        + """
            const stream = await ask('/api/v1/events/tokens')
            const source = new EventSource(`/api/v1/events?events=PageTurned&token=${stream.token}`)
            const heard = []
            let enough
            const done = new Promise(resolve => enough = resolve)
            source.addEventListener('PageTurned', event => {
                if (heard.push([event.lastEventId, JSON.parse(event.data).n]) == 4) enough()
            })
            await new Promise(ready => source.addEventListener('connected', ready, {once: true}))
            const places = [await write('PageTurned', {n: 1})]
            while (!heard.length) await new Promise(later => setTimeout(later, 10))
            const {clients} = await (await fetch('/api/v1/clients', {headers})).json()
            const {id} = clients.find(client => client.dialect == 'events')
            await fetch(`/api/v1/clients/${id}`, {method: 'DELETE', headers})
            for (const n of [2, 3, 4]) places.push(await write('PageTurned', {n}))
            await done
            source.close()
            return [heard, places]
        }""",
        server.token,
    )

    heard, places = seen
    assert heard == [[str(place), n] for n, place in enumerate(places, 1)]


def test_a_long_lived_token_in_the_address_of_a_stream_is_refused(page: Page, server: Served):
    status = page.evaluate("async token => (await fetch(`/api/v1/events?token=${token}`)).status", server.token)

    assert status == 401
