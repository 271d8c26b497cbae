"""`plugin.toml`: who a plugin is, readable without running any of it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from appliance.api import API
from appliance.config.lines import key_lines
from appliance.config.strict import Source, decode
from appliance.errors import ConfigError

__all__ = ["FILE", "Manifest", "check_name", "parse", "read"]

FILE = "plugin.toml"
LONGEST_NAME = 40  # characters; the name is a table, a module and a label

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A plugin's own account of itself."""

    name: str  # its table is [plugins.NAME]
    version: str
    api: int  # of `appliance.api` it was written for
    module: str = "plugin"  # the file in its folder, without .py, that builds `plugin`
    summary: str = ""  # one line


def read(folder: Path) -> Manifest:
    """The checked manifest of a plugin folder.

    Raises:
        ConfigError: missing, unreadable, not TOML, an unknown or missing key, or made for another api.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            hint=f'a plugin folder holds a {FILE}; "appliance plugin new NAME" writes one',
            file=str(path),
        ) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Manifest:
    """The same of its text; `file` is for messages."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}", hint="texts stand in double quotes", file=file) from error
    lines = key_lines(text)
    source = Source(file, lambda keys: lines.get(keys, 1))
    manifest = decode(table, Manifest, source)
    try:
        check_name(manifest.name)
    except ValueError as error:
        raise source.wrong(str(error), ("name",)) from error
    if manifest.api != API:
        raise source.wrong(
            f"the plugin is written for api {manifest.api}, this appliance has api {API}",
            ("api",),
            hint="take the plugin's release for this appliance, or another appliance",
        )
    if not manifest.module.isidentifier():
        raise source.wrong(
            f'module "{manifest.module}" is no module name', ("module",), hint='"plugin" stands for plugin.py'
        )
    return manifest


def check_name(name: str) -> None:
    """Raises ValueError: `name` cannot be a table, a module and a label at once."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(f'"{name}" is no plugin name: up to {LONGEST_NAME} of a-z, 0-9 and _, beginning with a letter')
