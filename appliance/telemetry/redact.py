"""The second net: what looks like a secret leaves no log line, even when somebody forgot. Pure."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

__all__ = ["redact", "scrubbed"]

HIDDEN = "(hidden)"

_FIELDS = frozenset({"authorization", "cookie", "password", "secret", "token"})
# A namespace token, an API key or OAuth token, a bearer header, a signed token; and every query, since dialects put
# tokens there.
_SHAPES = re.compile(
    r"ns_[\w-]+_[0-9a-fA-F]{64}|mm_[a-z]+_[A-Za-z0-9]{20,}|(?i:bearer) [\w.~+/=-]{8,}"
    r"|eyJ[\w-]{5,}\.[\w-]+\.[\w-]*|(?<=\?)\w+=[^\s\"']+"
)


def redact(fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The same fields without secrets; changes `fields` in place."""
    for name, value in fields.items():
        if name.lower() in _FIELDS:
            fields[name] = HIDDEN
        elif isinstance(value, str):
            fields[name] = _SHAPES.sub(HIDDEN, value)
    return fields


def scrubbed(text: str) -> str:
    """A text from elsewhere that is going to be kept, without what looks like a secret."""
    return _SHAPES.sub(HIDDEN, text)
