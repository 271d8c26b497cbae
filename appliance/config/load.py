"""Brings the layers together: defaults < file < APPLIANCE_* < EVENTODB_* < flags. Strict, and with places.

Every layer becomes one flat table of key -> (raw value, where it was written), later layers replace
entries of earlier ones, and only then is anything read. So an error always knows its file and line, and
so does `config explain`.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from appliance.config.lines import key_lines
from appliance.config.schema import ANY, Key, Keys, Settings, all_keys
from appliance.config.strict import Source, closest
from appliance.config.values import Surroundings, read, reference, secret
from appliance.errors import ConfigError

__all__ = ["BORROWED", "EVENTODB", "FILE", "Layer", "Loaded", "Origin", "load", "the_file"]

FILE = "appliance.toml"  # taken from the working directory when none is named

# The message store's names, docs/protocol: they override APPLIANCE_*, and flags override them.
EVENTODB: Mapping[str, Keys] = {
    "EVENTODB_PORT": ("port",),
    "EVENTODB_DB_URL": ("db_url",),
    "EVENTODB_DATA_DIR": ("data",),
    "EVENTODB_TOKEN": ("token",),
    "EVENTODB_TEST_MODE": ("test_mode",),
    "EVENTODB_LOG_LEVEL": ("telemetry", "level"),
    "EVENTODB_LOG_FORMAT": ("telemetry", "log"),
}
# Names that operators know from other systems of the kind: the lowest of the environment.
BORROWED: Mapping[str, tuple[Keys, str]] = {  # with what a bare number is followed by
    "MATRIC_WEBHOOK_TIMEOUT_SECS": (("webhooks", "timeout"), "s"),
    "WEBHOOK_ALLOW_HOSTS": (("webhooks", "allow"), ""),
    "WS_MAX_CONNECTIONS": (("clients", "limit"), ""),
    "WS_PING_SECS": (("clients", "heartbeat"), "s"),
    "WS_DEAD_SECS": (("clients", "dead_after"), "s"),
    "ALLOWED_ORIGINS": (("clients", "origins"), ""),
    "SSE_COALESCE_WINDOW_MS": (("events", "coalesce"), "ms"),
    "QUEUE_STATUS_SECS": (("events", "queue_status"), "s"),
    "JOB_MAX_CONCURRENT": (("jobs", "concurrency"), ""),
    "JOB_STALE_REAP_INTERVAL_SECS": (("jobs", "sweep"), "s"),
}
NOT_KEYS = frozenset({"APPLIANCE_CONFIG", "APPLIANCE_URL"})  # they speak to the command line
FLAGS: Mapping[Keys, str] = {("telemetry", "level"): "--log-level", ("telemetry", "log"): "--log-format"}

# A table that may be written as one text means this key of it.
SHORT: Mapping[Keys, Keys] = {("tls",): ("tls", "mode")}

# Their tables have the user's own names.
NAMED: frozenset[Keys] = frozenset({("log", "categories"), ("auth", "keys"), ("broadcast", "rules")})


class Layer(IntEnum):
    """Who wins: the higher one."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    EVENTODB = 3
    FLAG = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from."""

    layer: Layer = Layer.DEFAULT
    name: str = ""  # file, variable or flag
    line: int | None = None

    def __str__(self) -> str:
        match self.layer:
            case Layer.DEFAULT:
                return "default"
            case Layer.FILE:
                return f"{self.name}, line {self.line}" if self.line else self.name
            case Layer.FLAG:
                return self.name
            case _:
                return f"environment variable {self.name}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration, where each value comes from, and how to read it all again."""

    settings: Settings
    origins: Mapping[Keys, Origin]  # of every key that is not at its default; plugins' keys too
    values: Mapping[Keys, Any]  # held, of the same keys
    secrets: frozenset[Keys]  # plugins' keys that were references to secrets
    lines: Mapping[Keys, int]  # of everything in the file
    file: Path | None
    environ: Mapping[str, str] = field(repr=False)
    flags: Mapping[str, object] = field(repr=False)

    def origin(self, path: Keys) -> Origin:
        return self.origins.get(path, Origin())

    def given(self, path: Keys) -> bool:
        """Whether anybody said so, rather than the default."""
        return path in self.origins

    @property
    def throwaway(self) -> bool:
        """Test mode without a place of its own: private data that goes with the process, and relaxed tokens."""
        return self.settings.test_mode and not (self.given(("data",)) or self.given(("db_url",)))

    def plugin_source(self, name: str) -> Source:
        """Where `[plugins.NAME]` was written, for messages about its keys."""
        prefix = ("plugins", name)
        file = "" if self.file is None else str(self.file)
        return Source(file, lambda keys: self._nearest_line((*prefix, *keys)), f"plugins.{name}")

    def again(self) -> Loaded:
        """The same sources as they are now.

        Raises:
            ConfigError: what they say now is wrong.
        """
        return load(self.file, environ=self.environ, flags=self.flags)

    def with_values_of(self, new: Loaded, keys: Iterable[Keys]) -> Loaded:
        """This configuration with some keys as they are in `new`, as after a reload."""
        taken = set(keys)
        values = {path: value for path, value in self.values.items() if path not in taken}
        values |= {path: value for path, value in new.values.items() if path in taken}
        origins = {path: (new if path in taken else self).origin(path) for path in values}
        return dataclasses.replace(self, settings=_settings(values), values=values, origins=origins)

    def _nearest_line(self, path: Keys) -> int | None:
        """Of the key, or of the innermost table around it that has one."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)


@dataclass(frozen=True, slots=True)
class _Entry:
    raw: object
    origin: Origin


def the_file(named: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file to use: the one named, the one in APPLIANCE_CONFIG, or `appliance.toml` here if there is one."""
    if named or environ.get("APPLIANCE_CONFIG"):
        return Path(named or environ["APPLIANCE_CONFIG"])
    return Path(FILE) if Path(FILE).is_file() else None


