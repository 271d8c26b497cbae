"""`subscribe`: every event on one line as it comes, or a command for each."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click

from appliance.cli.base import Count, VerbCommand
from appliance.cli.desk import Desk, with_desk
from appliance.cli.reading import FIELDS, Wanted, event_of, place_of, show_event, topic_of
from appliance.client import Client, Message, Topic
from appliance.errors import NotFound, Rejected

__all__ = ["commands"]

LONGEST_VARIABLE = 100_000  # bytes; the kernel refuses a variable of 128 KiB


class WithCommand(VerbCommand):
    """Takes what stands behind `--` aside; click would mix it with the topics."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            cut = args.index("--")
            args, ctx.meta["command"] = args[:cut], args[cut + 1 :]
        return super().parse_args(ctx, args)


@click.command(
    "subscribe",
    cls=WithCommand,
    options_metavar="[--since 1h|last|POS] [-- CMD…]",
    examples=[
        "appliance subscribe                       everything, from now on",
        "appliance subscribe order                 a category: every stream order-…",
        "appliance subscribe order-7 --since 0     one stream from its first event",
        "appliance subscribe order bill --since 1h",
        "appliance subscribe order -- ./handle.sh  run for each event",
        "appliance subscribe order --group 0/3     a third of the streams; 1/3 and 2/3 elsewhere",
        "appliance subscribe --count 10 | jq .data",
    ],
    fields=FIELDS + "\nWhen piped this is the form anyway.",
)
@click.argument("topics", metavar="[TOPIC…]", nargs=-1)
@click.option(
    "--since", "start", metavar="WHEN", help="first what came since then: 1h, 2026-01-31, POS; last: the last"
)
@click.option("--count", metavar="N", type=Count(), help="end after N events")
@click.option("--group", metavar="K/N", help="as member K, from 0, of N that share the streams of one category")
@with_desk
@click.pass_context
def subscribe(
    ctx: click.Context, desk: Desk, topics: Sequence[str], start: str | None, count: int | None, group: str | None
) -> int:
    """Watch events as they come: of streams, of categories, or all.

    A name with a dash is a stream, one without a category. A lost connection is replaced, and nothing is missed.

    With CMD it runs for each event, one after another. It finds the event in EVENT_ID, EVENT_STREAM, EVENT_TYPE,
    EVENT_POSITION, EVENT_GLOBAL_POSITION, EVENT_TIME, EVENT_DATA and EVENT_METADATA, and as JSON on stdin.
    """
    command: list[str] = ctx.meta.get("command", [])
    topic, wanted = topic_of(topics)
    if group is not None:
        topic = _member(topic, group)
    failures = 0
    if desk.on_terminal and not command:
        desk.note(
            desk.err_paint(f"watching {', '.join(topics) or 'everything'} on {desk.server.url}; Ctrl-C ends", "dim")
        )
    with desk.client() as client:
        for message in _limited(_events(client, topic, start, wanted), count):
            if not command:
                show_event(desk, message)
            elif (code := _ran(command, message, desk)) != 0:
                failures += 1
                desk.warn(f"{command[0]} ended with {code} for {message.stream} @ {message.position}")
    return 1 if failures else 0


def _events(client: Client, topic: Topic, start: str | None, wanted: Wanted) -> Iterator[Message]:
    last = client.latest(topic) if start in (None, "last") else None
    if start == "last" and last is not None and wanted.covers(last.stream):
        yield last
    with client.tail(topic, place_of(client, topic, start, last)) as messages:
        yield from (message for message in messages if wanted.covers(message.stream))


def _member(topic: Topic, group: str) -> Topic:
    """
    Raises:
        Rejected: no group can be like this, or not of this topic.
    """
    member, _, size = group.partition("/")
    if not (member.isdecimal() and size.isdecimal() and int(member) < int(size)):
        raise Rejected(f"--group {group} is not understood", hint="write 0/3, 1/3 and 2/3 for three members")
    if topic.stream or len(topic.categories) != 1:
        raise Rejected("a group shares the streams of one category", hint="appliance subscribe order --group 0/3")
    return replace(topic, member=int(member), size=int(size))


def _limited(messages: Iterator[Message], count: int | None) -> Iterator[Message]:
    for number, message in enumerate(messages, 1):
        yield message
        if number == count:
            return


def _ran(command: Sequence[str], message: Message, desk: Desk) -> int:
    """Run the command for one event; its exit code."""
    event = event_of(message)
    texts = {name: value if isinstance(value, str) else _json(value) for name, value in event.items()}
    variables = {f"EVENT_{name.upper()}": text for name, text in texts.items() if len(text) < LONGEST_VARIABLE}
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            command, input=_json(event).encode() + b"\n", env={**os.environ, **variables}, check=False
        )
    except FileNotFoundError as error:
        raise NotFound(f"there is no command {command[0]}", hint="write its path, as ./script.sh") from error
    return done.returncode


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


commands = {"subscribe": subscribe}
