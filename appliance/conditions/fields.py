"""Reads the field a path names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from appliance.conditions.errors import EvaluationError
from appliance.conditions.facts import Facts
from appliance.conditions.syntax import Path, operand_text
from appliance.conditions.values import HIDDEN, is_secret, shown

__all__ = ["MISSING", "Read", "deep", "finder", "named", "reader", "value_text"]

Read = Callable[[Facts], Any]

MISSING: Final = object()


def finder(path: Path) -> Read:
    """Reads a field, or MISSING."""
    first, *rest = path.steps
    source = _source(path)
    if not rest:
        return lambda facts: source(facts).get(first, MISSING)
    return lambda facts: deep(source(facts).get(first, MISSING), rest)


def _source(path: Path) -> Callable[[Facts], Mapping[Any, Any]]:
    match path.root:
        case "data":
            return lambda facts: facts.data
        case "old":
            return lambda facts: facts.old
        case "new":
            return lambda facts: facts.new
        case "event":
            return lambda facts: facts.event
        case "changes":
            return lambda facts: facts.changes or {}


def deep(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def reader(path: Path, *, strict: bool) -> Read:
    """Reads a field; a missing one is null, or raises."""
    find, name = finder(path), named(path)
    key = path.steps[0]
    if strict and path.root == "data" and len(path.steps) == 1:

        def member(facts: Facts) -> Any:
            try:
                return facts.data[key]  # type: ignore[index]
            except KeyError:
                raise EvaluationError(f"{name} is missing") from None

        return member

    def read(facts: Facts) -> Any:
        value = find(facts)
        if value is not MISSING:
            return value
        if strict:
            raise EvaluationError(f"{name} is missing")
        return None

    return read


def named(path: Path) -> str:
    return f"`{operand_text(path)}`"


def value_text(path: Path, value: Any) -> str:
    """A field's value as an explanation shows it."""
    return HIDDEN if is_secret(path) and value is not None else shown(value)
