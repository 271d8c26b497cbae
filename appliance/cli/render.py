"""How things look on a terminal: colours, tables, event lines, ages. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from appliance.errors import ApplianceError

__all__ = ["Paint", "age", "amount", "error_text", "event_line", "fields_of_error", "plain", "size", "table"]

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
TEXT_WIDTH = 100  # columns of a hint
WIDE = 100  # columns from which an event line has room for wide columns
COLUMNS, NARROW = (20, 18), (16, 13)  # of type and place; longer names push the rest to the right


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours, if there is an eye to see them."""

    on: bool = False

    def __call__(self, text: str, *styles: str) -> str:
        if not self.on or not text:
            return text
        codes = ";".join(STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"


def plain(text: str) -> str:
    """Text of others without control characters, which could repaint or reprogram a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(rows: Sequence[Sequence[object]], headers: Sequence[str], paint: Paint, right: Sequence[int] = ()) -> str:
    """Aligned columns under dim headers.

    Args:
        right: numbers of the columns that are aligned to the right.
    """
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(headers), *cells]) for n in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        parts = [
            cell.rjust(w) if n in right else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([paint(line(headers), "dim"), *(line(row) for row in cells)])


def event_line(event: Mapping[str, Any], paint: Paint, width: int) -> str:
    """One event on one line: local time, type, place, data; cut to `width` columns (0: not cut)."""
    clock = datetime.fromisoformat(event["time"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    kind = plain(event["type"])
    place = f"{plain(event['stream'])} @ {event['position']}"
    data = plain(json.dumps(event["data"], ensure_ascii=False))
    columns = [text.ljust(w) for text, w in zip((kind, place), NARROW if 0 < width < WIDE else COLUMNS, strict=True)]
    room = width - len(clock) - sum(len(column) + 2 for column in columns) - 2
    if width and len(data) > room:
        data = data[: max(room, 20) - 1] + "…"
    return f"{paint(clock, 'dim')}  {paint(columns[0], 'bold', 'cyan')}  {columns[1]}  {data}"


def age(seconds: float) -> str:
    """`4 s`, `12 m`, `3 h`, `9 d`: the largest unit that says something."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size(count: float) -> str:
    """Bytes for people: `3.1 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def amount(count: int, noun: str) -> str:
    """`1 event`, `1 204 331 events`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")


def error_text(error: ApplianceError, paint: Paint) -> str:
    """What happened, where, what to do, and where to read more."""
    lines = [plain(error.message)]
    lines += [part for line in error.hint.splitlines() for part in textwrap.wrap(plain(line), TEXT_WIDTH)]
    lines.append(paint(f"details: appliance error {error.code}", "dim"))
    head, *rest = [line for line in lines if line]
    return "\n".join([f"{paint('error:', 'bold', 'red')} {head}", *(f"       {line}" for line in rest)])


def fields_of_error(error: ApplianceError) -> dict[str, Any]:
    """The same for machines: `{"error": {"code", "message", "hint", ...}}`."""
    return {"error": {**error.facts, "code": error.code, "message": error.message, "hint": error.hint}}
