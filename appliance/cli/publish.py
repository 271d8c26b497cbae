"""`publish`: append one event and print its receipt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.base import verb
from appliance.cli.desk import Desk, fields, with_desk
from appliance.errors import Rejected

__all__ = ["commands"]


@verb(
    "publish",
    examples=[
        'appliance publish hello \'{"from": "me"}\'               to stream hello',
        "appliance publish OrderPlaced '{\"total\": 90}' --stream order-7",
        "appliance publish OrderPaid --stream order-7 --expect 0    only if nothing came after position 0",
        "jq -c .order mail.json | appliance publish OrderPlaced - --stream order-8",
        "appliance publish OrderPlaced @order.json --stream order-9",
    ],
    fields="stream, position, global_position",
)
@click.argument("type")
@click.argument("data", metavar="[JSON|@FILE|-]", required=False, default="{}")
@click.option("--stream", metavar="S", help="stream to append to; without it the stream named like TYPE")
@click.option("--expect", metavar="V", type=int, help="only if the stream is at version V; -1: if there is none yet")
@click.option("--id", "id_", metavar="UUID", default="", help="id of the event; refused when it exists already")
@click.option("--metadata", metavar="JSON", help="what goes along, as a JSON object")
@click.option("--key", metavar="TEXT", default="", help="the same key again within a day gets the first receipt")
@with_desk
def publish(
    desk: Desk, type: str, data: str, stream: str | None, expect: int | None, id_: str, metadata: str | None, key: str
) -> None:
    """Append an event of TYPE and print its receipt, STREAM @ POSITION. `-` reads the JSON from stdin."""
    body = _object(_text(data), "the data")
    extra = None if metadata is None else _object(metadata, "--metadata")
    with desk.client() as client:
        receipt = client.write(stream or type, type, body, extra, id=id_, expected_version=expect, key=key)
    desk.show(fields(receipt), str(receipt))


def _text(data: str) -> str:
    if data == "-":
        return sys.stdin.read()
    if not data.startswith("@"):
        return data
    try:
        return Path(data[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{data[1:]} cannot be read: {error}", hint="name a file with one JSON object") from error


def _object(text: str, what: str) -> dict[str, Any]:
    """
    Raises:
        Rejected: not one JSON object.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Rejected(f"{what} is not JSON: {error}", hint="write one object in quotes, as '{\"a\": 1}'") from error
    if not isinstance(value, dict):
        raise Rejected(f"{what} is not a JSON object", hint="put it into one, as '{\"value\": …}'")
    return value


commands = {"publish": publish}
