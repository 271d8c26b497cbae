"""What is wrong with a plugin, found before an appliance runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from appliance.api import Plugin
from appliance.plugins import loader
from appliance.plugins.border import Crash, translated
from appliance.plugins.declared import examine
from appliance.plugins.registry import Found, decode_config
from appliance.supervise.tree import first_cause

__all__ = ["Finding", "check"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that would park the plugin."""

    plugin: str
    about: str  # manifest, import, doors or config
    message: str
    hint: str = ""


def check(found: Found) -> list[Finding]:
    """Everything that can be told without running the plugin's services; empty: it will start.

    The plugin's module is imported in this process.
    """
    if found.problem is not None:
        return [_finding(found, "manifest", found.problem)]
    findings: list[Finding] = []
    plugin = _try(found, "import", lambda: _load(found), findings)
    if plugin is None:
        return findings
    doors = (plugin.events, plugin.routes, plugin.consumers, plugin.jobs, plugin.actions, plugin.services)
    if not any(doors) and not plugin.panels:
        hint = "declare an event, a route, a consumer, a job, an action, a service or a panel"
        findings.append(Finding(found.name, "doors", "the plugin declares nothing", hint))
    _try(found, "doors", lambda: examine(plugin), findings)
    _try(found, "config", lambda: decode_config(found, plugin.config), findings)
    return findings


def _load(found: Found) -> Plugin:
    assert found.folder is not None  # whoever has no problem has both
    assert found.manifest is not None
    return loader.load(found.folder, found.manifest)


def _try(found: Found, about: str, work: Callable[[], T], findings: list[Finding]) -> T | None:
    try:
        with translated():
            return work()
    except Exception as crash:  # noqa: BLE001 - it is what the caller asked for
        findings.append(_finding(found, about, first_cause(crash)))
        return None


def _finding(found: Found, about: str, error: Exception) -> Finding:
    crash = Crash.of(error)
    return Finding(found.name, about, crash.reason, crash.hint)
