"""Turns what a person wrote for one key into the value the program holds, and back. Pure but for secret files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from appliance.config.addresses import address
from appliance.config.schema import Key, Secret, Unit
from appliance.config.units import duration, duration_text, size, size_text

__all__ = ["Surroundings", "read", "reference", "secret", "shown"]

YES, NO = frozenset({"1", "t", "true", "yes", "on"}), frozenset({"0", "f", "false", "no", "off"})
OFF = "off"  # how a file says that something optional is not wanted

# What the message-store's flags call two of our words.
ALSO = {"console": "text", "warn": "warning"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a value was written."""

    folder: Path  # relative paths start here
    environ: Mapping[str, str]
    is_text: bool  # from the environment or the command line: numbers and yes or no are words there


def read(key: Key, raw: object, where: Surroundings) -> Any:
    """The held value of `key`.

    Raises:
        ValueError: `raw` does not fit; says what would.
    """
    if key.optional and key.doc.unit is Unit.DURATION and raw == OFF:
        return None
    if key.many:
        values = [part.strip() for part in raw.split(",")] if isinstance(raw, str) else raw
        if not isinstance(values, list | tuple) or (key.doc.least and len(values) < key.doc.least):
            raise ValueError(f"a text or a list of texts is needed, not {_written(raw)}")
        return tuple(_one(key, value, where) for value in values)
    value = _one(key, raw, where)
    least, most = key.doc.least, key.doc.most
    if least is not None and value < least:
        raise ValueError(f"{shown(key, value)} is too little; at least {shown(key, type(value)(least))}")
    if most is not None and value > most:
        raise ValueError(f"{shown(key, value)} is too much; at most {shown(key, type(value)(most))}")
    return value


def shown(key: Key, value: Any) -> str:
    """`value` as it would be written in the file."""
    if value is None:
        return f'"{OFF}"' if key.doc.unit is Unit.DURATION else "(none)"
    if isinstance(value, tuple):
        return f"[{', '.join(shown(key, one) for one in value)}]"
    if isinstance(value, Secret):
        return "(secret)"
    match key.doc.unit:
        case Unit.DURATION:
            return _written(duration_text(value))
        case Unit.SIZE:
            return _written(size_text(value))
        case _:
            return _written(str(value) if isinstance(value, Path) else value)


def reference(raw: object) -> bool:
    """Whether `raw` says where a secret is: `{ env = "NAME" }` or `{ file = "name" }`."""
    return (
        isinstance(raw, dict)
        and len(raw) == 1
        and all(k in ("env", "file") and isinstance(v, str) for k, v in raw.items())
    )


def _one(key: Key, raw: object, where: Surroundings) -> Any:
    if key.doc.unit is Unit.PLAIN:
        return _plain(key, raw, where)
    if key.doc.unit is Unit.SECRET:
        return secret(raw, where)
    if not isinstance(raw, str):
        example = {Unit.DURATION: ', like "30s"', Unit.SIZE: ', like "16MiB"'}.get(key.doc.unit, "")
        raise ValueError(f"a text is needed{example}, not {_written(raw)}")
    readers: dict[Unit, Callable[[str], Any]] = {
        Unit.DURATION: duration,
        Unit.SIZE: size,
        Unit.PATH: lambda text: where.folder / Path(text).expanduser(),
        Unit.LISTEN: _listen,
    }
    return readers[key.doc.unit](raw)


def _listen(text: str) -> str:
    address(text)  # raises; the text is kept, because it says more ("lan")
    return text


def _plain(key: Key, raw: object, where: Surroundings) -> Any:
    if key.choices:
        word = ALSO.get(raw, raw) if where.is_text and isinstance(raw, str) else raw
        if word not in key.choices:
            raise ValueError(f"{_written(raw)} is none of {', '.join(_written(choice) for choice in key.choices)}")
        return word
    kind = next((part for part in get_args(key.type) if part is not type(None)), key.type)
    if where.is_text and isinstance(raw, str):
        raw = _from_text(raw, kind)
    if kind is float and type(raw) is int:
        return float(raw)
    if type(raw) is not kind:
        raise ValueError(f"{_WORDS[kind]} is needed, not {_written(raw)}")
    return raw


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _from_text(text: str, kind: type) -> object:
    if kind is bool and text.lower() in YES | NO:
        return text.lower() in YES
    if kind in (int, float) and text.isascii() and text.isdigit():
        return int(text)
    return text


def secret(raw: object, where: Surroundings) -> Secret:
    """What a reference points at; a plain text only from the environment or the command line.

    `{ file = "name" }` is looked for among the service manager's credentials first.
    """
    if where.is_text and isinstance(raw, str):
        return Secret(raw)
    if not isinstance(raw, dict) or not reference(raw):
        raise ValueError('a secret is needed: { env = "NAME" } or { file = "name" }')
    if "env" in raw:
        if raw["env"] not in where.environ:
            raise ValueError(f"environment variable {raw['env']} is not set")
        return Secret(where.environ[raw["env"]])
    handed_over = Path(where.environ.get("CREDENTIALS_DIRECTORY", "")) / raw["file"]
    path = handed_over if handed_over.is_absolute() and handed_over.is_file() else where.folder / raw["file"]
    try:
        return Secret(path.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error


def _written(value: object) -> str:
    """A TOML-like spelling for messages."""
    if isinstance(value, dict):
        return "a table"
    return msgspec.json.encode(value, enc_hook=str).decode()
