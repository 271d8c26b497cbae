"""`dlq`: what failed for good and waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
FIELDS = """id, kind, source, event_id, event_type, seq, reason, attempts, status_code, delivery_id, job_id, detail,
failed_at"""


@click.group(
    cls=Noun,
    examples=[
        "appliance dlq list --kind webhook",
        "appliance dlq retry 4f2a9c1e            any unambiguous ending of its id",
        "appliance dlq retry --kind job",
        "appliance dlq retry --all",
        "appliance dlq drop 4f2a9c1e 7c1b0d22",
    ],
)
def dlq() -> None:
    """What webhooks, jobs and plugins gave up: look at it, try it again, or drop it."""


def _choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name letters by what they are."""
    kind = click.option("--kind", metavar="KIND", help="those of webhooks, jobs or plugins: webhook, job, plugin")
    source = click.option("--source", metavar="NAME", help="those of one webhook (its id), type of job, or handler")
    return kind(source(command))


@dlq.command("list", fields=f'{{"dead_letters": [{{{FIELDS}}}], "total": N}}')
@_choice
@click.option("--limit", metavar="N", type=Count(), default=50, help="the oldest N, 50 unless said")
@with_desk
def list_(desk: Desk, /, limit: int, **choice: str | None) -> None:
    """List dead letters, oldest first."""
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("GET", PATH, query={"limit": str(limit), **_named(choice)}))
    rows = [
        (
            row["id"][-SHORT:],
            row["kind"],
            row["source"][-SHORT:] if row["kind"] == "webhook" else row["source"],
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
@_choice
@click.option("--all", "every", is_flag=True, help="all of them")
@with_desk
def retry(desk: Desk, /, ids: Sequence[str], every: bool, **choice: str | None) -> None:
    """Try them again. Those that cannot be stay: the event is not kept any more, say, or the plugin is gone."""
    done = _bulk(desk, "retry", ids, every, _named(choice))
    desk.show(done, f"{amount(done['retried'], 'dead letter')} sent again, {done['left']} left")


@dlq.command("drop", fields="dropped")
@click.argument("ids", metavar="[ID…]", nargs=-1)
@_choice
@click.option("--all", "every", is_flag=True, help="all of them")
@with_desk
def drop(desk: Desk, /, ids: Sequence[str], every: bool, **choice: str | None) -> None:
    """Drop them for good."""
    done = _bulk(desk, "drop", ids, every, _named(choice))
    desk.show(done, f"{amount(done['dropped'], 'dead letter')} dropped")


def _named(choice: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in choice.items() if value}


def _bulk(desk: Desk, what: str, ids: Sequence[str], every: bool, choice: dict[str, str]) -> dict[str, Any]:
    if bool(ids) + bool(choice) + every != 1:
        raise Rejected("say which ones", hint="give their ids, or --kind and --source, or --all")
    with desk.client() as client:
        wish: dict[str, object] = {"all": True} if every else {"ids": _ids(client, ids)} if ids else {**choice}
        done: dict[str, Any] = client.run(rest("POST", f"{PATH}/{what}", wish))
    return done


def _ids(client: Client, endings: Sequence[str]) -> list[str]:
    known = [row["id"] for row in client.run(rest("GET", PATH, query={"limit": str(MOST)}))["dead_letters"]]
    return [by_ending(ending, known) for ending in endings]


commands = {"dlq": dlq}
