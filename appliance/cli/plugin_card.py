"""A plugin on a terminal: how it is, what it brings, and its configuration. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.cli.render import Paint, amount, plain, table

__all__ = ["card"]

STATES = {"ready": "green", "enabled": "green", "parked": "red", "broken": "red", "off": "dim", "disabled": "dim"}


def card(row: Mapping[str, Any], paint: Paint) -> str:
    """The text for a row of `GET /api/v1/plugins/NAME`."""
    return "\n".join(_lines(row, paint))


def _lines(row: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    state = paint(row["state"], STATES.get(row["state"], "yellow"))
    yield f"{paint(row['name'], 'bold')} {row['version']} – {state}"
    yield plain(row["summary"])
    if row["reason"]:
        yield f"  {paint('last crash:', 'red')} {plain(row['reason'])}"
        yield from (f"  {plain(line)}" for line in row["hint"].splitlines())
    for what, count in row["failures"].items():
        yield f"  {what}: {amount(count, 'failure')}"
    routes = [(one["method"], one["path"], one["scope"] or "open", one["summary"]) for one in row["routes"]]
    yield from _part("routes", routes, ("method", "path", "scope", "what for"), paint)
    yield from _part("events", [(name,) for name in row["events"]], ("type",), paint)
    consumers = [
        (one["name"], ", ".join(one["events"]), one["when"], one["lag"], one["done"], one["failed"])
        for one in row["consumers"]
    ]
    yield from _part("consumers", consumers, ("name", "on", "when", "lag", "done", "failed"), paint)
    jobs = [(one["type"], ", ".join(one["arguments"]), one["priority"], f"{one['timeout']:g} s") for one in row["jobs"]]
    yield from _part("jobs", jobs, ("type", "arguments", "priority", "timeout"), paint)
    actions = [(one["name"], ", ".join(one["arguments"]), one["summary"]) for one in row["actions"]]
    yield from _part("actions", actions, ("name", "arguments", "what for"), paint)
    yield from _part("services", [(name,) for name in row["services"]], ("name",), paint)
    yield from _part("panels", [(name,) for name in row["panels"]], ("title",), paint)
    config = [(one["key"], _value(one["value"]), one["origin"], one["meaning"]) for one in row["config"]]
    yield from _part("configuration", config, ("key", "value", "from", "meaning"), paint)


def _part(title: str, rows: list[tuple[Any, ...]], headers: tuple[str, ...], paint: Paint) -> Iterator[str]:
    if rows:
        yield f"\n{paint(title, 'bold')}"
        yield table(rows, headers, paint)


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
