"""`config`: what it is, where each value comes from, and what could be said."""

from __future__ import annotations

import click
import msgspec

from appliance.cli.base import Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.render import Paint
from appliance.config.explain import Explained, default_file, explain

__all__ = ["commands"]

FIELDS = "key, value, origin, default, meaning, reloadable"


@click.group(
    cls=Noun,
    examples=[
        "appliance config default > appliance.toml    every key, commented",
        "appliance config show                        what differs from the defaults",
        "appliance config explain log.retention       value, origin, meaning",
    ],
)
def config() -> None:
    """The configuration: defaults < file < environment < flags."""


@config.command("show", fields=f"[{{{FIELDS}}}]")
@click.option("--all", "everything", is_flag=True, help="also what is at its default")
@with_desk
def show(desk: Desk, everything: bool) -> None:
    """Print values and where they come from. Secrets are never shown."""
    rows = [row for row in explain(desk.config) if everything or row.origin != "default"]
    text = _assignments(rows, desk.paint) if rows else "# everything is at its default"
    desk.show(msgspec.to_builtins(rows), text)


@config.command("explain", fields=f"[{{{FIELDS}}}]")
@click.argument("key", default="")
@with_desk
def explain_(desk: Desk, key: str) -> None:
    """Explain KEY, every key of a table, or all."""
    rows = explain(desk.config, key)
    desk.show(msgspec.to_builtins(rows), "\n\n".join(_explained(row, desk.paint) for row in rows))


@config.command("default", fields="toml")
@with_desk
def default(desk: Desk) -> None:
    """Print a file with every key, its meaning and its default."""
    text = default_file()
    desk.show({"toml": text}, text.rstrip())


def _assignments(rows: list[Explained], paint: Paint) -> str:
    left = [f"{row.key} = {row.value}" for row in rows]
    width = min(max(map(len, left)), 60)
    return "\n".join(
        f"{text.ljust(width)}  {paint(f'# {row.origin}', 'dim')}" for text, row in zip(left, rows, strict=True)
    )


def _explained(row: Explained, paint: Paint) -> str:
    effect = "a reload applies it" if row.reloadable else "takes effect at the next start"
    lines = [f"{paint(row.key, 'bold')} = {row.value}", f"  {row.meaning}", f"  from {row.origin}; {effect}"]
    if row.default and row.default != row.value:
        lines.append(f"  default {row.default}")
    return "\n".join(lines)


commands = {"config": config}
