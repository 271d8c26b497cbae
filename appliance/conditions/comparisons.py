"""Comparisons made into functions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from appliance.conditions.errors import EvaluationError
from appliance.conditions.facts import Facts
from appliance.conditions.fields import MISSING, Read, finder, named, reader, value_text
from appliance.conditions.patterns import LONGEST_TEXT, Pattern
from appliance.conditions.rule import Holds, Rule
from appliance.conditions.syntax import INVERSE, Compare, Constant, Items, Path, operand_text
from appliance.conditions.values import HIDDEN, is_number, is_secret, moment, same

__all__ = ["compared"]

Test = Callable[[Any], bool]

ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip


def compared(node: Compare, *, strict: bool) -> Rule:
    """The rule of a comparison."""
    holds = _comparison(node, strict=strict)
    find = finder(node.left)

    def why_not(facts: Facts, want: bool) -> str:
        if holds(facts) is want:
            return ""
        value = find(facts)
        name = named(node.left)
        if value is MISSING:
            return f"{name} is missing"
        return f"{name} is {value_text(node.left, value)}, needed {_needed(node, facts, want)}"

    return Rule(holds, why_not)


def _needed(node: Compare, facts: Facts, want: bool) -> str:
    sign = node.operator if want else INVERSE.get(node.operator, f"not {node.operator}")
    match node.right:
        case None:
            return "null" if (node.operator == "is null") is want else "a value"
        case Path() as path:
            found = finder(path)(facts)
            return f"{sign} {named(path)}, which is {'missing' if found is MISSING else value_text(path, found)}"
        case right:
            return f"{sign} {HIDDEN if is_secret(node.left) else operand_text(right)}"


def _comparison(node: Compare, *, strict: bool) -> Holds:
    path, sign, right = node.left, node.operator, node.right
    if sign in ("is null", "is not null"):
        find, wanted = finder(path), sign == "is null"
        return lambda facts: (find(facts) in _NOTHING) is wanted
    read = reader(path, strict=strict)
    match right:
        case Path():
            return _between_fields(node, read, reader(right, strict=strict), right, strict=strict)
        case Items(values):
            test = _among([one.value for one in values])
            return (lambda facts: test(read(facts))) if sign == "in" else (lambda facts: not test(read(facts)))
        case Constant(value):
            return _against(node, read, value, strict=strict)
        case None:
            raise AssertionError(f"{sign} needs a right side")


class _Nothing:
    """Null, or nothing at all."""

    def __contains__(self, value: object) -> bool:
        return value is None or value is MISSING


_NOTHING: Final = _Nothing()


def _against(node: Compare, read: Read, value: Any, *, strict: bool) -> Holds:
    """A field beside a constant."""
    sign = node.operator
    if sign in ORDER:
        return _ordered(node, read, value, strict=strict)
    if sign in ("==", "!="):
        test = _equal(value)
        return (lambda facts: test(read(facts))) if sign == "==" else (lambda facts: not test(read(facts)))
    if sign == "matches":
        return _matching(node, read, value, strict=strict)
    return _related(node, read, value, strict=strict)


def _equal(wanted: Any) -> Test:
    if isinstance(wanted, str):
        return lambda value: type(value) is str and value == wanted
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    return lambda value: is_number(value) and value == wanted


def _among(wanted: list[Any]) -> Test:
    texts = frozenset(one for one in wanted if isinstance(one, str))
    others = [_equal(one) for one in wanted if not isinstance(one, str)]
    return lambda value: value in texts if type(value) is str else any(other(value) for other in others)


def _ordered(node: Compare, read: Read, bound: Any, *, strict: bool) -> Holds:
    """With a number or a time."""
    order = ORDER[node.operator]
    if isinstance(bound, str):
        instant = moment(bound)

        def in_time(facts: Facts) -> bool:
            value = read(facts)
            found = moment(value) if type(value) is str else None
            if found is not None:
                return order(found, instant)
            return _unfit(node, value, "times", strict=strict)

        return in_time

    def in_order(facts: Facts) -> bool:
        value = read(facts)
        kind = type(value)
        if kind is int or (kind is float and value == value):
            return order(value, bound)
        return _unfit(node, value, "numbers", strict=strict)

    return in_order


def _between_fields(node: Compare, read: Read, other: Read, path: Path, *, strict: bool) -> Holds:
    sign = node.operator
    if sign in ("==", "!="):
        return lambda facts: same(read(facts), other(facts)) is (sign == "==")
    relation = RELATIONS[sign]

    def holds(facts: Facts) -> bool:
        one, two = read(facts), other(facts)
        answer = relation(one, two)
        if answer is not None:
            return answer
        if not strict and (one is None or two is None):
            return False
        sides = f"{named(node.left)} is {value_text(node.left, one)}, {named(path)} is {value_text(path, two)}"
        raise EvaluationError(f"{sides}, and {sign} compares {KINDS[sign]}")

    return holds


def _related(node: Compare, read: Read, wanted: Any, *, strict: bool) -> Holds:
    relation = RELATIONS[node.operator]

    def holds(facts: Facts) -> bool:
        value = read(facts)
        answer = relation(value, wanted)
        return _unfit(node, value, KINDS[node.operator], strict=strict) if answer is None else answer

    return holds


def _matching(node: Compare, read: Read, wanted: str, *, strict: bool) -> Holds:
    pattern = Pattern(wanted)

    def holds(facts: Facts) -> bool:
        value = read(facts)
        if type(value) is not str:
            return _unfit(node, value, "text", strict=strict)
        if len(value) > LONGEST_TEXT:
            raise EvaluationError(
                f"{named(node.left)} has {len(value)} characters, matches looks at {LONGEST_TEXT} at most"
            )
        return pattern.found_in(value)

    return holds


def _unfit(node: Compare, value: Any, wanted: str, *, strict: bool) -> bool:
    """Null is false where missing fields are; anything else has no answer."""
    if value is None and not strict:
        return False
    raise EvaluationError(
        f"{named(node.left)} is {value_text(node.left, value)}, and {node.operator} compares {wanted}"
    )


# What two values have to do with each other; None: they are not of a kind.


def _in_order(order: Callable[[Any, Any], bool], one: Any, two: Any) -> bool | None:
    if is_number(one) and is_number(two):
        return order(one, two)
    if type(one) is not str or type(two) is not str:
        return None
    first, second = moment(one), moment(two)
    return None if first is None or second is None else order(first, second)


def _contains(one: Any, two: Any) -> bool | None:
    if type(one) is list:
        return any(same(member, two) for member in one)
    return two in one if type(one) is str and type(two) is str else None


def _begins(one: Any, two: Any) -> bool | None:
    return one.startswith(two) if type(one) is str and type(two) is str else None


def _ends(one: Any, two: Any) -> bool | None:
    return one.endswith(two) if type(one) is str and type(two) is str else None


RELATIONS: Final[dict[str, Callable[[Any, Any], bool | None]]] = {
    **{sign: partial(_in_order, order) for sign, order in ORDER.items()},
    "contains": _contains,
    "starts_with": _begins,
    "ends_with": _ends,
}
KINDS: Final = {
    **dict.fromkeys(ORDER, "numbers, or times"),
    "contains": "lists and text",
    "starts_with": "text",
    "ends_with": "text",
}
