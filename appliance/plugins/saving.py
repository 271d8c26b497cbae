"""While plugins are written: one whose files or table are saved begins again, alone.

Code that cannot be loaded parks the plugin, with the message in the log and in `status`; the next save brings it back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

import structlog
import trio

from appliance.errors import ApplianceError
from appliance.plugins.manifest import FILE
from appliance.plugins.registry import Found

__all__ = ["when_plugins_are_saved"]

log = structlog.get_logger("plugins")

LOOK_EVERY = 0.5  # seconds between two looks
LEFT_OUT = frozenset({"__pycache__", "tests", "vendor"})  # of a plugin's folder: nobody edits what runs in there


async def when_plugins_are_saved(
    found: Callable[[], Sequence[Found]],
    config: Path | None,
    restart: Callable[[str], Awaitable[str]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Watch the operator's plugins. Lasts until cancelled.

    Args:
        found: the plugins as files and configuration have them now; raises ConfigError.
        config: the configuration's file.
        restart: begins one again, and says why it does not run ("": it does).
    """
    plugins = [one for one in found() if one.folder is not None and not one.bundled]
    tables: dict[str, object] = {one.name: one.table for one in plugins}
    seen = {one.name: _written(one.folder) for one in plugins if one.folder is not None}
    written = _changed([config])
    task_status.started()
    while True:
        await trio.sleep(LOOK_EVERY)
        if (now := _changed([config])) != written:
            written = now
            tables = await _retabled(found, tables, restart)
        for one in plugins:
            assert one.folder is not None  # those without were left out
            if (stamp := _written(one.folder)) != seen[one.name]:
                seen[one.name] = stamp
                await _again(one.name, restart)


async def _retabled(
    found: Callable[[], Sequence[Found]], tables: dict[str, object], restart: Callable[[str], Awaitable[str]]
) -> dict[str, object]:
    """Begin those again whose table has changed."""
    try:
        new: dict[str, object] = {one.name: one.table for one in found() if one.name in tables}
    except ApplianceError:
        return tables  # whoever reloads the configuration says what is wrong with it
    for name, table in new.items():
        if table != tables[name]:
            await _again(name, restart)
    return tables | new


async def _again(name: str, restart: Callable[[str], Awaitable[str]]) -> None:
    try:
        reason = await restart(name)
    except ApplianceError as trouble:
        log.error("plugin saved, but not loaded", plugin=name, reason=trouble.message, hint=trouble.hint)
        return
    if reason:
        log.error("plugin saved, but parked until the next save", plugin=name, reason=reason)
    else:
        log.info("plugin saved, and loaded afresh", plugin=name)


def _written(folder: Path) -> tuple[tuple[str, int], ...]:
    return _changed(_sources(folder))


def _sources(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return  # being replaced
    for entry in entries:
        if entry.is_dir():
            if entry.name not in LEFT_OUT:
                yield from _sources(entry)
        elif entry.suffix == ".py" or entry.name == FILE:
            yield entry


def _changed(files: Iterable[Path | None]) -> tuple[tuple[str, int], ...]:
    """Which files there are, and when each was written."""
    stamps = []
    for file in files:
        try:
            stamps += [] if file is None else [(str(file), file.stat().st_mtime_ns)]
        except OSError:
            continue  # an editor is replacing it
    return tuple(stamps)
