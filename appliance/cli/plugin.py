"""`plugin`: what is installed, a new one, and whether one would run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from appliance.cli.base import Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.exits import Exit
from appliance.cli.render import plain, table
from appliance.errors import NotFound
from appliance.plugins.check import Finding, check
from appliance.plugins.registry import Found, discover
from appliance.plugins.scaffold import scaffold

__all__ = ["commands", "findings_of", "installed"]


@click.group(
    cls=Noun,
    examples=[
        "appliance plugin list",
        "appliance plugin new greeter        a folder with a plugin that runs and a test that passes",
        "appliance plugin check greeter      would it start?",
    ],
)
def plugin() -> None:
    """Plugins: a folder, and a table in the configuration."""


@plugin.command("list", fields='{"plugins": [{name, version, summary, bundled, enabled, folder, problem}]}')
@with_desk
def list_(desk: Desk) -> None:
    """List plugins. `appliance status` shows how they do."""
    found = installed(desk)
    rows = [
        (
            one.name,
            one.row()["version"],
            _state(one),
            "bundled" if one.bundled else one.folder or "",
            one.row()["summary"],
        )
        for one in found
    ]
    desk.show(
        {"plugins": [one.row() for one in found]},
        table(rows, ("plugin", "version", "state", "from", "summary"), desk.paint) if rows else "no plugins",
    )


@plugin.command("new", fields="name, folder")
@click.argument("name")
@click.option("--folder", metavar="DIR", default=".", help="where its folder is made")
@with_desk
def new(desk: Desk, name: str, folder: str) -> None:
    """Write a plugin that runs, with a test that passes."""
    made = scaffold(name, Path(folder))
    desk.show({"name": name, "folder": str(made)}, str(made))
    desk.note(f"next: appliance plugin check {made}")
    desk.note(f'      then add to the configuration: plugins_path = ["{Path(folder).absolute()}"] and [plugins.{name}]')


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
