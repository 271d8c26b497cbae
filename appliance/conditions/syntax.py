"""The condition language as a tree, and the one way each tree is written.

    Or ─ And ─ Not ─┬─ Compare(left, operator, right)
                    ├─ Known(path)                      has_field('email')
                    └─ Changed(path, side, value)       field_changed_to('status', 'shipped')

Whatever dialect a condition came in, `text_of` prints the canonical one, and parsing that gives the same tree.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "INVERSE",
    "ROOTS",
    "And",
    "Changed",
    "Compare",
    "Constant",
    "Items",
    "Known",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Path",
    "Root",
    "Scalar",
    "Side",
    "is_name",
    "operand_text",
    "quoted",
    "text_of",
]

Root = Literal["data", "changes", "old", "new", "event"]
ROOTS: Final = ("data", "changes", "old", "new", "event")
Operator = Literal[
    "==", "!=", ">", "<", ">=", "<=",
    "in", "not in", "contains", "starts_with", "ends_with", "matches", "is null", "is not null",
]  # fmt: skip
Side = Literal["", "to", "from"]
Scalar = str | int | float | bool | None

INVERSE: Final = {
    "==": "!=", "!=": "==", ">": "<=", "<=": ">", "<": ">=", ">=": "<",
    "in": "not in", "not in": "in", "is null": "is not null", "is not null": "is null",
}  # fmt: skip

RESERVED = frozenset({"and", "or", "not", "true", "false", "null"})  # never the name of a field where one may begin
FUNCTIONS = {"": "field_changed", "to": "field_changed_to", "from": "field_changed_from"}
ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is: `data.customer.tier`, `data.items[0]`. A bare name is a member of `data`."""

    root: Root
    steps: tuple[str | int, ...]  # at least one, the first a name


@dataclass(frozen=True, slots=True)
class Constant:
    value: Scalar


@dataclass(frozen=True, slots=True)
class Items:
    """What stands behind `in`."""

    values: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    left: Path
    operator: Operator
    right: Path | Constant | Items | None = None  # None: the operator needs none


@dataclass(frozen=True, slots=True)
class Known:
    path: Path


@dataclass(frozen=True, slots=True)
class Changed:
    path: Path  # of data
    side: Side = ""
    value: str = ""  # stands for this text, and for what it is as JSON


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]  # two or more, none of them an And


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]  # two or more, none of them an Or


Node = Compare | Known | Changed | Not | And | Or


def text_of(node: Node) -> str:
    """The canonical text."""
    match node:
        case Or(parts):
            return " || ".join(text_of(part) for part in parts)
        case And(parts):
            return " && ".join(f"({text_of(part)})" if isinstance(part, Or) else text_of(part) for part in parts)
        case Not(part):
            return f"!({text_of(part)})" if isinstance(part, Or | And | Compare) else f"!{text_of(part)}"
        case Known(path):
            return f"has_field({quoted(_path(path))})"
        case Changed(path, side, value):
            arguments = [_path(path), value] if side else [_path(path)]
            return f"{FUNCTIONS[side]}({', '.join(quoted(one) for one in arguments)})"
        case Compare(left, operator, right):
            return " ".join(filter(None, (_path(left), operator, operand_text(right))))


def operand_text(operand: Path | Constant | Items | None) -> str:
    """The right side of a comparison."""
    match operand:
        case None:
            return ""
        case Path():
            return _rooted(operand)
        case Constant(value):
            return quoted(value) if isinstance(value, str) else json.dumps(value)
        case Items(values):
            return f"[{', '.join(operand_text(one) for one in values)}]"


def quoted(text: str) -> str:
    """`text` between single quotes."""
    inner = "".join(ESCAPES.get(c) or (c if c >= " " else f"\\u{ord(c):04x}") for c in text)
    return f"'{inner}'"


def is_name(text: str) -> bool:
    """Whether `text` can stand in a path without quotes."""
    return _NAME.fullmatch(text) is not None


def _path(path: Path) -> str:
    """A left side: names of data stand alone where nothing else could be meant."""
    first = path.steps[0]
    bare = path.root == "data" and isinstance(first, str) and is_name(first) and first.lower() not in RESERVED
    if not bare or (first in ROOTS and len(path.steps) > 1):
        return _rooted(path)
    return f"{first}{_steps(path.steps[1:])}"


def _rooted(path: Path) -> str:
    return f"{path.root}{_steps(path.steps)}"


def _steps(steps: tuple[str | int, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, str) and is_name(step) else f"[{_index(step)}]" for step in steps)


def _index(step: str | int) -> str:
    return quoted(step) if isinstance(step, str) else str(step)
