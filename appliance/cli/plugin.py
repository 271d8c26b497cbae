"""`plugin`: what is installed and what it brings, a new one, whether one would run, and beginning again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.cli.base import Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.exits import Exit
from appliance.cli.plugin_card import card
from appliance.cli.render import plain, table
from appliance.client import Unreachable
from appliance.client.protocol import rest
from appliance.errors import Forbidden, NotFound, Rejected, Unauthenticated
from appliance.plugins import loader
from appliance.plugins.check import Finding, check
from appliance.plugins.declared import examine
from appliance.plugins.registry import Found, discover
from appliance.plugins.scaffold import scaffold
from appliance.plugins.status import config_of, described

__all__ = ["commands", "findings_of", "installed"]

PATH = "/api/v1/plugins"
SHOWN = """name, version, summary, bundled, state, since, restarts, stalls, reason, hint, traceback, failures,
routes, events, consumers, jobs, actions, services, panels, config"""


@click.group(
    cls=Noun,
    examples=[
        "appliance plugin list",
        "appliance plugin new greeter        a folder with a plugin that runs and a test that passes",
        "appliance plugin check greeter      would it start?",
        "appliance plugin show notes         its routes, events, jobs and configuration",
        "appliance plugin restart greeter    code and configuration afresh",
    ],
)
def plugin() -> None:
    """Plugins: a folder, and a table in the configuration."""


@plugin.command("list", fields='{"plugins": [{name, version, summary, bundled, enabled, folder, problem}]}')
@with_desk
def list_(desk: Desk) -> None:
    """List plugins, with their state if a server runs."""
    found, running = installed(desk), _states(desk)
    rows = [
        (
            one.name,
            one.row()["version"],
            running.get(one.name) or _state(one),
            "bundled" if one.bundled else one.folder or "",
            one.row()["summary"],
        )
        for one in found
    ]
    desk.show(
        {"plugins": [one.row() for one in found]},
        table(rows, ("plugin", "version", "state", "from", "summary"), desk.paint) if rows else "no plugins",
    )


@plugin.command("show", fields=SHOWN)
@click.argument("name", metavar="NAME|FOLDER")
@with_desk
def show(desk: Desk, name: str) -> None:
    """Show what a plugin brings, and how it does if a server runs."""
    row = _running(desk, name) or _described(_named(desk, name))
    desk.show(row, card(row, desk.paint))


@plugin.command("state", fields='{"items": [{key, value, version}], "count", "next"}')
@click.argument("name")
@click.option("--prefix", metavar="TEXT", default="", help="only keys that begin so")
@click.option("--after", metavar="KEY", default="", help="go on behind this key")
@with_desk
def state(desk: Desk, name: str, prefix: str, after: str) -> None:
    """Show what a plugin keeps, by key."""
    query = {"prefix": prefix, "after": after}
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("GET", f"{PATH}/{name}/state", query=query))
    rows = [(one["key"], one["version"], json.dumps(one["value"], ensure_ascii=False)) for one in found["items"]]
    desk.show(found, table(rows, ("key", "version", "value"), desk.paint) if rows else "nothing is kept")
    desk.note(f"\n{len(rows)} of {found['count']}" + (f"; go on: --after {found['next']}" if found["next"] else ""))


@plugin.command("restart", fields=SHOWN)
@click.argument("name")
@with_desk
def restart(desk: Desk, name: str) -> int:
    """Load a plugin afresh, code and configuration, parked or not."""
    with desk.client() as client:
        row: dict[str, Any] = client.run(rest("POST", f"{PATH}/{name}/restart"))
    desk.show(row, card(row, desk.paint) if row["state"] != "ready" else f"{name} is ready")
    return Exit.DONE if row["state"] == "ready" else Exit.FAILED


@plugin.command("act", fields="result")
@click.argument("name")
@click.argument("action")
@click.argument("arguments", metavar="[JSON]", default="{}")
@with_desk
def act(desk: Desk, name: str, action: str, arguments: str) -> None:
    """Ask a plugin for one of its actions. JSON is an object with its arguments."""
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise Rejected(f"the arguments are no JSON: {error}", hint="""write '{"name": "value"}'""") from error
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("POST", f"{PATH}/{name}/actions/{action}", given))
    desk.show(found, json.dumps(found["result"], ensure_ascii=False, indent=2))


@plugin.command("enable", fields="name, enabled, file, lines")
@click.argument("name")
@with_desk
def enable(desk: Desk, name: str) -> None:
    """Say what to write into the configuration to turn a plugin on."""
    _say_lines(desk, name, on=True)


@plugin.command("disable", fields="name, enabled, file, lines")
@click.argument("name")
@with_desk
def disable(desk: Desk, name: str) -> None:
    """Say what to write into the configuration to turn a plugin off."""
    _say_lines(desk, name, on=False)


@plugin.command("new", fields="name, folder")
@click.argument("name")
@click.option("--folder", metavar="DIR", default=".", help="where its folder is made")
@with_desk
def new(desk: Desk, name: str, folder: str) -> None:
    """Write a plugin that runs, with a test that passes."""
    made = scaffold(name, Path(folder))
    desk.show({"name": name, "folder": str(made)}, str(made))
    desk.note(f"next: appliance plugin check {made}")
    desk.note(f"      write into {desk.config.file or 'appliance.toml'}:")
    for line in _lines_of(desk, name, Path(folder).absolute()):
        desk.note(f"          {line}")
    desk.note("      while you write it: appliance serve --dev")
    desk.note(f"      watch its events: appliance subscribe {name}")


@plugin.command("check", fields='{"ok", "findings": [{plugin, about, message, hint}]}')
@click.argument("names", metavar="[NAME|FOLDER…]", nargs=-1)
@with_desk
def check_(desk: Desk, names: tuple[str, ...]) -> int:
    """Find what would keep plugins from running.

    Looks at manifest, import, doors and config; runs their module, and not more.
    """
    found = [_named(desk, name) for name in names] or [one for one in installed(desk) if one.enabled]
    findings = findings_of(found)
    text = "\n".join(_text(one, desk) for one in findings) or f"{len(found)} checked, all would start"
    desk.show({"ok": not findings, "findings": [asdict(one) for one in findings]}, text)
    return Exit.INVALID if findings else Exit.DONE


def installed(desk: Desk) -> list[Found]:
    """All plugins there are for this configuration."""
    settings = desk.config.settings
    return discover(settings.plugins, paths=settings.plugins_path, source=desk.config.plugin_source)


def findings_of(found: list[Found]) -> list[Finding]:
    return [finding for one in found for finding in check(one)]


def _running(desk: Desk, name: str) -> dict[str, Any] | None:
    """How a server has it; None: none runs here, or it does not know it."""
    try:
        with desk.client(timeout=5.0) as client:
            found: dict[str, Any] = client.run(rest("GET", f"{PATH}/{name}"))
            return found
    except (Unreachable, NotFound):
        return None


def _states(desk: Desk) -> dict[str, str]:
    """How a server has each plugin, by name; empty: none runs here, or it tells us nothing."""
    try:
        with desk.client(timeout=5.0) as client:
            rows = client.run(rest("GET", PATH))["plugins"]
    except (Unreachable, NotFound, Unauthenticated, Forbidden):
        return {}
    return {row["name"]: row["state"] for row in rows}


def _described(found: Found) -> dict[str, Any]:
    """What its files say. Raises what keeps it from being loaded."""
    if found.problem is not None:
        raise found.problem
    assert found.folder is not None  # whoever has no problem has both
    assert found.manifest is not None
    loaded = loader.load(found.folder, found.manifest)
    row: dict[str, Any] = msgspec.to_builtins(described(found, examine(loaded)))
    return row | {"state": _state(found), "config": msgspec.to_builtins(config_of(found, loaded.config, None))}


def _say_lines(desk: Desk, name: str, *, on: bool) -> None:
    found = _named(desk, name)
    file = str(desk.config.file or "appliance.toml")
    parent = found.folder.parent.absolute() if on and found.folder is not None and not found.bundled else None
    lines = _lines_of(desk, found.name, parent) + ([] if on else ["enabled = false"])
    row = {"name": found.name, "enabled": on, "file": file, "lines": lines}
    if found.enabled is on and found.problem is None:
        desk.show(row | {"lines": []}, f"{found.name} is {'on' if on else 'off'} already")
        return
    desk.show(row, "\n".join(lines))
    desk.note(f"belongs into {file}; then: appliance stop, appliance serve")


def _lines_of(desk: Desk, name: str, parent: Path | None) -> list[str]:
    """What the configuration lacks for a plugin, but for its keys; `parent` is the folder its folder is in."""
    known = [Path(path).absolute() for path in desk.config.settings.plugins_path]
    paths = json.dumps([str(path) for path in (*known, parent)], ensure_ascii=False)
    return [*([] if parent is None or parent in known else [f"plugins_path = {paths}"]), f"[plugins.{name}]"]


def _named(desk: Desk, name: str) -> Found:
    """A plugin by its name, or by its folder when that is not in the configuration yet."""
    by_name = {one.name: one for one in installed(desk)}
    if name in by_name:
        return by_name[name]
    folder = Path(name).absolute()
    if not folder.is_dir():
        raise NotFound(f"there is no plugin and no folder {name}", hint="list them: appliance plugin list")
    beside = discover({folder.name: {}}, paths=[folder.parent])
    return next(one for one in beside if one.folder == folder or one.name == folder.name)


def _state(one: Found) -> str:
    if one.problem is not None:
        return "broken"
    return "enabled" if one.enabled else "off"


def _text(finding: Finding, desk: Desk) -> str:
    head = f"{desk.paint(finding.plugin, 'bold')}: {finding.about}: {plain(finding.message)}"
    return f"{head}\n  {plain(finding.hint)}" if finding.hint else head


commands = {"plugin": plugin}
