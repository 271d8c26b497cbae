"""The statements of `statements.sql`, by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import apsw

from appliance.errors import Corrupt

__all__ = ["KEY_BITS", "MASK", "MOST_ROWS", "SQL", "bulk", "one", "put", "script"]

KEY_BITS = 43  # of events.key that hold the global position: at 10,000 events a second, 27 years
MASK = (1 << KEY_BITS) - 1
MOST_ROWS = 64  # of one INSERT or DELETE


def _load() -> dict[str, str]:
    text = (files(__package__) / "statements.sql").read_text()
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


SQL = _load()


def bulk(name: str, width: int) -> list[str]:
    """Statements for 0, 1, 2 … `MOST_ROWS` rows; the first is never used.

    Many rows in one step: the interpreter lock is given up and asked for once, not once per row, and asking
    for it while the loop is busy can take milliseconds.
    """
    row = f"({', '.join('?' * width)})"
    return [SQL[name].format(rows=", ".join([row] * size)) for size in range(MOST_ROWS + 1)]


def put(db: apsw.Connection, statements: Sequence[str], values: list[object]) -> None:
    """Execute `bulk` statements for rows that are given as their values, one after the other."""
    width = statements[1].count("?")
    for start in range(0, len(values), MOST_ROWS * width):
        some = values[start : start + MOST_ROWS * width]
        db.execute(statements[len(some) // width], some)


def script(db: apsw.Connection, sql: str) -> None:
    """Execute every statement. `execute` alone stops at the first one that returns a row, as a PRAGMA may."""
    db.execute(sql).fetchall()


def one(db: apsw.Connection, sql: str, bindings: tuple[Any, ...] | dict[str, Any] = ()) -> tuple[Any, ...]:
    """The one row that must be there."""
    row: tuple[Any, ...] | None = db.execute(sql, bindings).fetchone()
    if row is None:
        raise Corrupt("a row of the log's own tables is missing", hint="restore the last proven backup")
    return row
