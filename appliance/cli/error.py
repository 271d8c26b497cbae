"""`error`: what a code means, without a server and without a network."""

from __future__ import annotations

import difflib

import click

from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.error_guide import GUIDE, Entry
from appliance.cli.render import table
from appliance.errors import NotFound

__all__ = ["commands"]


@verb(
    "error",
    examples=["appliance error version_conflict", "appliance error            lists all codes"],
    fields="code, wire, status, exit, meaning, move",
)
@click.argument("code", required=False)
@with_desk
def error(desk: Desk, code: str | None) -> None:
    """Explain an error CODE: ours, or one of the message-store API."""
    if code is None:
        rows = [(entry.code, entry.status or "", int(entry.exit), entry.meaning) for entry in GUIDE]
        desk.show([entry.fields() for entry in GUIDE], table(rows, ("code", "http", "exit", "meaning"), desk.paint))
        return
    entry = _find(code)
    desk.show(entry.fields(), _text(entry, desk))


def _find(code: str) -> Entry:
    found = next((entry for entry in GUIDE if code in (entry.code, *entry.wire)), None)
    if found is not None:
        return found
    known = [name for entry in GUIDE for name in (entry.code, *entry.wire)]
    close = difflib.get_close_matches(code, known, n=1)
    raise NotFound(
        f"there is no error code {code}", hint=f"did you mean {close[0]}?" if close else "list them: appliance error"
    )


def _text(entry: Entry, desk: Desk) -> str:
    paint = desk.paint
    places = [f"HTTP {entry.status}" if entry.status else "", f"exit code {int(entry.exit)}", *entry.wire]
    return "\n".join(
        [
            f"{paint(entry.code, 'bold')}  {paint(', '.join(filter(None, places)), 'dim')}",
            "",
            f"  {entry.meaning}",
            f"  {entry.move}",
        ]
    )


commands = {"error": error}
