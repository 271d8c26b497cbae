"""Strict decoding of what people write by hand: an unknown key is an error with file, line and the likely word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec

from appliance.errors import ConfigError

__all__ = ["Source", "closest", "decode"]

T = TypeVar("T")
Keys = tuple[str, ...]

# msgspec ends its message with the place: "Expected `int`, got `str` - at `$.limits.max_chars`"
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table was written."""

    file: str = ""
    line: Callable[[Keys], int | None] = lambda _: None  # of a key inside the table; () is the table itself
    prefix: str = ""  # how the table is called in the file: "plugins.notes"

    def wrong(self, message: str, keys: Keys, hint: str = "") -> ConfigError:
        """`message` with its place in front of it for people, and as facts for machines."""
        line, key = self.line(keys), ".".join(filter(None, (self.prefix, *keys)))
        place = f"{self.file}, line {line}" if self.file and line else self.file
        return ConfigError(f"{message} in {place}" if place else message, hint=hint, file=self.file, line=line, key=key)


def closest(word: str, known: Iterable[str]) -> str:
    """A hint for a word nobody knows: the nearest known one, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known here: {', '.join(known)}" if known else "nothing can be set here"


def decode(table: Mapping[str, Any], into: type[T], source: Source) -> T:
    """An instance of the dataclass `into` from a table, every key known and every value of its type.

    Raises:
        ConfigError: with file, line, key and what would fit.
        TypeError: `into` holds a type that no file can express.
    """
    _refuse_unknown_keys(table, into, source, ())
    try:
        return msgspec.convert(table, into)
    except msgspec.ValidationError as wrong:
        found = _PLACE.match(str(wrong))
        assert found is not None  # the pattern matches any text
        keys = tuple(re.findall(r"\w[\w-]*", found["path"] or ""))
        name = ".".join(filter(None, (source.prefix, *keys)))
        what = found["what"].replace("`", "")
        raise source.wrong(f"{name}: {what[:1].lower()}{what[1:]}", keys) from wrong


def _refuse_unknown_keys(table: Mapping[str, Any], into: type, source: Source, path: Keys) -> None:
    """msgspec ignores unknown keys of dataclasses; a typing error must not be ignored."""
    types = get_type_hints(into)
    known = [field.name for field in fields(into)]
    for key, value in table.items():
        if key not in known:
            raise source.wrong(f'unknown key "{key}"', (*path, key), hint=closest(key, known))
        inner = types[key]
        if isinstance(inner, type) and is_dataclass(inner) and isinstance(value, Mapping):
            _refuse_unknown_keys(value, inner, source, (*path, key))
