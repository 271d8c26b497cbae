"""Fields and values, as they stand in a condition, read piece by piece."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, cast

from appliance.conditions.errors import BadCondition
from appliance.conditions.facts import ABOUT
from appliance.conditions.syntax import ROOTS, Constant, Items, Path, Root, Scalar, is_name
from appliance.conditions.tokens import Token
from appliance.conditions.values import moment

__all__ = ["Operands"]

CONSTANTS: Final[dict[str, Scalar]] = {"true": True, "false": False, "null": None}
JOINTS = ("and", "or", "not")

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass
class Operands:
    """A place among the tokens of a text, and how to go on from there.

    Every method that reads raises BadCondition.
    """

    text: str
    tokens: Sequence[Token]
    place: int = 0
    notes: list[str] = field(default_factory=list)  # what the author should know about how it was read

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    @property
    def ended(self) -> bool:
        return self.now.kind == "end"

    # -- operands ---------------------------------------------------------------------------

    def is_constant(self) -> bool:
        token = self.now
        if token.kind == "run":
            return token.text.lower() in CONSTANTS or token.text[0] in "-+.:0123456789"
        return token.kind == "string"

    def is_rooted(self) -> bool:
        token = self.now
        first, dot, _ = token.text.partition(".")
        return token.kind == "run" and first in ROOTS and (bool(dot) or self.next_is("[", adjacent=True))

    def field(self, start: Token, left: Path | Constant) -> Path:
        if isinstance(left, Constant):
            raise self.wrong("this needs a field, not a value", at=start.at)
        return left

    def constant(self) -> Constant:
        token = self.now
        if token.kind == "string":
            self.place += 1
            return Constant(token.text)
        if token.kind != "run" or token.text.lower() in JOINTS:
            raise self.wrong("a value is missing", hint="text stands between quotes")
        self.place += 1
        if token.text.lower() in CONSTANTS:
            return Constant(CONSTANTS[token.text.lower()])
        if _NUMBER.fullmatch(token.text):
            return Constant(self._number(token))
        if moment(token.text) is None:
            self.notes.append(f"{token.text} is read as the text '{token.text}': put it between quotes")
        return Constant(token.text)

    def _number(self, token: Token) -> int | float:
        if token.text.lstrip("-").isdigit():
            return int(token.text)
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            raise self.wrong("this number is too large", at=token.at)
        return value

    def items(self) -> Items:
        self.need("[")
        values: list[Constant] = []
        while not self.took("]"):
            if values:
                self.need(",")
            values.append(self.constant())
        return Items(tuple(values))

    def path(self) -> Path:
        token = self.now
        if token.kind != "run" or self.is_constant():
            raise self.wrong("a field is missing", hint="a comparison is like total > 100")
        return self.path_of(token, token.text.split("."))

    def path_of(self, token: Token, names: Sequence[str]) -> Path:
        """A path whose first names stand in `token`; what stands in brackets behind it is read on."""
        self.place += 1
        steps: list[str | int] = [*self._names(token, names)]
        while self.is_("[") and self.now.at == self.tokens[self.place - 1].end:
            steps.append(self._index())
            after = self.now
            if after.kind == "run" and after.text.startswith(".") and after.at == self.tokens[self.place - 1].end:
                self.place += 1
                steps += self._names(after, after.text[1:].split("."))
        return self._rooted(token, steps)

    def _rooted(self, token: Token, steps: list[str | int]) -> Path:
        if steps[0] not in ROOTS or len(steps) == 1:
            if str(steps[0]).lower() in (*JOINTS, *CONSTANTS):
                raise self.wrong(
                    "a field is missing", at=token.at, hint=f"for a field of this name write data.{steps[0]}"
                )
            return Path("data", tuple(steps))
        root, rest = cast(Root, steps[0]), tuple(steps[1:])
        if isinstance(rest[0], int):
            raise self.wrong(f"{root} is no list", at=token.at, hint=f"like {root}.name")
        if root == "event" and (len(rest) > 1 or rest[0] not in ABOUT):
            close = get_close_matches(str(rest[0]), ABOUT, 1)
            hint = f"did you mean event.{close[0]}?" if close else f"an event has {', '.join(ABOUT)}"
            raise self.wrong(f"an event has no {rest[0]}", at=token.at, hint=hint)
        return Path(root, rest)

    def _names(self, token: Token, names: Sequence[str]) -> Sequence[str]:
        for name in names:
            if not is_name(name):
                hint = f"a field with such a name is written data['{token.text}']"
                raise self.wrong(f"{token.text} is no name of a field", at=token.at, hint=hint)
        return names

    def _index(self) -> str | int:
        self.need("[")
        token = self.now
        digits = token.kind == "run" and token.text.isascii() and token.text.isdigit()
        if not digits and token.kind != "string":
            raise self.wrong("a place in a list is missing", hint="like items[0], or data['a name']")
        self.place += 1
        self.need("]")
        return int(token.text) if digits else token.text

    # -- pieces -----------------------------------------------------------------------------

    def is_(self, text: str) -> bool:
        token = self.now
        return token.kind != "string" and token.text.lower() == text and token.kind != "end"

    def next_is(self, text: str, *, adjacent: bool = False) -> bool:
        if self.place + 1 >= len(self.tokens):
            return False
        token = self.tokens[self.place + 1]
        return token.kind == "sign" and token.text == text and (not adjacent or token.at == self.now.end)

    def took(self, *texts: str) -> bool:
        if any(self.is_(text) for text in texts):
            self.place += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.took(sign):
            raise self.wrong(f"{sign} is missing")

    def wrong(self, message: str, *, at: int | None = None, hint: str = "") -> BadCondition:
        return BadCondition(message, self.text, self.now.at if at is None else at, hint=hint)
