"""`link`: let a browser in, once."""

from __future__ import annotations

import click

from appliance.cli.banner import qr
from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.client.protocol import rest
from appliance.web.reach import on_loopback

__all__ = ["commands"]

PATH = "/api/v1/welcome/links"


@verb(
    "link",
    examples=[
        "appliance link                                open it in a browser, or scan it with a phone",
        "appliance link --url http://box:8420 --token ns_…",
    ],
    fields="link, valid_s",
)
@click.option("--no-qr", help="without the QR code", is_flag=True)
@with_desk
def link(desk: Desk, no_qr: bool) -> None:
    """Print a link that makes whoever opens it an admin: once, within 15 minutes, for 30 days.

    The token it gives is named "first visit" and the day, and ends with `appliance token revoke`.
    """
    server = desk.server
    with desk.client() as client:
        made = client.run(rest("POST", PATH, {}))
    # A server elsewhere is known here by an address that works; itself it may know another, behind a proxy say.
    found = made["link"] if server.data is not None else server.url.rstrip("/") + made["path"]
    desk.show({"link": found, "valid_s": made["valid_s"]}, found)
    if desk.on_terminal and not (desk.json or no_qr or on_loopback(found)):
        desk.note(f"\n{qr(found)}")
    desk.note(f"works once, within {made['valid_s'] // 60} minutes; whoever opens it is an admin")


commands = {"link": link}
