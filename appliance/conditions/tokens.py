"""A condition's text in pieces.

What looks like a name, a number or a bare word is one run: only its place tells which it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from appliance.conditions.errors import BadCondition

__all__ = ["LONGEST", "Token", "tokens"]

LONGEST = 4096  # bytes

Kind = Literal["run", "string", "sign", "end"]

SIGNS = ("&&", "||", "==", "!=", ">=", "<=", "<>", ">", "<", "=", "!", "(", ")", "[", "]", ",")
MISTAKES = {"===": "==", "!==": "!=", "=>": ">=", "=<": "<=", "&": "&&", "|": "||", "~": "matches", ";": "&&"}
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}

_SPACE = re.compile(r"\s*")
_RUN = re.compile(r"[\w.:+-]+")
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """One piece."""

    kind: Kind
    text: str  # of a string what it stands for
    at: int  # index of its first character
    end: int


def tokens(text: str) -> list[Token]:
    """All pieces; the last one is the end.

    Raises:
        BadCondition: too long, a string without an end, or a sign that is none.
    """
    size = len(text.encode(errors="replace"))
    if size > LONGEST:
        raise BadCondition(f"it has {size} bytes, at most {LONGEST} are read", text, 0)
    found: list[Token] = []
    at = _after_space(text, 0)
    while at < len(text):
        found.append(_token(text, at))
        at = _after_space(text, found[-1].end)
    return [*found, Token("end", "", len(text), len(text))]


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None, "it may be empty"
    return match.end()


def _token(text: str, at: int) -> Token:
    if run := _RUN.match(text, at):
        return Token("run", run[0], at, run.end())
    if text[at] in "'\"":
        return _string(text, at)
    for wrong, right in MISTAKES.items():
        if text.startswith(wrong, at) and not text.startswith(("&&", "||"), at):
            raise BadCondition(f"{wrong} is no operator", text, at, hint=f"did you mean {right}?")
    for sign in SIGNS:
        if text.startswith(sign, at):
            return Token("sign", sign, at, at + len(sign))
    raise BadCondition(f"{text[at]!a} has no meaning here", text, at, hint="put text between quotes: 'like this'")


def _string(text: str, at: int) -> Token:
    match = _STRING.match(text, at)
    if match is None:
        raise BadCondition("this text has no end", text, at, hint=f"close it with {text[at]}")
    inner = match[1] if match[1] is not None else match[2]
    plain = _ESCAPE.sub(_unescaped, inner)
    if any("\ud800" <= c <= "\udfff" for c in plain):
        raise BadCondition("this text has half a character", text, at, hint="write the character itself")
    return Token("string", plain, at, match.end())


def _unescaped(match: re.Match[str]) -> str:
    """Unknown ones stay as they are, so that a pattern like '\\d+' needs no second backslash."""
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else ESCAPED.get(code, match[0])
