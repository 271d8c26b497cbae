"""A parser of event streams as the HTML standard describes it, small and slow: the judge of our bytes.

Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Block", "parse"]


@dataclass(frozen=True)
class Block:
    """One dispatched event."""

    event: str
    data: str
    id: str  # the last one seen so far
    own_id: bool  # whether the block itself had an id
    retry: int | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def parse(body: bytes) -> list[Block]:
    """What a browser would dispatch. An unfinished block at the end is not."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)[:-1]
    found, data, event, last, retry, own = [], [], "", "", None, False
    for line in lines:
        if not line:
            if data:
                found.append(Block(event or "message", "\n".join(data), last, own, retry))
            data, event, retry, own = [], "", None, False
            continue
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if colon and not name:
            continue
        match name:
            case "event":
                event = value
            case "data":
                data.append(value)
            case "id" if "\0" not in value:
                last, own = value, True
            case "retry" if value.isascii() and value.isdigit():
                retry = int(value)
    return found
