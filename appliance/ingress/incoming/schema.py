"""JSON Schemas of what arrives.

A schema comes from whoever has an admin's token of any namespace, so it is interpreted, never made into code, its
patterns are matched in linear time, and nothing it refers to is fetched: everything must stand in the document.
Drafts 4 to 2020-12, as `$schema` says; without it the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.errors import Rejected

if TYPE_CHECKING:
    from jsonschema_rs import Validator

__all__ = ["MOST_ERRORS", "check_schema", "errors_of"]

MOST_ERRORS = 20  # told of one body
LONGEST_ERROR = 300  # characters
LONGEST_SCHEMA = 256 * 1024  # characters
KEPT = 256  # compiled
PATTERN_SIZE = 1024 * 1024  # bytes of one compiled pattern


def check_schema(document: Mapping[str, Any]) -> None:
    """Raises Rejected: it is no schema, or refers to something outside."""
    text = _text(document)
    if len(text) > LONGEST_SCHEMA:
        raise Rejected(f"a schema has {LONGEST_SCHEMA} characters at most, this one has {len(text)}")
    from jsonschema_rs import ReferencingError  # takes a while to load

    try:
        _compiled(text)
    except (ValueError, ReferencingError) as error:
        raise Rejected(
            f"schema_doc is no schema that can be used: {_line(str(error))}",
            hint='refer to parts of the same document only: {"$ref": "#/$defs/item"}',
        ) from error


def errors_of(document: Mapping[str, Any], body: bytes) -> list[str]:
    """What is wrong with a JSON body, each with its place: `/amount: "x" is not of type "number"`.

    Args:
        document: one that `check_schema` took.
    """
    found = []
    for error in _compiled(_text(document)).iter_errors(msgspec.json.decode(body)):
        place = "".join(f"/{part}" for part in error.instance_path)
        found.append(_line(f"{place or '/'}: {error.message}"))
        if len(found) == MOST_ERRORS:
            break
    return found


@lru_cache(maxsize=KEPT)
def _compiled(text: str) -> Validator:
    from jsonschema_rs import RegexOptions, validator_for

    patterns = RegexOptions(size_limit=PATTERN_SIZE, dfa_size_limit=PATTERN_SIZE)
    return validator_for(msgspec.json.decode(text), offline=True, pattern_options=patterns)


def _text(document: Mapping[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def _line(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= LONGEST_ERROR else short[: LONGEST_ERROR - 1] + "…"
