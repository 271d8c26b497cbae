"""A plugin at one moment, as `status`, the dashboard and `plugin show` have it."""

from __future__ import annotations

import inspect
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from io import StringIO
from typing import Any

import msgspec

from appliance.clock import stamp
from appliance.plugins.consumers import ConsumerStatus
from appliance.plugins.declared import Declarations
from appliance.plugins.guest import Guest
from appliance.plugins.registry import Found
from appliance.supervise.tree import Node

__all__ = [
    "ActionShown",
    "ConfigShown",
    "JobShown",
    "PluginStatus",
    "RouteShown",
    "config_of",
    "described",
    "status_of",
]

HIDDEN = "(hidden)"

_SECRET = re.compile(r"secret|token|password|passwd|credential|(^|_)key$|private", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RouteShown:
    method: str
    path: str
    scope: str | None
    summary: str


@dataclass(frozen=True, slots=True)
class JobShown:
    type: str
    timeout: float  # seconds
    priority: int
    concurrency: int
    retry: tuple[float, ...]  # seconds before each further try
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActionShown:
    name: str
    summary: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigShown:
    """One key of the plugin's table."""

    key: str
    value: Any  # in force; hidden if its name is that of a secret
    default: Any
    origin: str  # "appliance.toml, line 14", or "default"
    meaning: str  # the comment beside it


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """One plugin."""

    name: str
    version: str
    summary: str
    bundled: bool
    state: str = "disabled"  # or a supervisor's: ready, parked, …
    since: str = ""  # RFC 3339; empty for a disabled one
    restarts: int = 0  # of its services
    stalls: int = 0  # how often it was interrupted
    reason: str = ""  # of the last crash, in a line; why it is parked, if it is
    hint: str = ""
    traceback: str = ""
    events: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)  # of handlers, since it was loaded
    routes: tuple[RouteShown, ...] = ()
    consumers: tuple[ConsumerStatus, ...] = ()
    jobs: tuple[JobShown, ...] = ()
    actions: tuple[ActionShown, ...] = ()


def status_of(found: Found, guest: Guest | None, node: Node | None) -> PluginStatus:
    """Of a plugin that was found, running or not."""
    if guest is None:
        return described(found, None)
    services = () if node is None else node.children
    return replace(
        described(found, guest.declared, guest.consumers.status() if guest.consumers is not None else ()),
        state="disabled" if node is None else node.state.value,
        since="" if node is None else stamp(node.since_us),
        restarts=sum(one.restarts for one in services),
        stalls=guest.stalls,
        reason=guest.crash.reason,
        hint=guest.crash.hint,
        traceback=guest.crash.traceback,
        failures=dict(guest.failures),
    )


def described(found: Found, declared: Declarations | None, running: Iterable[ConsumerStatus] = ()) -> PluginStatus:
    """What a plugin is and brings, without how it does."""
    status = PluginStatus(
        name=found.name,
        version=found.manifest.version if found.manifest else "",
        summary=found.manifest.summary if found.manifest else "",
        bundled=found.bundled,
    )
    if declared is None:
        return status
    plugin = declared.plugin
    return replace(
        status,
        summary=status.summary or plugin.summary,
        events=tuple(event.__name__ for event in plugin.events),
        services=tuple(plugin.services),
        panels=tuple(plugin.panels),
        routes=tuple(RouteShown(one.method, one.path, one.scope, one.summary) for one, _ in declared.routes),
        consumers=_consumers(declared, running),
        jobs=tuple(
            JobShown(
                work.door.type,
                work.door.timeout,
                work.door.priority,
                work.door.concurrency,
                work.waits,
                tuple(work.ask.arguments),
            )
            for work in declared.jobs
        ),
        actions=tuple(
            ActionShown(door.name, door.summary, tuple(ask.arguments)) for door, ask in declared.actions.values()
        ),
    )


def config_of(found: Found, config: type, value: object | None) -> tuple[ConfigShown, ...]:
    """The keys of its table.

    Args:
        config: the declared class.
        value: an instance of it that is in force; None: the defaults.
    """
    meanings, default = _meanings(config), config()
    in_force = default if value is None else value
    rows = []
    for one in fields(config):
        secret = _SECRET.search(one.name) is not None
        line = found.source.line((one.name,))
        origin = "default"
        if one.name in found.table:
            origin = f"{found.source.file}, line {line}" if found.source.file and line else "configuration"
        shown, stock = getattr(in_force, one.name), getattr(default, one.name)
        rows.append(
            ConfigShown(
                one.name,
                HIDDEN if secret and shown else _plain(shown),
                HIDDEN if secret and stock else _plain(stock),
                origin,
                meanings.get(one.name, ""),
            )
        )
    return tuple(rows)


def _consumers(declared: Declarations, running: Iterable[ConsumerStatus]) -> tuple[ConsumerStatus, ...]:
    """As they run, or as they are declared."""
    known = {one.name: one for one in running}
    return tuple(
        known.get(one.door.name) or ConsumerStatus(one.door.name, tuple(sorted(one.names)), one.door.when, 0, 0, 0, 0)
        for one in declared.consumers
    )


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, str_keys=True)


def _meanings(config: type) -> dict[str, str]:
    """The comments beside a class's fields, or above them."""
    try:
        source = inspect.getsource(config)
        tokens = list(tokenize.generate_tokens(StringIO(inspect.cleandoc(source)).readline))
    except (OSError, TypeError, tokenize.TokenError, IndentationError):
        return {}  # its text is not at hand
    names = {one.name for one in fields(config)}
    on_line = {token.start[0]: token.string for token in reversed(tokens) if token.string in names}
    found = {}
    for token in tokens:
        if token.type == tokenize.COMMENT and token.start[0] in on_line:
            found[on_line[token.start[0]]] = token.string.lstrip("# ").strip()
    return found
