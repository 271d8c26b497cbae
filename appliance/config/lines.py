"""On which line each key of a TOML text stands; `tomllib` reads values and forgets places. Pure.

Only texts that `tomllib` has accepted come here, so this needs the structure of TOML and not its rules:
strings and comments are skipped whole, brackets and commas are followed, everything else is a scalar.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Keys", "key_lines"]

Keys = tuple[str, ...]

_TOKEN = re.compile(
    r'''(?P<text>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*')'''
    r"""|(?P<skip>\#[^\n]*|[^\S\n]+)|(?P<mark>[\[\]{}=,.\n])|(?P<word>[^\s\[\]{}=,.#"']+)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int


def key_lines(text: str) -> dict[Keys, int]:
    """The line (from 1) on which each table and key is first named. Elements of arrays share their array's name."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._lines: dict[Keys, int] = {}

    def scan(self) -> dict[Keys, int]:
        table: Keys = ()
        while self._at < len(self._tokens):
            match self._next:
                case "\n":
                    self._at += 1
                case "[":
                    self._skip("[")
                    table = self._name(())
                    self._skip("]")
                case _:
                    self._pair(table)
        return self._lines

    @property
    def _next(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else "\n"

    def _skip(self, marks: str) -> None:
        while self._next in marks and self._at < len(self._tokens):
            self._at += 1

    def _name(self, above: Keys) -> Keys:
        """A dotted name, noted with its line under the names it stands in."""
        name = above
        while True:
            token = self._tokens[self._at]
            name += (_plain(token.text),)
            self._lines.setdefault(name, token.line)
            self._at += 1
            if self._next != ".":
                return name
            self._at += 1

    def _pair(self, table: Keys) -> None:
        name = self._name(table)
        self._at += 1  # =
        self._value(name)

    def _value(self, name: Keys) -> None:
        match self._next:
            case "{":
                self._list_of(name, "}", self._pair)
            case "[":
                self._list_of(name, "]", self._value)
            case _:
                while self._next not in ",]}\n":
                    self._at += 1

    def _list_of(self, name: Keys, end: str, item: Callable[[Keys], None]) -> None:
        self._at += 1
        while True:
            self._skip(",\n")
            if self._next == end:
                self._at += 1
                return
            item(name)


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "skip":
            yield _Token(found[0], line)
        line += found[0].count("\n")


def _plain(key: str) -> str:
    if key[0] not in "\"'":
        return key
    plain: str = tomllib.loads(f"key = {key}")["key"]
    return plain