def load(file: Path | None, *, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """The configuration of all layers.

    Args:
        file: None: there is none.
        flags: dotted key -> value as given; None: not given.

    Raises:
        ConfigError: with the place, the key and what would fit.
    """
    entries: dict[Keys, _Entry] = {}
    table, lines = _parsed(file)
    for layer in (
        _from_file(table, file, lines),
        _borrowed(environ),
        _from_environment(environ),
        _from_eventodb(environ),
        _from_flags(flags),
    ):
        entries.update(layer)
    here = Path.cwd()
    values: dict[Keys, Any] = {}
    for path, entry in entries.items():
        folder = file.absolute().parent if file and entry.origin.layer is Layer.FILE else here
        where = Surroundings(folder, environ, entry.origin.layer not in (Layer.DEFAULT, Layer.FILE))
        values[path] = _value(path, entry, where)
    origins = {path: entry.origin for path, entry in entries.items()}
    _join(values, origins)
    secrets = frozenset(path for path, entry in entries.items() if path[0] == "plugins" and reference(entry.raw))
    return Loaded(_settings(values), origins, values, secrets, lines, file, environ, flags)


# Layers


def _parsed(file: Path | None) -> tuple[dict[str, Any], dict[Keys, int]]:
    if file is None:
        return {}, {}
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text), key_lines(text)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="check --config", file=str(file)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8", hint="save it as UTF-8", file=str(file)) from error
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(file, text, error) from error


def _from_file(
    table: Mapping[str, object], file: Path | None, lines: Mapping[Keys, int], above: Keys = ()
) -> Iterator[tuple[Keys, _Entry]]:
    """Every key of the file, refusing what the schema does not know."""
    for name, raw in table.items():
        path = (*above, name)
        origin = Origin(Layer.FILE, str(file), lines.get(path))
        known = _key(path)
        if known is not None and known.doc.start:
            raise _wrong(f'"{name}" is said when starting, not', origin, path, f"give it as {_flag(path)}")
        if path in SHORT and not isinstance(raw, dict):
            yield SHORT[path], _Entry(raw, origin)
        elif known is not None or (len(path) == 3 and above[0] == "plugins"):
            yield path, _Entry(raw, origin)
        elif not _inside(path):
            raise _unknown(path, origin)
        elif not isinstance(raw, dict):
            raise _wrong(f'"{".".join(path)}" is a table and not a value', origin, path, f"write [{'.'.join(path)}]")
        else:
            if above == ("plugins",):
                yield path, _Entry({}, origin)  # an empty table counts: it turns a plugin on
            yield from _from_file(raw, file, lines, path)


def _borrowed(environ: Mapping[str, str]) -> Iterator[tuple[Keys, _Entry]]:
    for name, (path, unit) in BORROWED.items():
        if text := environ.get(name):
            yield path, _Entry(text + unit if text.isdigit() else text, Origin(Layer.ENVIRONMENT, name))


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[Keys, _Entry]]:
    for name in sorted(environ):
        if not name.startswith("APPLIANCE_") or name in NOT_KEYS:
            continue
        origin = Origin(Layer.ENVIRONMENT, name)
        path = tuple(name.removeprefix("APPLIANCE_").lower().split("__"))
        path = SHORT.get(path, path)
        if len(path) == 3 and path[0] == "plugins":
            yield path[:2], _Entry({}, origin)
            yield path, _Entry(_toml_or_text(environ[name]), origin)
        elif _key(path) is not None:
            yield path, _Entry(environ[name], origin)
        else:
            raise _unknown(path, origin)


def _from_eventodb(environ: Mapping[str, str]) -> Iterator[tuple[Keys, _Entry]]:
    for name, path in EVENTODB.items():
        if environ.get(name):
            yield path, _Entry(environ[name], Origin(Layer.EVENTODB, name))


