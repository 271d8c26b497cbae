"""From text to tree. All dialects of the language are read; `syntax.text_of` writes the canonical one.

expr       = and { ("||" | "or") and }
and        = not { ("&&" | "and") not }
not        = ("!" | "not") not | "(" expr ")" | function | comparison
comparison = operand operator [ operand | "[" constant { "," constant } "]" ]
function   = name "(" argument { "," argument } ")" | path "." name "(" [ argument ] ")"
operand    = path | constant
path       = [ root "." ] name { "." name | "[" ( number | string ) "]" }
constant   = string | number | "true" | "false" | "null" | bare word
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, cast, get_args

from appliance.conditions.errors import BadCondition
from appliance.conditions.operands import Operands
from appliance.conditions.patterns import BadPattern, Pattern
from appliance.conditions.syntax import (
    And,
    Changed,
    Compare,
    Constant,
    Known,
    Node,
    Not,
    Operator,
    Or,
    Path,
    Scalar,
    Side,
)
from appliance.conditions.tokens import Token, tokens
from appliance.conditions.values import moment

__all__ = ["parsed"]

DEPTH = 64  # parentheses and negations inside each other
ARGUMENTS = 32  # of a function

FUNCTIONS: Final[dict[str, tuple[str, Side]]] = {  # name → what it asks for, which side of a change
    "has_field": ("known", ""),
    "field_changed": ("changed", ""),
    "field_changed_to": ("changed", "to"),
    "field_changed_from": ("changed", "from"),
    "changed": ("changed", ""),
    "changed_to": ("changed", "to"),
    "changed_from": ("changed", "from"),
}
SIGNED: Final[dict[str, Operator]] = {
    "==": "==", "=": "==", "!=": "!=", "<>": "!=", ">": ">", "<": "<", ">=": ">=", "<=": "<=",
}  # fmt: skip
FLIPPED: Final[dict[str, Operator]] = {
    "==": "==", "!=": "!=", ">": "<", "<": ">", ">=": "<=", "<=": ">=", "in": "contains",
}  # fmt: skip
WORDS = ("in", "contains", "starts_with", "ends_with", "matches")
ORDERING = (">", "<", ">=", "<=")


def parsed(text: str) -> tuple[Node, tuple[str, ...]]:
    """The tree of a condition, and what its author should know about how it was read.

    Raises:
        BadCondition: with the place.
    """
    reader = _Reader(text, tokens(text))
    node = reader.whole()
    return node, tuple(reader.notes)


@dataclass
class _Reader(Operands):
    """A recursive descent; `depth` bounds it."""

    depth: int = 0

    def whole(self) -> Node:
        if self.ended:
            raise self.wrong("it is empty", hint="a condition is like total > 100 && status == 'open'")
        node = self._expression()
        if not self.ended:
            raise self.wrong("nothing can follow here", hint=self._joint())
        return node

    # -- logic ------------------------------------------------------------------------------

    def _expression(self) -> Node:
        parts = [self._conjunction()]
        while self.took("||", "or"):
            parts.append(self._conjunction())
        return _joined(Or, parts)

    def _conjunction(self) -> Node:
        parts = [self._negation()]
        while self.took("&&", "and"):
            parts.append(self._negation())
        return _joined(And, parts)

    def _negation(self) -> Node:
        start = self.now
        if self.took("!", "not"):
            with_group = self.is_("(")
            return Not(self._deeper(start, self._group if with_group else self._negation))
        if self.is_("("):
            return self._deeper(start, self._group)
        return self._question()

    def _group(self) -> Node:
        self.need("(")
        node = self._expression()
        self.need(")")
        return node

    def _deeper(self, start: Token, read: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > DEPTH:
            raise self.wrong(f"nested deeper than {DEPTH} levels", at=start.at)
        node = read()
        self.depth -= 1
        return node

    # -- questions --------------------------------------------------------------------------

    def _question(self) -> Node:
        start = self.now
        if start.kind == "run" and self.next_is("("):
            return self._function()
        left = self.constant() if self.is_constant() else self.path()
        if self.is_("(") and isinstance(left, Path):
            return self._method(start, left)
        operator = self._operator(left)
        if operator in ("is null", "is not null"):
            return Compare(self.field(start, left), operator)
        return self._comparison(start, left, operator)

    def _comparison(self, start: Token, left: Path | Constant, operator: Operator) -> Node:
        if self.is_("["):
            if operator not in ("in", "not in"):
                raise self.wrong(f"{operator} takes one value", hint="for a list use in")
            return Compare(self.field(start, left), operator, self.items())
        place = self.now
        right = self.constant() if isinstance(left, Path) and not self.is_rooted() else self.path()
        return self._checked(start, left, operator, place, right)

    def _checked(
        self, start: Token, left: Path | Constant, operator: Operator, place: Token, right: Path | Constant
    ) -> Node:
        if operator == "not in":
            node = self._checked(start, left, "in", place, right)
            return Not(node)
        if operator == "in" and isinstance(right, Constant):
            raise self.wrong("in needs a list", at=place.at, hint="like in ['a', 'b']")
        if isinstance(left, Constant) or operator == "in":
            if operator not in FLIPPED or not isinstance(right, Path):
                raise self.wrong(f"{operator} begins with a field", at=start.at, hint="like name starts_with 'a'")
            left, right, operator = right, left, FLIPPED[operator]
        if isinstance(right, Constant):
            self._check_constant(operator, right.value, place)
        elif operator == "matches":
            raise self.wrong("matches needs a pattern", at=place.at, hint="put it between quotes")
        return Compare(left, operator, right)

    def _check_constant(self, operator: Operator, value: Scalar, place: Token) -> None:
        if operator in ORDERING:
            timely = isinstance(value, str) and moment(value) is not None
            if not timely and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise self.wrong(
                    f"{operator} compares numbers or times", at=place.at, hint="a time is like '2026-01-31T12:00:00Z'"
                )
        elif operator in ("starts_with", "ends_with", "matches") and not isinstance(value, str):
            raise self.wrong(f"{operator} compares text", at=place.at, hint="put it between quotes")
        if operator == "matches":
            try:
                Pattern(cast(str, value))
            except BadPattern as error:
                raise self.wrong(f"{error} in the pattern", at=place.at, hint=error.hint) from error

    def _operator(self, left: Path | Constant) -> Operator:
        token = self.now
        if token.kind == "sign" and token.text in SIGNED:
            self.place += 1
            return SIGNED[token.text]
        if self.took("not"):
            if self.took("in"):
                return "not in"
            raise self.wrong("only in can follow not here", hint="like !(name contains 'a')")
        if self.took("is"):
            operator: Operator = "is not null" if self.took("not") else "is null"
            if not self.took("null"):
                raise self.wrong("is stands before null or not null", hint="to compare use ==")
            return operator
        for word in WORDS:
            if self.took(word):
                return cast(Operator, word)
        name = self.text[self.tokens[self.place - 1].at : self.tokens[self.place - 1].end]
        close = get_close_matches(token.text.lower(), (*WORDS, "is"), 1) if token.kind == "run" else []
        hint = f"did you mean {close[0]}?" if close else f"like {name} == true" if isinstance(left, Path) else ""
        raise self.wrong("an operator is missing", at=token.at, hint=hint)

    # -- functions --------------------------------------------------------------------------

    def _function(self) -> Node:
        token = self.now
        path, _, name = token.text.rpartition(".")
        if path:
            return self._asked(token, name, self.path_of(token, path.split(".")))
        self.place += 1
        return self._asked(token, name, None)

    def _method(self, start: Token, path: Path) -> Node:
        """`items[0].name.changed()`: the last name read was none of a field."""
        name = path.steps[-1]
        if not isinstance(name, str) or len(path.steps) == 1:
            raise self.wrong("this is no function", at=start.at)
        return self._asked(start, name, Path(path.root, path.steps[:-1]))

    def _asked(self, token: Token, name: str, path: Path | None) -> Node:
        kind, side = FUNCTIONS.get(name.lower(), ("", ""))
        if not kind:
            close = get_close_matches(name.lower(), FUNCTIONS, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join([*FUNCTIONS][:4])}"
            raise self.wrong(f"there is no function {name}", at=token.at, hint=hint)
        arguments = self._arguments()
        needed = (path is None) + bool(side)
        if len(arguments) != needed:
            raise self.wrong(
                f"{name} takes {needed} argument{'' if needed == 1 else 's'}, not {len(arguments)}", at=token.at
            )
        path = path or self._named(arguments[0])
        if kind == "known":
            return Known(path)
        if path.root != "data":
            raise self.wrong("only fields of data are compared with what they were", at=token.at)
        return Changed(path, side, arguments[-1].text if side else "")

    def _arguments(self) -> list[Token]:
        self.need("(")
        found: list[Token] = []
        while not self.took(")"):
            if found:
                self.need(",")
            if len(found) == ARGUMENTS:
                raise self.wrong(f"a function takes {ARGUMENTS} arguments at most")
            if self.now.kind not in ("run", "string"):
                raise self.wrong("an argument is missing", hint="like has_field('email')")
            found.append(self.now)
            self.place += 1
        return found

    def _named(self, argument: Token) -> Path:
        """The path an argument names; text that can be no path is the name of one member."""
        try:
            inner = _Reader(argument.text, tokens(argument.text))
            path = inner.path()
        except BadCondition:
            path = None
        if path is not None and inner.ended:
            return path
        if argument.kind == "string" and argument.text:
            return Path("data", (argument.text,))
        raise self.wrong("this is no field", at=argument.at, hint="put its name between quotes")

    def _joint(self) -> str:
        close = get_close_matches(self.now.text.lower(), ("and", "or"), 1) if self.now.kind == "run" else []
        return f"did you mean {close[0]}?" if close else "join questions with && or ||"


def _joined(kind: type[And] | type[Or], parts: list[Node]) -> Node:
    """One node of a kind never stands directly in another: `a && (b && c)` is `a && b && c`."""
    if len(parts) == 1:
        return parts[0]
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else [part]
    return kind(tuple(flat))


assert set(SIGNED.values()) | set(WORDS) <= set(get_args(Operator))
