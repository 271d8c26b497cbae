"""Questions about what has changed, and about what is there, made into functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.conditions.errors import EvaluationError
from appliance.conditions.facts import Facts
from appliance.conditions.fields import MISSING, deep, finder, named, value_text
from appliance.conditions.rule import Rule
from appliance.conditions.syntax import Changed, Constant, Known, operand_text
from appliance.conditions.values import HIDDEN, is_secret, same

__all__ = ["changed", "known"]


def known(node: Known) -> Rule:
    """The rule of `has_field`: null is there."""
    path = node.path
    find = finder(path)
    name = named(path)

    def holds(facts: Facts) -> bool:
        return find(facts) is not MISSING

    def why_not(facts: Facts, want: bool) -> str:
        found = holds(facts)
        if found is want:
            return ""
        return f"{name} is there, and should not be" if found else f"{name} is missing"

    return Rule(holds, why_not)


def changed(node: Changed) -> Rule:
    """The rule of `field_changed` and its sisters.

    An event that says it is a change, and not of what, has no answer; one that is no change has changed nothing.
    """
    key, *rest = node.path.steps
    whole = ".".join(str(step) for step in node.path.steps)
    name = named(node.path)
    side = {"to": "new", "from": "old"}.get(node.side, "")
    forms = _forms(node.value)

    def change(facts: Facts) -> Mapping[str, Any] | None:
        """Its two sides, as far as they are known; None: it has not changed."""
        changes = facts.changes
        if changes is None:
            if facts.update:
                raise EvaluationError(f"whether {name} changed cannot be told: the event has no changes")
            return None
        entry = changes.get(whole, MISSING)
        if entry is MISSING and rest:
            return _inside(changes.get(str(key), MISSING), rest)
        return None if entry is MISSING else entry if isinstance(entry, dict) else {}

    def holds(facts: Facts) -> bool:
        found = change(facts)
        if found is None or not side:
            return found is not None
        value = found.get(side, MISSING)
        return value is not MISSING and any(same(value, form) for form in forms)

    def why_not(facts: Facts, want: bool) -> str:
        if holds(facts) is want:
            return ""
        found = change(facts)
        if found is None:
            return f"{name} did not change"
        if not side:
            return f"{name} changed"
        value = found.get(side, MISSING)
        told = "something unknown" if value is MISSING else value_text(node.path, value)
        needed = HIDDEN if is_secret(node.path) else operand_text(Constant(node.value))
        return f"{name} changed {node.side} {told}, needed {'' if want else 'anything but '}{needed}"

    return Rule(holds, why_not)


def _inside(entry: Any, steps: list[str | int]) -> Mapping[str, Any] | None:
    """The change of a part of what has changed."""
    if not isinstance(entry, dict):
        return None
    sides = {side: deep(entry.get(side, MISSING), steps) for side in ("old", "new")}
    if same(sides["old"], sides["new"]):
        return None
    return {side: value for side, value in sides.items() if value is not MISSING}


def _forms(text: str) -> list[Any]:
    """What an argument may stand for: the text, and what it is as JSON."""
    try:
        return [text, msgspec.json.decode(text)]
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return [text]
