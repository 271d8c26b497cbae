"""A crash in words for the log: what was raised and where, without what was in the hands of whoever raised it. Pure.

    RuntimeError: (hidden) cannot be reached
      in web/router.py:150 guarded
      in egress/routes.py:31 close
    because of OSError: connection refused
      in …

Lines of source are left out: they may hold a secret as it was written, and file and line find them. Folders above the
package are left out too: they name people. A message comes from anywhere, and is scrubbed as such.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import PurePath

from appliance.errors import ApplianceError
from appliance.telemetry.redact import anonymous

__all__ = ["crash_text"]

FRAMES = 20  # innermost, of each exception
CHAIN = 5  # exceptions, each the cause of the one before
PARTS = 2  # of a file's path: its folder and its name
LONGEST = 1000  # characters of a message


def crash_text(crash: BaseException) -> str:
    """All that may be told of it, as lines."""
    return "\n".join(_lines(crash, ""))


def _lines(crash: BaseException, lead: str) -> Iterator[str]:
    seen: BaseException | None = crash
    for number in range(CHAIN):
        if seen is None:
            return
        yield f"{lead}{'because of ' if number else ''}{_head(seen)}"
        for frame in traceback.extract_tb(seen.__traceback__, limit=-FRAMES):
            file = "/".join(PurePath(frame.filename).parts[-PARTS:])
            yield f"{lead}  in {file}:{frame.lineno} {frame.name}"
        for note in getattr(seen, "__notes__", ()):
            yield from (f"{lead}  {line}" for line in anonymous(note).splitlines())
        if isinstance(seen, BaseExceptionGroup):
            for inner in seen.exceptions:
                yield from _lines(inner, f"{lead}  | ")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _head(crash: BaseException) -> str:
    words = crash.message if isinstance(crash, (ApplianceError, BaseExceptionGroup)) else str(crash)
    kind = type(crash).__qualname__
    return f"{kind}: {anonymous(words[:LONGEST])}".removesuffix(": ")
