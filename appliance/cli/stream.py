"""`stream`: look at single streams."""

from __future__ import annotations

import click

from appliance.cli.base import Count, Noun
from appliance.cli.desk import Desk, fields, with_desk
from appliance.cli.reading import FIELDS, show_event, show_events
from appliance.cli.render import table
from appliance.errors import NotFound

__all__ = ["commands"]


@click.group(
    cls=Noun,
    examples=[
        "appliance stream list order-           streams whose name begins so",
        "appliance stream read order-7 --from 3",
        "appliance stream last order-7 --type OrderPaid",
    ],
)
def stream() -> None:
    """Look at single streams."""


@stream.command("list", fields='{"streams": [{stream, version, last_activity}]}')
@click.argument("prefix", default="")
@click.option("--limit", metavar="N", type=Count(), help="at most N")
@with_desk
def list_(desk: Desk, prefix: str, limit: int | None) -> None:
    """List streams whose names begin with PREFIX, in byte order."""
    with desk.client() as client:
        heads = list(client.streams(prefix, limit=limit))
    rows = [(head.stream, head.version, head.last_activity or "") for head in heads]
    desk.show(
        {"streams": [fields(head) for head in heads]},
        table(rows, ("stream", "version", "last activity"), desk.paint, right=(1,)) if rows else "no streams",
    )


@stream.command("read", fields=FIELDS)
@click.argument("stream_name", metavar="STREAM")
@click.option("--from", "start", metavar="POS", type=int, default=0, help="first position")
@click.option("--limit", metavar="N", type=Count(), help="at most N events")
@with_desk
def read(desk: Desk, stream_name: str, start: int, limit: int | None) -> None:
    """Print the events of STREAM in order."""
    with desk.client() as client:
        messages = client.get_stream(stream_name, start, limit=limit)
        show_events(desk, messages, f"stream {stream_name} has no events from position {start} on")


@stream.command("last", fields=FIELDS)
@click.argument("stream_name", metavar="STREAM")
@click.option("--type", "type_", metavar="TYPE", default="", help="the last one of this type")
@with_desk
def last(desk: Desk, stream_name: str, type_: str) -> None:
    """Print the newest event of STREAM."""
    with desk.client() as client:
        message = client.last(stream_name, type_)
    if message is None:
        raise NotFound(
            f"stream {stream_name} has no event" + (f" of type {type_}" if type_ else ""),
            hint="see what there is: appliance stream list",
        )
    show_event(desk, message)


@stream.command("version", fields="stream, version (null: no such stream)")
@click.argument("stream_name", metavar="STREAM")
@with_desk
def version(desk: Desk, stream_name: str) -> None:
    """Print the position of STREAM's newest event; -1 when it has none."""
    with desk.client() as client:
        found = client.version(stream_name)
    desk.show({"stream": stream_name, "version": found}, str(-1 if found is None else found))


commands = {"stream": stream}
