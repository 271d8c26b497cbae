"""For all conditions: they come back as they were, answer as a plain walk over the tree, and never surprise."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.conditions import BadCondition, EvaluationError, compile
from appliance.conditions.grammar import parsed
from appliance.conditions.rules import rule_of
from appliance.conditions.syntax import (
    And,
    Changed,
    Compare,
    Constant,
    Items,
    Known,
    Node,
    Not,
    Or,
    Path,
    text_of,
)  # fmt: skip
from tests.machines.conditions.asking import facts

NAMES = st.sampled_from(
    ["a", "b", "c", "total", "and", "in", "is", "event", "new", "a b", "x.y", "it's", "größe", "null"]
)
STEPS = st.one_of(NAMES, st.integers(0, 2))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "ab", "2026-01-31", "2026-01-31T12:00:00Z", "1", "null"]), st.text(max_size=5),
)  # fmt: skip
TIMES = st.sampled_from(["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00+02:00"])
BOUNDS = st.one_of(st.integers(-3, 3), st.floats(-3, 3), TIMES)
TEXTS = st.text("ab", max_size=2)
LISTS = st.lists(SCALARS.map(Constant), max_size=3)

paths = st.one_of(
    st.tuples(st.sampled_from(["data", "old", "new", "changes"]), NAMES, st.lists(STEPS, max_size=2)).map(
        lambda parts: Path(parts[0], (parts[1], *parts[2]))
    ),
    st.sampled_from(["id", "user_id", "seq", "timestamp"]).map(lambda name: Path("event", (name,))),
)
fields = paths.filter(lambda path: path.root == "data")
compares = st.one_of(
    st.builds(Compare, paths, st.sampled_from(["==", "!="]), st.one_of(SCALARS.map(Constant), paths)),
    st.builds(Compare, paths, st.sampled_from([">", "<", ">=", "<="]), st.one_of(BOUNDS.map(Constant), paths)),
    st.builds(Compare, paths, st.sampled_from(["in", "not in"]), LISTS.map(tuple).map(Items)),
    st.builds(Compare, paths, st.just("contains"), st.one_of(SCALARS.map(Constant), paths)),
    st.builds(Compare, paths, st.sampled_from(["starts_with", "ends_with"]), st.one_of(TEXTS.map(Constant), paths)),
    st.builds(Compare, paths, st.just("matches"), st.sampled_from(["a", "^b", r"\d+", "a|b$"]).map(Constant)),
    st.builds(Compare, paths, st.sampled_from(["is null", "is not null"])),
)  # fmt: skip
leaves = st.one_of(
    compares,
    paths.map(Known),
    st.one_of(
        fields.map(Changed),
        st.builds(Changed, fields, st.sampled_from(["to", "from"]), st.one_of(st.text(max_size=4), st.just("1"))),
    ),
)


def joined(kind: type[And] | type[Or], parts: list[Node]) -> Node:
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else [part]
    return kind(tuple(flat))


trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined(And, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined(Or, parts)),
    ),
    max_leaves=6,
)
values = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
changes = st.dictionaries(NAMES, st.one_of(values, st.fixed_dictionaries({}, optional={"old": values, "new": values})))
datas = st.builds(
    lambda data, more: {**data, **more},
    st.dictionaries(NAMES, values, max_size=6),
    st.fixed_dictionaries({}, optional={"changes": st.one_of(st.none(), changes), "old": values, "new": values}),
)


@given(trees)
@settings(deadline=None)
def test_what_is_written_is_read_as_the_same(tree: Node):
    text = text_of(tree)

    again, notes = parsed(text)

    assert repr(again) == repr(tree)  # not ==, for which 1, 1.0 and true are the same
    assert notes == ()


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    "a",
                    "b.c",
                    "data.",
                    "event.id",
                    "==",
                    ">",
                    "!",
                    "not",
                    "(",
                    ")",
                    "[",
                    "]",
                    "[0]",
                    "&&",
                    "||",
                    "and",
                    "'x'",
                    '"',
                    "'",
                    "\\",
                    "1",
                    "-1.5e3",
                    "in",
                    "is",
                    "null",
                    "has_field(",
                    "a.changed()",
                    "matches",
                    "'('",
                    ",",
                    "true",
                    " ",
                    "2026-01-01",
                    "é",
                    "\ud800",
                ]
            ),
            max_size=12,
        ).map(" ".join),
        st.text("()!a=1 '\\.[]", max_size=40),
    )
)
@example("has_field(a[0)")
@example("a['\\ud800'] == 1")
@example("[0].a == 1")
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_condition_or_a_bad_one(text: str):
    with suppress(BadCondition):
        condition = compile(text)
        assert compile(condition.text).text == condition.text


@given(trees, datas, st.booleans(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_closures_answer_as_a_plain_walk_and_the_explanation_agrees(
    tree: Node, data: dict[str, Any], strict: bool, update: bool
):
    asked = facts(data, update=update, id="e1", user_id=None, seq=7, timestamp="2026-01-31T12:00:00Z")
    rule = rule_of(tree, strict=strict)

    answer = _outcome(lambda: rule.holds(asked))

    assert answer == _outcome(lambda: Walk(data, asked.event, strict=strict, update=update).holds(tree))
    assert _outcome(lambda: not rule.why_not(asked, True)) == answer
    assert _outcome(lambda: bool(rule.why_not(asked, False))) == answer


def _outcome(ask: Any) -> bool | None:
    """None: no answer. Nothing but the one error may come out of a condition."""
    try:
        return bool(ask())
    except (EvaluationError, NoAnswer):
        return None


class NoAnswer(Exception):
    pass


MISSING = object()
ORDER = {">": lambda a, b: a > b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b}


class Walk:
    """The language once more, as slowly and plainly as can be: nothing here is shared with the compiled one."""

    def __init__(self, data: dict[str, Any], event: Any, *, strict: bool, update: bool) -> None:
        self.data, self.event, self.strict, self.update = data, event, strict, update
        tracked = data.get("changes")
        self.changes = tracked if isinstance(tracked, dict) else None

    def holds(self, node: Node) -> bool:
        match node:
            case Or(parts):
                return any(self.holds(part) for part in parts)
            case And(parts):
                return all(self.holds(part) for part in parts)
            case Not(part):
                return not self.holds(part)
            case Known(path):
                return self.find(path) is not MISSING
            case Changed():
                return self.changed(node)
            case Compare(left, operator, right):
                return self.compare(left, operator, right)

    def root(self, name: str) -> Any:
        if name in ("old", "new"):
            whole = self.data.get(name)
            if isinstance(whole, dict):
                return whole
            if self.changes is None:
                return self.data if name == "new" else {}
            found = dict(self.data)
            found.update({k: v[name] for k, v in self.changes.items() if isinstance(v, dict) and name in v})
            return found
        return {"data": self.data, "event": self.event, "changes": self.changes or {}}[name]

    def find(self, path: Path) -> Any:
        return self.down(self.root(path.root), path.steps)

    def down(self, value: Any, steps: Any) -> Any:
        for step in steps:
            if (isinstance(value, dict) and step in value) or (
                isinstance(value, list) and isinstance(step, int) and step < len(value)
            ):
                value = value[step]
            else:
                return MISSING
        return value

    def value(self, operand: Any) -> Any:
        if isinstance(operand, Constant):
            return operand.value
        found = self.find(operand)
        if found is MISSING and self.strict:
            raise NoAnswer
        return None if found is MISSING else found

    def compare(self, left: Path, operator: str, right: Any) -> bool:
        if operator.startswith("is"):
            nothing = any(self.find(left) is one for one in (None, MISSING))
            return nothing is (operator == "is null")
        value = self.value(left)
        if isinstance(right, Items):
            found = any(equal(value, one.value) for one in right.values)
            return found is (operator == "in")
        other = self.value(right)
        if operator in ("==", "!="):
            return equal(value, other) is (operator == "==")
        if value is None or (isinstance(right, Path) and other is None):
            return self.no_answer(nothing=True)
        if operator == "contains":
            return self.contains(value, other)
        if operator in ORDER:
            return self.ordered(operator, value, other)
        if isinstance(value, str) and isinstance(other, str):
            return {
                "starts_with": lambda: value[: len(other)] == other,
                "ends_with": lambda: other == "" or value[-len(other) :] == other,
                "matches": lambda: re.search(other.replace("$", r"\Z"), value, re.ASCII) is not None,
            }[operator]()
        return self.no_answer()

    def contains(self, value: Any, other: Any) -> bool:
        if isinstance(value, list):
            strictly = isinstance(other, list | dict)
            return any(
                repr(one) == repr(other) or nested(one, other) if strictly else equal(one, other) for one in value
            )
        if isinstance(value, str) and isinstance(other, str):
            return other in value
        return self.no_answer()

    def ordered(self, operator: str, value: Any, other: Any) -> bool:
        for reading in (number, when):
            one, two = reading(value), reading(other)
            if one is not None and two is not None:
                return ORDER[operator](one, two)
        return self.no_answer()

    def no_answer(self, *, nothing: bool = False) -> bool:
        if nothing and not self.strict:
            return False
        raise NoAnswer

    def changed(self, node: Changed) -> bool:
        if self.changes is None:
            if self.update:
                raise NoAnswer
            return False
        whole = ".".join(map(str, node.path.steps))
        first, *rest = node.path.steps
        if whole in self.changes:
            entry = self.changes[whole]
        elif not rest or not isinstance(self.changes.get(str(first)), dict):
            return False
        else:
            sides = {side: self.down(self.changes[str(first)].get(side, MISSING), rest) for side in ("old", "new")}
            if equal(sides["old"], sides["new"]):
                return False
            entry = {side: value for side, value in sides.items() if value is not MISSING}
        if not node.side:
            return True
        side = {"to": "new", "from": "old"}[node.side]
        if not isinstance(entry, dict) or side not in entry:
            return False
        return any(equal(entry[side], form) for form in forms(node.value))


def equal(one: Any, other: Any) -> bool:
    if number(one) is not None and number(other) is not None:
        return bool(one == other)
    return nested(one, other)


def nested(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(nested(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return set(one) == set(other) and all(nested(one[name], other[name]) for name in one)
    return bool(one == other)


def number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def when(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}", value):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def forms(text: str) -> list[Any]:
    try:
        return [text, msgspec.json.decode(text)]
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return [text]
