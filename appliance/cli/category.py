"""`category`: look at all streams of a kind."""

from __future__ import annotations

import click

from appliance.cli.base import Count, Noun
from appliance.cli.desk import Desk, fields, with_desk
from appliance.cli.exits import Usage
from appliance.cli.reading import FIELDS, show_events
from appliance.cli.render import table

__all__ = ["commands"]


@click.group(
    cls=Noun,
    examples=[
        "appliance category list",
        "appliance category read order --from 100 --limit 10",
        "appliance category read order --group 0/2     what the first of two consumers gets",
    ],
)
def category() -> None:
    """Look at all streams of a kind."""


@category.command("list", fields='{"categories": [{category, streams, messages}]}')
@with_desk
def list_(desk: Desk) -> None:
    """List categories with what they hold."""
    with desk.client() as client:
        found = client.categories()
    rows = [(one.category, one.streams, one.messages) for one in found]
    desk.show(
        {"categories": [fields(one) for one in found]},
        table(rows, ("category", "streams", "events"), desk.paint, right=(1, 2)) if rows else "no categories",
    )


@category.command("read", fields=FIELDS)
@click.argument("name", metavar="CATEGORY")
@click.option("--from", "start", metavar="POS", type=int, default=1, help="first global position")
@click.option("--limit", metavar="N", type=Count(), help="at most N events")
@click.option("--correlation", metavar="CATEGORY", help="only events caused by a stream of this category")
@click.option("--group", metavar="MEMBER/SIZE", help="only the streams of this member of a consumer group")
@with_desk
def read(desk: Desk, name: str, start: int, limit: int | None, correlation: str | None, group: str | None) -> None:
    """Print the events of CATEGORY in log order."""
    member, size = (None, None) if group is None else _group(group)
    with desk.client() as client:
        messages = client.get_category(name, start, correlation=correlation, member=member, size=size, limit=limit)
        show_events(desk, messages, f"category {name} has no such events")


def _group(text: str) -> tuple[int, int]:
    member, _, size = text.partition("/")
    if not (member.isdigit() and size.isdigit() and int(member) < int(size)):
        raise Usage(f"--group {text} is not understood", hint="write 0/2 for the first of two consumers")
    return int(member), int(size)


commands = {"category": category}
