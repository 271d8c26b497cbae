"""`clients`: who is connected live, and how far behind."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli.base import Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.endings import by_ending
from appliance.cli.render import amount, size, table
from appliance.client.protocol import rest

__all__ = ["commands"]

FIELDS = """{"clients": [{id, subject, namespace, address, transport, dialect, topics,
connected_at, idle_s, latency_ms, lag, bytes, received}]}"""
PATH = "/api/v1/clients"
SHORT = 8  # last characters of an id: enough to tell clients apart
HEADERS = ("id", "subject", "address", "dialect", "follows", "since", "lag", "ping", "sent")


@click.group(
    cls=Noun,
    examples=[
        "appliance clients list",
        "appliance clients list --json | jq '.clients[] | select(.lag > 100)'",
        "appliance clients close 4f2a9c1e       any unambiguous ending of its id",
    ],
)
def clients() -> None:
    """Who is connected live: WebSockets and event streams."""


@clients.command("list", fields=FIELDS)
@with_desk
def list_(desk: Desk) -> None:
    """List live connections, longest first."""
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("GET", PATH))
    rows = [_cells(row) for row in found["clients"]]
    desk.show(found, table(rows, HEADERS, desk.paint, right=(6, 7, 8)) if rows else "nobody is connected")
    if rows and not desk.json:
        desk.note(f"\n{amount(len(rows), 'client')}")


@clients.command("close", fields="id, closed")
@click.argument("id_", metavar="ID")
@with_desk
def close(desk: Desk, id_: str) -> None:
    """End a live connection. Its program may come back: to keep it out, revoke its token."""
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("GET", PATH))
        whole = by_ending(id_, [row["id"] for row in found["clients"]])
        client.run(rest("DELETE", f"{PATH}/{whole}"))
    desk.show({"id": whole, "closed": True}, f"client {whole} is closed")


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    ping = row["latency_ms"]
    return (
        row["id"][-SHORT:],
        row["subject"],
        row["address"],
        row["dialect"],
        ", ".join(row["topics"]),
        row["connected_at"][:19].replace("T", " "),
        row["lag"],
        "" if ping is None else f"{ping:.1f} ms",
        size(row["bytes"]),
    )


commands = {"clients": clients}
