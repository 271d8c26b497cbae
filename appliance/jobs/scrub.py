"""What of a job's words may be shown. Pure.

Whatever a job was given, gave back or said of itself comes from elsewhere and may hold secrets or things about people.
Nothing is cut out of a text that looks like that: it is replaced as a whole.
"""

from __future__ import annotations

import re
import traceback
from typing import Any

from appliance.errors import ApplianceError

__all__ = ["REDACTED", "clean", "harmless", "remark", "shown", "traced"]

REDACTED = "[redacted]"
LONGEST_REMARK = 200  # characters
FRAMES = 12  # of a traceback, the innermost ones

_KEYS = frozenset(
    (
        *("api_key", "authorization", "bearer", "content", "dsn", "error", "exception", "file", "filename", "input"),
        *("message", "password", "path", "prompt", "raw", "secret", "stderr", "stdout", "text", "token", "transcript"),
        *("uri", "url"),
    )
)
_ENDINGS = tuple(f"_{key}" for key in _KEYS)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SUSPECT = re.compile(
    r"://|postgres|sql|bearer |api_?key|token|secret|password|passwd|authorization|credential"
    r"|(?:^|[\s\"'(=:,])(?:~|/(?:home|srv|var|tmp|root|etc|opt|usr|mnt|users|private)/)"  # a path
    r"|[a-z]:\\|\\\\\w"  # and one of another system
    r"|[\w.+-]@[\w-]+\.\w"  # an address of somebody
    r"|\b(?:\d{1,3}\.){3}\d{1,3}\b"  # or of a machine
    r"|\bselect\b.+\bfrom\b|\binsert\s+into\b|\bdelete\s+from\b|\bupdate\b.+\bset\b|\bdrop\s+table\b"
    r"|traceback|mm_[a-z]+_|eyj[\w-]{5,}\.",
    re.IGNORECASE | re.DOTALL,
)


def clean(text: str) -> bool:
    """Whether a text looks as if everybody may read it."""
    return _SUSPECT.search(text) is None


def shown(value: Any) -> Any:
    """A JSON value with what must not be seen replaced."""
    if isinstance(value, str):
        return value if clean(value) else REDACTED
    if isinstance(value, dict):
        return {_name(key): REDACTED if _hides(key) else shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return value


def harmless(value: Any) -> bool:
    """Whether nothing of a JSON value has to be replaced."""
    return bool(shown(value) == value)


def remark(text: str) -> str:
    """What a job says of its progress, fit for all who listen; "": better nothing."""
    plain = "".join(c if c.isprintable() else " " for c in text).strip()
    return plain[:LONGEST_REMARK] if clean(plain) else ""


def traced(error: BaseException) -> str:
    """Where an error came from, for whoever has to mend it: no values, no folders, and words only if they are clean."""
    words = error.message if isinstance(error, ApplianceError) else str(error)
    head = f"{type(error).__name__}: {words[:1000] if clean(words) else REDACTED}".removesuffix(": ")
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    lines = [
        f"  {frame.filename.replace(chr(92), '/').rpartition('/')[2]}:{frame.lineno} in {frame.name}"
        for frame in frames
    ]
    return "\n".join([head, *reversed(lines)])


def _hides(key: str) -> bool:
    plain = _HUMPS.sub("_", key).replace("-", "_").lower()
    return plain in _KEYS or plain.endswith(_ENDINGS)


def _name(key: str) -> str:
    return key if clean(key) or _hides(key) else REDACTED
