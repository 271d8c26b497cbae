"""Takes a new configuration into use while everything runs, or changes nothing at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import structlog
import trio

from appliance.config.explain import Difference, difference
from appliance.config.load import Loaded
from appliance.config.schema import Keys, Settings
from appliance.errors import ConfigError

__all__ = ["Reloader", "when_saved"]

log = structlog.get_logger("config")

LOOK_EVERY = 1.0  # seconds between two looks at the file


class Reloader:
    """Knows what is in force.

    Args:
        appliers: by the table whose live keys each takes into use. None may fail.
        renew: what every reload looks at again, changed or not (certificate files). Each raises ConfigError
            and then has changed nothing.
        elsewhere: whether somebody else takes a key into use as soon as it is saved.
    """

    def __init__(
        self,
        loaded: Loaded,
        appliers: Mapping[str, Callable[[Settings], None]],
        renew: tuple[Callable[[], None], ...] = (),
        elsewhere: Callable[[Keys], bool] = lambda _: False,
    ) -> None:
        self.loaded = loaded
        self._appliers = appliers
        self._renew = renew
        self._elsewhere = elsewhere

    def reload(self) -> Difference | None:
        """Read the sources again and apply what can be; None: they are wrong, and nothing has changed."""
        try:
            new = self.loaded.again()
            for renew in self._renew:
                renew()
        except ConfigError as error:
            log.error("configuration is wrong, nothing changed", reason=error.message, hint=error.hint)
            return None
        changed = difference(self.loaded, new)
        taken = tuple(path for path in changed.restart if self._elsewhere(path))
        found = Difference(changed.live, tuple(path for path in changed.restart if path not in taken))
        for table in dict.fromkeys(path[0] for path in found.live):
            self._appliers[table](new.settings)
        # What waits for a restart stays different from what is in force, so the next reload names it again.
        self.loaded = self.loaded.with_values_of(new, (*found.live, *taken))
        log.info("configuration reloaded", applied=_names(found.live), needs_restart=_names(found.restart))
        return found


def _names(paths: Iterable[Keys]) -> list[str]:
    return [".".join(path) for path in paths]


async def when_saved(
    file: Path,
    reload: Callable[[], Awaitable[None]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Reload each time the file changes. Lasts until cancelled."""
    seen = _written(file)
    task_status.started()
    while True:
        await trio.sleep(LOOK_EVERY)
        if (now := _written(file)) != seen:
            seen = now
            await reload()


def _written(file: Path) -> int:
    """When it was last written; 0 while an editor replaces it."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
