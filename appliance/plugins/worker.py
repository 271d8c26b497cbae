"""Runs one job's handler in a process of its own; see `process.py`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from appliance.api import ApplianceError
from appliance.plugins import loader, manifest
from appliance.plugins.declared import examine
from appliance.plugins.process import Answer, Errand
from appliance.plugins.registry import Found, decode_config
from appliance.telemetry.crashes import crash_text

__all__ = ["main"]


def main() -> None:
    """Read one errand from standard input, carry it out, write one answer to standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the plugin prints is no answer
    errand = msgspec.json.decode(sys.stdin.buffer.readline(), type=Errand)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    out.write(msgspec.json.encode(_answered(errand)))
    out.flush()
    os._exit(0)  # threads of the plugin's are nobody's any more


def _answered(errand: Errand) -> Answer:
    try:
        return Answer(msgspec.to_builtins(_run(errand)))
    except BaseException as error:  # noqa: BLE001 - the border: it is told, whatever it is
        message = error.message if isinstance(error, ApplianceError) else str(error)
        hint = error.hint if isinstance(error, ApplianceError) else ""
        return Answer(None, type(error).__name__, message, hint, crash_text(error)[:8000])


def _run(errand: Errand) -> Any:
    folder = Path(errand.folder)
    said = manifest.read(folder)
    plugin = loader.load(folder, said)
    found = Found(said.name, folder, said, table=errand.config)
    work = next(one for one in examine(plugin).jobs if one.door.type == errand.job)
    given = dict(errand.arguments)
    offers = {"config": decode_config(found, plugin.config), "note_id": given.pop("note_id", "")}
    return work.ask.call(offers, given)


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)
