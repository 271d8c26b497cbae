"""`dlq`: what failed for good and waits for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from appliance.cli.base import Count, Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.endings import by_ending
from appliance.cli.render import amount, table
from appliance.client import Client
from appliance.client.protocol import rest
from appliance.errors import Rejected

__all__ = ["commands"]

PATH = "/api/v1/dead-letters"
MOST = 1000  # letters the server lists at once
SHORT = 8  # last characters of an id
FIELDS = "id, kind, source, event_id, event_type, seq, reason, attempts, status_code, delivery_id, failed_at"


@click.group(
    cls=Noun,
    examples=[
        "appliance dlq list",
        "appliance dlq retry 4f2a9c1e            any unambiguous ending of its id",
        "appliance dlq retry --all",
        "appliance dlq drop 4f2a9c1e 7c1b0d22",
    ],
)
def dlq() -> None:
    """What failed for good: look at it, try it again, or drop it."""


@dlq.command("list", fields=f'{{"dead_letters": [{{{FIELDS}}}], "total": N}}')
@click.option("--limit", metavar="N", type=Count(), default=50, help="the oldest N, 50 unless said")
@with_desk
def list_(desk: Desk, limit: int) -> None:
    """List dead letters, oldest first."""
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("GET", PATH, query={"limit": str(limit)}))
    rows = [
        (
            row["id"][-SHORT:],
            row["kind"],
            row["source"][-SHORT:],
            row["event_type"],
            row["seq"],
            row["status_code"] or row["reason"],
            row["attempts"],
            row["failed_at"][:19].replace("T", " "),
        )
        for row in found["dead_letters"]
    ]
    headers = ("id", "kind", "source", "event", "seq", "why", "tries", "at")
    desk.show(found, table(rows, headers, desk.paint, right=(4, 6)) if rows else "nothing waits for a person")


@dlq.command("show", fields=FIELDS)
@click.argument("id_", metavar="ID")
@with_desk
def show(desk: Desk, id_: str) -> None:
    """Show one dead letter."""
    with desk.client() as client:
        (whole,) = _ids(client, [id_])
        row: dict[str, Any] = client.run(rest("GET", f"{PATH}/{whole}"))
    desk.show(row, table([(name, value) for name, value in row.items() if value], ("dead letter", ""), desk.paint))


@dlq.command("retry", fields="retried, left")
@click.argument("ids", metavar="[ID…]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="all of them")
@with_desk
def retry(desk: Desk, ids: Sequence[str], every: bool) -> None:
    """Try them again. Those whose event is not kept any more stay."""
    done = _bulk(desk, "retry", ids, every)
    desk.show(done, f"{amount(done['retried'], 'dead letter')} sent again, {done['left']} left")


@dlq.command("drop", fields="dropped")
@click.argument("ids", metavar="[ID…]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="all of them")
@with_desk
def drop(desk: Desk, ids: Sequence[str], every: bool) -> None:
    """Drop them for good."""
    done = _bulk(desk, "drop", ids, every)
    desk.show(done, f"{amount(done['dropped'], 'dead letter')} dropped")


def _bulk(desk: Desk, what: str, ids: Sequence[str], every: bool) -> dict[str, Any]:
    if bool(ids) is every:
        raise Rejected("say which ones", hint="give their ids, or --all")
    with desk.client() as client:
        wish = {"all": True} if every else {"ids": _ids(client, ids)}
        done: dict[str, Any] = client.run(rest("POST", f"{PATH}/{what}", wish))
    return done


def _ids(client: Client, endings: Sequence[str]) -> list[str]:
    known = [row["id"] for row in client.run(rest("GET", PATH, query={"limit": str(MOST)}))["dead_letters"]]
    return [by_ending(ending, known) for ending in endings]


commands = {"dlq": dlq}
