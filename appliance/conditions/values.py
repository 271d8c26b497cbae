"""How values of JSON compare, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from appliance.conditions.syntax import Path, quoted

__all__ = ["HIDDEN", "is_number", "is_secret", "moment", "same", "shown"]

HIDDEN = "(hidden)"
LONGEST = 60  # characters of a value in an explanation
MOST = 8  # members of a list in an explanation

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})?)?", re.ASCII)
_SECRET = re.compile(
    r"passw|passphrase|secret|token|api[_-]?key|authori[sz]ation|cookie|credential|private[_-]?key|signature",
    re.IGNORECASE,
)


def is_number(value: object) -> bool:
    """JSON has no NaN, and neither true nor false is a number."""
    kind = type(value)
    return kind is int or (kind is float and value == value)


def same(one: Any, other: Any) -> bool:
    """`==`: numbers by what they are worth, anything else only with its own kind, and what is nested strictly."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    return _alike(one, other)


def _alike(one: Any, other: Any) -> bool:
    """The same JSON: 1 and 1.0 differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


def moment(text: str) -> datetime | None:
    """The time an ISO 8601 text means, in UTC where it names no zone; None: it is no time."""
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(text.upper().replace(",", "."))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def is_secret(path: Path) -> bool:
    """Whether the names on the way to a value say that nobody should see it."""
    return any(isinstance(step, str) and _SECRET.search(step) is not None for step in path.steps)


def shown(value: object) -> str:
    """A value as an explanation shows it: short, and nothing of what is nested."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return quoted(_cut(value))
        case int() | float():
            return _cut(repr(value)) if not isinstance(value, int) or abs(value) < 10**LONGEST else "a huge number"
        case dict():
            return "an object"
        case list():
            return _list(value)
    return "something else"


def _list(values: Sequence[object]) -> str:
    if any(isinstance(value, list | dict) for value in values):
        return f"a list of {len(values)}"
    more = ", …" if len(values) > MOST else ""
    return f"[{', '.join(shown(value) for value in values[:MOST])}{more}]"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
