"""The second net: what looks like a secret leaves no log line, even when somebody forgot. Pure.

Two meshes. Log lines lose secrets and addresses of people, and keep the paths and hosts an operator needs. A text
that came from outside and is told to others (a remark, the words of an exception) loses those as well.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

__all__ = ["anonymous", "redact", "scrubbed"]

HIDDEN = "(hidden)"

_FIELDS = frozenset({"authorization", "cookie", "password", "secret", "token"})
# A namespace token, an API key or OAuth token, a webhook's secret, a bearer header, a signed token; a private key; a
# URL with a password; `password=`; an e-mail address; and every query, since dialects put tokens there.
_SHAPES = re.compile(
    r"ns_[\w-]+_[0-9a-fA-F]{64}|mm_[a-z]+_[A-Za-z0-9]{20,}|whsec_[\w+/=-]{8,}|(?i:bearer|basic) [\w.~+/=-]{8,}"
    r"|eyJ[\w-]{5,}\.[\w-]+\.[\w-]*|-----BEGIN [A-Z ]*KEY-----[^-]*(?:-----END [A-Z ]*KEY-----)?"
    r"|\b[a-z][\w+.-]*://[^\s/@:]*:[^\s/@]+@\S*"
    r"|(?i:\b\w*(?:password|passwd|secret|api_?key|token)\w*[\"']?\s*[=:]\s*)[\"']?[^\s\"',;}]{3,}"
    r"|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|(?<=\?)\w+=[^\s\"']+"
)
# Places on a disk, numbers of machines, statements, the inside of a program, and where a service is.
_PLACES = re.compile(
    r"(?:/(?:home|Users|root|srv|var|tmp|etc|opt|mnt|usr)/|\b[A-Za-z]:\\)[^\s\"',;)]*"
    r"|\b(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+)?|\b[a-z][\w+.-]{1,20}://\S+"
    r"|(?i:\b(?:select\b.{1,200}?\bfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|drop\s+table)\b.*)"
    r"|(?s:Traceback \(most recent call last\).*)|File \"[^\"]*\", line \d+.*"
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


def anonymous(text: str) -> str:
    """A text from elsewhere that others are told: also without paths, addresses, statements and tracebacks."""
    return _PLACES.sub(HIDDEN, _SHAPES.sub(HIDDEN, text))
