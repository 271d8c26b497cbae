"""Which plugins there are: the bundled ones, and the folders the operator added.

A bundled plugin runs unless its table says `enabled = false`. A folder of the operator's runs when the
configuration has a table for it, so that a file left in a folder is never started by accident. What
cannot run is still found: it is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance import __file__ as _package
from appliance.api import Misdeclared
from appliance.config.strict import Source, closest, decode
from appliance.errors import ConfigError
from appliance.plugins import manifest
from appliance.plugins.manifest import Manifest

__all__ = ["Found", "bundled", "decode_config", "discover"]

ENABLED = "enabled"  # the one key of a plugin's table that is the host's


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that is installed, or that somebody believes to be."""

    name: str
    folder: Path | None
    manifest: Manifest | None
    bundled: bool = False
    enabled: bool = True
    table: Mapping[str, Any] = field(default_factory=dict)  # [plugins.NAME] without `enabled`
    source: Source = field(default_factory=Source)
    problem: ConfigError | None = None  # why it cannot run

    def row(self) -> dict[str, object]:
        """What `plugin list` shows without a server."""
        return {
            "name": self.name,
            "version": self.manifest.version if self.manifest else "",
            "summary": self.manifest.summary if self.manifest else "",
            "bundled": self.bundled,
            "enabled": self.enabled,
            "folder": str(self.folder or ""),
            "problem": self.problem.message if self.problem else "",
        }


def bundled() -> Path:
    """Where the plugins that come with the appliance are.

    In an installed package, and so in the zipapp, they lie inside it; in a source tree beside it.
    """
    package = Path(_package).parent
    inside = package / "_plugins"
    return inside if inside.is_dir() else package.parent / "plugins"


def discover(
    tables: Mapping[str, Mapping[str, Any]],
    *,
    paths: Sequence[Path] = (),
    own: Path | None = None,
    source: Callable[[str], Source] = lambda name: Source(prefix=f"plugins.{name}"),
) -> list[Found]:
    """Every plugin, by name.

    Args:
        tables: `[plugins.NAME]` of the configuration, raw.
        paths: folders that hold plugin folders (`plugins_path`).
        own: the folder of the bundled plugins; `bundled()` unless given.
        source: where the table of a plugin was written.
    """
    found: dict[str, Found] = {}
    for folder, ours in [(folder, True) for folder in _folders([own or bundled()])] + [
        (folder, False) for folder in _folders(paths)
    ]:
        one = _inspect(folder, ours, tables, source)
        if one.name in found:
            one = _twice(one, found[one.name])
        found[one.name] = one
    for name in tables.keys() - found.keys():
        place = source(name)
        problem = place.wrong(f'there is no plugin "{name}"', (), hint=closest(name, found))
        found[name] = Found(name, None, None, source=place, problem=problem)
    return [found[name] for name in sorted(found)]


def decode_config(found: Found, into: type) -> Any:
    """The plugin's config from its table.

    Raises:
        ConfigError: the operator's mistake, with file and line.
        Misdeclared: the author's: no dataclass, a field without default, or of a type no file can hold.
    """
    if not is_dataclass(into):
        raise Misdeclared(
            f"the config of plugin {found.name} is no dataclass", hint="put @dataclass(frozen=True) above"
        )
    if any(known.name == ENABLED for known in fields(into)):
        raise Misdeclared(f'the config of plugin {found.name} has a field "{ENABLED}", which is the host\'s')
    try:
        msgspec.json.schema(into)  # raises for types that only code can make
        decode({}, into, Source())
    except ConfigError as missing:
        raise Misdeclared(
            f"the config of plugin {found.name} does not work without a table: {missing.message}",
            hint="give every field a default",
        ) from missing
    except (TypeError, NameError) as error:
        reason = str(error).splitlines()[-1]  # msgspec gives its advice first
        raise Misdeclared(f"the config of plugin {found.name} cannot be written in a file: {reason}") from error
    return decode(found.table, into, found.source)


def _folders(paths: Iterable[Path]) -> list[Path]:
    """Folders with a manifest below the given ones, by name."""
    return [
        folder
        for path in paths
        if path.is_dir()
        for folder in sorted(path.iterdir())
        if (folder / manifest.FILE).is_file()
    ]


def _inspect(
    folder: Path, ours: bool, tables: Mapping[str, Mapping[str, Any]], source: Callable[[str], Source]
) -> Found:
    try:
        said = manifest.read(folder)
    except ConfigError as problem:
        return Found(folder.name, folder, None, bundled=ours, enabled=ours or folder.name in tables, problem=problem)
    table = dict(tables.get(said.name, {}))
    place = source(said.name)
    enabled = table.pop(ENABLED, ours or said.name in tables)
    wrong = None
    if not isinstance(enabled, bool):
        wrong = place.wrong(f'"{ENABLED}" is true or false, not {enabled!r}', (ENABLED,))
    return Found(said.name, folder, said, ours, enabled is not False, table, place, wrong)


def _twice(one: Found, first: Found) -> Found:
    problem = ConfigError(
        f'plugin "{one.name}" is in two folders: {first.folder} and {one.folder}', hint="remove or rename one"
    )
    return Found(one.name, first.folder, first.manifest, first.bundled, first.enabled, problem=problem)
