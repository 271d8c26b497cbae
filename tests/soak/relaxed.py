"""The appliance with its syncs taken out, as the negative control of `syncproof`: same arguments, no promise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from appliance.__main__ import main
from appliance.storage.sqlite.engine import SqliteEngine

_open = SqliteEngine.open.__func__  # type: ignore[attr-defined]


def _relaxed(kind: type[SqliteEngine], /, directory: Path, **options: Any) -> SqliteEngine:
    engine: SqliteEngine = _open(kind, directory, **(options | {"durable": False}))
    return engine


if __name__ == "__main__":
    SqliteEngine.open = classmethod(_relaxed)  # type: ignore[assignment, method-assign]
    sys.exit(main())
