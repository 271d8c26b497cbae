"""What a visitor of the dashboard does, and what its owner asks the API beside it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, ViewportSize

from tests.served import ROOT, Served

__all__ = ["DESK", "LIVE", "PHONE", "SHOTS", "Visit", "asked", "link"]

PHONE: ViewportSize = {"width": 375, "height": 667}
DESK: ViewportSize = {"width": 1280, "height": 800}
LIVE = "#line[data-state=live]"
SHOTS = ROOT / "artifacts" / "dashboard"  # pictures for people, kept by CI


def asked(server: Served, method: str, path: str, value: object = None) -> Any:
    """What the owner is answered."""
    body = None if value is None else json.dumps(value).encode()
    headers = {"Authorization": f"Bearer {server.token}"}
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def link(server: Served) -> str:
    made: str = asked(server, "POST", "/api/v1/welcome/links", {})["link"]
    return made


@dataclass
class Visit:
    """One tab and the server it looks at."""

    page: Page
    server: Served

    def enter(self) -> None:
        """Come in by a one-time link."""
        self.page.goto(link(self.server))
        self.page.wait_for_selector(LIVE, state="attached")

    def open(self, path: str = "") -> Page:
        """A page of the dashboard, with the owner's token in the tab."""
        page = self.page
        if not page.url.startswith(self.server.url):
            page.goto(f"{self.server.url}/dashboard/assets/none")  # any address of it: storage belongs to the origin
        page.evaluate("token => sessionStorage.setItem('appliance.visit', JSON.stringify({token}))", self.server.token)
        page.goto(f"{self.server.url}/dashboard{path}")
        page.wait_for_selector(LIVE, state="attached")
        return page

    def wrote(self, stream: str, type: str, data: object) -> Any:
        """An event of somebody else."""
        return asked(self.server, "POST", "/rpc", ["stream.write", stream, {"type": type, "data": data}])

    def picture(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    @property
    def too_wide(self) -> int:
        """Pixels by which the page is wider than its window."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return found
