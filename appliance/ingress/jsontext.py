"""JSON from outside is looked at here, once, before anything else sees it.

What passes is strict UTF-8 and strict JSON, nested at most 64 deep, without fractions beyond a double,
integers beyond 4,300 digits, and NUL, which PostgreSQL cannot store. A refusal is always
`Malformed`, whatever the decoder raised. Parts of a checked text are taken out as text, not as
objects: `1.0`, big integers, the order of keys and every escape stay as the sender wrote them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar

import msgspec

from appliance.errors import Rejected

__all__ = ["DEPTH", "SMALL", "Malformed", "check", "compact", "decode", "holds_nul"]

T = TypeVar("T")

DEPTH = 64  # arrays and objects inside each other
SMALL = 64 * 1024  # bytes: up to here decoding everything is the fastest check; beyond, objects cost too much memory
LONGEST_INTEGER = 4300  # digits and sign, as the decoder has it

_decode_any = msgspec.json.Decoder().decode
_skim = msgspec.json.Decoder(msgspec.Raw).decode
_format = msgspec.json.format

# Possessive, so that a string of many megabytes needs no memory to step back.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NUMBER = re.compile(rb"[-+.0-9eE]{5,}")
_ZEROES = bytes.maketrans(b"123456789E", b"000000000e")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_BRACES_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")


class Malformed(Rejected):
    """A body is not the JSON we take; the message says where it goes wrong."""

    code = "malformed_json"
    status = 400


def check(body: bytes, *, unique_names: bool = False) -> None:
    """Whether `body` is one JSON value that every later reader can hold.

    Args:
        unique_names: also refuse an object that names a member twice.

    Raises:
        Malformed: it is not.
    """
    try:
        body.decode()  # `_skim` does not look into strings, and this one knows the place
        if len(body) <= SMALL:
            _check_small(body)
        else:
            _check_large(body)
        if b"\\u0000" in body and holds_nul(body.decode()):
            raise ValueError(r"\u0000 is not accepted")
        if unique_names:
            json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Malformed(_reason(error)) from error


def decode(body: bytes, type: type[T], *, unique_names: bool = False) -> T:
    """A checked value of `type`.

    Raises:
        Malformed: not JSON.
        Rejected: JSON of another shape; the message names the place.
    """
    check(body, unique_names=unique_names)
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        raise Rejected(str(error)) from error


def compact(part: msgspec.Raw) -> str:
    """The text of a part of a checked body without the blanks between its tokens: never a raw newline."""
    text = str(part, "utf-8")
    if " " in text or "\n" in text or "\t" in text or "\r" in text:
        return _format(part, indent=-1).decode()
    return text  # as most programs write it; formatting would find nothing to do, at three times the cost


def holds_nul(text: str) -> bool:
    """Whether JSON text has the escape of NUL; behind an escaped backslash the same letters are plain text."""
    return "\\u0000" in text and "\\u0000" in text.replace("\\\\", "  ")


def _check_small(body: bytes) -> None:
    _decode_any(body)
    if body.count(b"{") + body.count(b"[") > DEPTH:
        _check_depth(_STRING.sub(b"", body))


def _check_large(body: bytes) -> None:
    """The same verdict without making an object of anything: `[[],[],…` would take twenty times its size."""
    _skim(body)
    bare = _STRING.sub(b"", body)
    _check_depth(bare)
    shape = bare.translate(_ZEROES, b"+")
    if b"e000" in shape or b"0" * 300 in shape:  # only these can be too large
        for number in _NUMBER.findall(bare):
            whole = number.strip(b"-").isdigit()
            if len(number) > LONGEST_INTEGER if whole else math.isinf(float(number)):
                raise ValueError("Number out of range")


def _check_depth(bare: bytes) -> None:
    """Take away innermost pairs `[]` again and again: what is left after 64 rounds is too deep."""
    brackets = bare.translate(_BRACES_TO_BRACKETS, _NOT_BRACKETS)
    for _ in range(DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise ValueError(f"nested more than {DEPTH} deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"member {twice!r} is given twice")
    return members


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return f"nested more than {DEPTH} deep"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return str(error)
