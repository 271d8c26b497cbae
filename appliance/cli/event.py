"""`event`: one event, what became of it, and what did not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from appliance.cli.base import Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.legs import legs_text
from appliance.cli.render import Paint, plain, table
from appliance.client import Client
from appliance.client.protocol import rest
from appliance.errors import NotFound
from appliance.ids import canonical_uuid

__all__ = ["commands"]

PATH = "/api/v1/events"
SHOWN = """the envelope: event_id, event_type, occurred_at, memory, actor, entity_type,
entity_id, correlation_id, causation_id, payload_version, payload, timestamp, seq"""
TRACED = """event_id, type, event_type, stream, position, seq, accepted_at, bus_ms, handed_ms, actor, memory,
correlation_id, causation_id, looked_until, chain: [{event_id, type, stream, seq, relation}],
legs: [{kind, name, outcome, detail, at, after_ms, id}]"""


@click.group(
    cls=Noun,
    examples=[
        "appliance event show 01a1fdd1-1570-786c-a8ca-ba85110e11ac",
        "appliance event trace 01a1fdd1-1570-786c-a8ca-ba85110e11ac",
        "appliance event why 01a1fdd1-1570-786c-a8ca-ba85110e11ac",
        "appliance event why order-7 @ 3      as its receipt says; order-7 alone is the newest there",
    ],
)
def event() -> None:
    """One event: what it says, what caused it, where it went, and where not and why."""


@event.command("show", fields=SHOWN)
@click.argument("words", metavar="ID|STREAM[@POS]", nargs=-1, required=True)
@click.option("--memory", metavar="M", default="", help="the memory it is in")
@with_desk
def show(desk: Desk, words: Sequence[str], memory: str) -> None:
    """Print an event in its envelope."""
    found = _asked(desk, words, "", memory)
    desk.show(found, "\n".join(_lines(found, desk.paint)))


@event.command("trace", fields=TRACED)
@click.argument("words", metavar="ID|STREAM[@POS]", nargs=-1, required=True)
@click.option("--memory", metavar="M", default="", help="the memory it is in")
@with_desk
def trace(desk: Desk, words: Sequence[str], memory: str) -> None:
    """Print what an event belongs to, and where it went."""
    found = _asked(desk, words, "/trace", memory)
    desk.show(found, "\n".join(_way(found, desk)))


@event.command("why", fields=TRACED)
@click.argument("words", metavar="ID|STREAM[@POS]", nargs=-1, required=True)
@click.option("--memory", metavar="M", default="", help="the memory it is in")
@with_desk
def why(desk: Desk, words: Sequence[str], memory: str) -> None:
    """The same as trace, and where it did not go, with the reason."""
    found = _asked(desk, words, "/why", memory)
    desk.show(found, "\n".join(_way(found, desk)))


def _asked(desk: Desk, words: Sequence[str], what: str, memory: str) -> dict[str, Any]:
    with desk.client() as client:
        path = f"{PATH}/{_id(client, ' '.join(words))}{what}"
        found: dict[str, Any] = client.run(rest("GET", path, query={"memory": memory} if memory else None))
    return found


def _id(client: Client, text: str) -> str:
    """The id of an event that is named by it, by its place as a receipt says it, or as the newest of a stream.

    Raises:
        NotFound: there is nothing in this place.
    """
    try:
        return canonical_uuid(text)
    except ValueError:
        stream, _, position = (part.strip() for part in text.rpartition("@"))
    if stream and position.isdigit():
        event = next(iter(client.get_stream(stream, int(position), limit=1)), None)
        if event is not None and event.position == int(position):
            return event.id
    elif (event := client.last(text)) is not None:
        return event.id
    raise NotFound(f"there is no event {text}", hint='name its id, or its stream and position, as in "order-7 @ 3"')


def _lines(event: Mapping[str, Any], paint: Paint) -> list[str]:
    payload = {name: value for name, value in event["payload"].items() if name != "type"}
    about = " ".join(filter(None, (event.get("entity_type", ""), event.get("entity_id", ""))))
    facts = {
        "id": event["event_id"],
        "time": event["occurred_at"],
        "position": f"{event['seq']} in the log",
        "about": about,
        **_labels(event),
    }
    text = json.dumps(payload, ensure_ascii=False, indent=2)
    return [
        f"{paint(plain(event['payload']['type']), 'bold', 'cyan')}  {paint(plain(event['event_type']), 'dim')}",
        *_facts(facts, paint),
        *(plain(line) for line in text.splitlines()),
    ]


def _way(trace: Mapping[str, Any], desk: Desk) -> list[str]:
    paint = desk.paint
    facts = {
        "accepted": trace["accepted_at"],
        "stream": f"{trace['stream']} @ {trace['position']}",
        "position": f"{trace['seq']} in the log",
        "bus": _times(trace),
        **_labels(trace),
    }
    head = f"{paint(plain(trace['type']), 'bold', 'cyan')}  {paint(trace['event_id'], 'dim')}"
    legs = legs_text(trace["legs"], paint, desk.width if desk.on_terminal else 0) or ["nobody was told of it"]
    return [head, *_facts(facts, paint), "", *_chain(trace, paint), "", *legs]


def _times(trace: Mapping[str, Any]) -> str:
    """When those who are connected were shown it; empty: that was too long ago."""
    if "bus_ms" not in trace:
        return ""
    handed = f", handed out after {trace['handed_ms']:.1f} ms" if "handed_ms" in trace else ""
    return f"after {trace['bus_ms']:.1f} ms{handed}"


def _labels(event: Mapping[str, Any]) -> dict[str, str]:
    actor = event["actor"]
    return {
        "memory": event.get("memory", ""),
        "actor": " ".join(actor[name] for name in ("kind", "name", "id") if name in actor),
        "correlation": event.get("correlation_id", ""),
        "cause": event.get("causation_id", ""),
    }


def _facts(facts: Mapping[str, str], paint: Paint) -> list[str]:
    return [f"  {paint(name.ljust(11), 'dim')}  {plain(value)}" for name, value in facts.items() if value]


def _chain(trace: Mapping[str, Any], paint: Paint) -> list[str]:
    looked = f"looked as far as position {trace['looked_until']}"
    if not trace["chain"]:
        return [f"it belongs to no other event; {looked}"]
    rows = [(link["relation"], link["seq"], link["type"], link["stream"], link["event_id"]) for link in trace["chain"]]
    return [table(rows, ("relation", "position", "type", "stream", "id"), paint, right=(1,)), paint(looked, "dim")]


commands = {"event": event}
