"""What the configuration is and why: each value with its origin, meaning, and what a reload would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec

from appliance.config.load import Loaded
from appliance.config.schema import ANY, Key, Keys, Settings, Unit, all_keys
from appliance.config.strict import closest
from appliance.config.values import shown
from appliance.errors import NotFound

__all__ = ["Difference", "Explained", "default_file", "difference", "explain", "reference_rows"]


class Explained(msgspec.Struct, frozen=True):
    """One key as `config explain --json` shows it."""

    key: str
    value: str  # as it would be written in the file; a secret is never shown
    origin: str  # "appliance.toml, line 14", "environment variable …", "--data", "default"
    default: str
    meaning: str
    reloadable: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new configuration changes."""

    live: tuple[Keys, ...]  # can be applied while running
    restart: tuple[Keys, ...]  # wait for the next start


def explain(loaded: Loaded, wanted: str = "") -> list[Explained]:
    """Every key, or those of one table, or one key.

    Raises:
        NotFound: there is no key or table `wanted`.
    """
    rows = list(_rows(loaded))
    chosen = [row for row in rows if not wanted or row.key == wanted or row.key.startswith(f"{wanted}.")]
    if not chosen:
        raise NotFound(f'there is no key "{wanted}"', hint=closest(wanted, [row.key for row in rows]))
    return chosen


def difference(old: Loaded, new: Loaded) -> Difference:
    """The keys whose values differ, each in the half where it belongs."""
    changed = sorted(path for path in old.values.keys() | new.values.keys() if _held(old, path) != _held(new, path))
    live = {path for path in changed if (key := _schema_key(path)) is not None and key.doc.live}
    return Difference(
        tuple(path for path in changed if path in live), tuple(path for path in changed if path not in live)
    )


def default_file() -> str:
    """A file with every key, its meaning and its default; everything that has a default is commented out."""
    lines = ["# Every key with its default. Remove the # of a line to change it.", ""]
    above: Keys = ()
    texts = _section_texts()
    for key in all_keys().values():
        if key.doc.start:
            continue
        if key.path[:-1] != above:
            above = key.path[:-1]
            about = texts.get(above)
            head = f"{'#' if ANY in above else ''}[{'.'.join(_named(above))}]"
            lines += ["", *([f"# {about}"] if about else []), head]
        lines += [f"# {key.doc.meaning}{_notes(key)}", f"#{key.path[-1]} = {_example(key)}"]
    lines += [
        "",
        "# A table for each plugin; its other keys are the plugin's own.",
        "#[plugins.NAME]",
        "#enabled = true",
    ]
    return "\n".join(lines) + "\n"


def reference_rows() -> list[tuple[str, str, str, str]]:
    """(key, default, meaning, "live" or "restart" or "flag") of every key, for the reference page."""
    return [
        (
            ".".join(_named(key.path)),
            shown(key, key.default),
            key.doc.meaning,
            "flag" if key.doc.start else "live" if key.doc.live else "restart",
        )
        for key in all_keys().values()
    ]


def _rows(loaded: Loaded) -> Iterator[Explained]:
    for path, key in all_keys().items():
        if ANY not in path:
            yield _row(loaded, path, key)
    for path in loaded.values:
        if path in all_keys():
            continue
        known = _schema_key(path)
        if known is not None:
            yield _row(loaded, path, known)
        elif len(path) > 2:
            yield _plugin_row(loaded, path)


def _row(loaded: Loaded, path: Keys, key: Key) -> Explained:
    return Explained(
        key=".".join(path),
        value=shown(key, loaded.values.get(path, key.default)),
        origin=str(loaded.origin(path)),
        default=shown(key, key.default),
        meaning=key.doc.meaning,
        reloadable=key.doc.live,
    )


def _plugin_row(loaded: Loaded, path: Keys) -> Explained:
    value = "(secret)" if path in loaded.secrets else msgspec.json.encode(loaded.values[path], enc_hook=str).decode()
    return Explained(".".join(path), value, str(loaded.origin(path)), "", f"plugin {path[1]} knows", False)


def _held(loaded: Loaded, path: Keys) -> Any:
    key = _schema_key(path)
    return loaded.values.get(path, None if key is None else key.default)


def _schema_key(path: Keys) -> Key | None:
    return all_keys().get(path) or all_keys().get((*path[:2], ANY, *path[3:]))


def _section_texts() -> dict[Keys, str]:
    """What each table is about, in a line."""
    hints = get_type_hints(Settings).items()
    return {
        (name,): (hint.__doc__ or "").splitlines()[0] for name, hint in hints if isinstance(hint, type) and hint.__doc__
    }


def _named(path: Keys) -> Keys:
    return tuple("NAME" if name == ANY else name for name in path)


def _notes(key: Key) -> str:
    choices = f" ({', '.join(key.choices)})" if key.choices else ""
    return f"{choices}{' [reload applies it]' if key.doc.live else ''}"


def _example(key: Key) -> str:
    if key.optional and key.doc.unit is Unit.PATH:
        return f'"{key.path[-1]}.pem"'
    return '{ env = "NAME" }' if key.doc.unit is Unit.SECRET else shown(key, key.default)