def _from_flags(flags: Mapping[str, object]) -> Iterator[tuple[Keys, _Entry]]:
    for dotted, raw in flags.items():
        path = tuple(dotted.split("."))
        path = SHORT.get(path, path)
        if raw is not None:
            yield path, _Entry(raw, Origin(Layer.FLAG, _flag(path)))


# Values


def _value(path: Keys, entry: _Entry, where: Surroundings) -> object:
    key = _key(path)
    try:
        if key is None:
            return _revealed(entry.raw, where) if reference(entry.raw) else entry.raw  # a plugin's own
        return read(key, entry.raw, where)
    except ValueError as error:
        raise _wrong(f"{'.'.join(path)}: {error},", entry.origin, path, key.doc.meaning if key else "") from error


def _revealed(raw: object, where: Surroundings) -> str:
    return secret(raw, where).reveal()


def _join(values: dict[Keys, Any], origins: dict[Keys, Origin]) -> None:
    """What holds between keys."""
    url = values.get(("db_url",), "")
    if url and not re.fullmatch(r"sqlite://[\w-][\w.-]*", url):
        hint = "write sqlite://NAME.db; the folder itself is --data"
        raise _wrong(f'db_url "{url}" names no file in the data folder,', origins[("db_url",)], ("db_url",), hint)
    tls = {name: values.get(("tls", name)) for name in ("mode", "cert", "key")}
    if (tls["cert"] is None) != (tls["key"] is None):
        given, missing = ("cert", "key") if tls["cert"] else ("key", "cert")
        raise _wrong(f"tls.{given} needs tls.{missing} beside it,", origins[("tls", given)], ("tls", given), "")
    if tls["cert"] and tls["mode"] is None:
        values[("tls", "mode")], origins[("tls", "mode")] = "files", origins[("tls", "cert")]
    if values.get(("tls", "mode")) == "files" and not tls["cert"]:
        raise _wrong('tls "files" needs tls.cert and tls.key,', origins[("tls", "mode")], ("tls", "mode"), "")
    port, listen = origins.get(("port",)), origins.get(("listen",))
    if port and listen and listen.layer > port.layer:  # said later, with a port of its own
        del values[("port",)], origins[("port",)]


def _settings(values: Mapping[Keys, Any]) -> Settings:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        inner = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        if path[-1] not in inner:
            inner[path[-1]] = value.copy() if isinstance(value, dict) else value
    return msgspec.convert(tree, Settings)


# Names and complaints


def _key(path: Keys) -> Key | None:
    """The key at `path`, where the user's own names stand for ANY."""
    keys = all_keys()
    if path in keys:
        return keys[path]
    if path[:2] in NAMED and len(path) == 4:
        return keys.get((*path[:2], ANY, path[3]))
    return None


def _inside(path: Keys) -> bool:
    """Whether `path` is a table of the schema."""
    if path[:2] in NAMED:
        return len(path) <= 3
    return any(known[: len(path)] == path for known in all_keys()) or (path[0] == "plugins" and len(path) <= 2)


def _siblings(path: Keys) -> set[str]:
    """What would have been known in this place."""
    above = path[:-1]
    if above[:2] in NAMED:
        above = (*above[:2], ANY)
    known = {key[len(above)] for key in all_keys() if key[: len(above)] == above and len(key) > len(above)}
    return known | ({"plugins"} if not above else set())


def _unknown(path: Keys, origin: Origin) -> ConfigError:
    if _inside(path):
        return _wrong(f'"{".".join(path)}" is a table and not a value', origin, path, "name one of its keys")
    at = next(n for n in range(1, len(path) + 1) if not _inside(path[:n]))
    return _wrong(f'unknown key "{path[at - 1]}"', origin, path[:at], closest(path[at - 1], _siblings(path[:at])))


def _wrong(message: str, origin: Origin, path: Keys, hint: str) -> ConfigError:
    file = origin.name if origin.layer is Layer.FILE else None
    return ConfigError(f"{message} in {origin}", hint=hint, file=file, line=origin.line, key=".".join(path))


def _not_toml(file: Path, text: str, error: tomllib.TOMLDecodeError) -> ConfigError:
    what, _, place = str(error).rpartition(" (at ")
    found = re.match(r"line (\d+)", place)
    line = int(found[1]) if found else text.rstrip().count("\n") + 1  # "(at end of document)"
    return ConfigError(
        f"{what} in {Origin(Layer.FILE, str(file), line)}",
        hint="the file is TOML: texts stand in double quotes, tables in [brackets]",
        file=str(file),
        line=line,
    )


def _flag(path: Keys) -> str:
    return FLAGS.get(path, "--" + "-".join(path).replace("_", "-"))


def _toml_or_text(text: str) -> object:
    """A plugin's value from the environment: `20000` and `true` are what they look like, the rest is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
