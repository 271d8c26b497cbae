"""Strict decoding: what people write is taken whole or refused with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from appliance.config.strict import Source, closest, decode
from appliance.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    max_chars: int = 10
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    limits: Limits = field(default_factory=Limits)
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError("rate must be above 0")


SOURCE = Source("appliance.toml", {("limits",): 4, ("limits", "max_chars"): 5, ("rate",): 9}.get, "plugins.notes")


def test_table_becomes_the_dataclass_with_its_defaults():
    decoded = decode({"limits": {"words": ["a"]}, "rate": 2}, Config, SOURCE)

    assert decoded == Config(Limits(10, ("a",)), 2.0)


@pytest.mark.parametrize(
    ("table", "message", "hint", "key", "line"),
    [
        (
            {"limits": {"max_char": 1}},
            'unknown key "max_char" in appliance.toml',
            'did you mean "max_chars"?',
            "plugins.notes.limits.max_char",
            None,
        ),
        ({"zzz": 1}, 'unknown key "zzz" in appliance.toml', "known here: limits, rate", "plugins.notes.zzz", None),
        (
            {"limits": {"max_chars": "1"}},
            "plugins.notes.limits.max_chars: expected int, got str in appliance.toml, line 5",
            "",
            "plugins.notes.limits.max_chars",
            5,
        ),
        (
            {"limits": 3},
            "plugins.notes.limits: expected object, got int in appliance.toml, line 4",
            "",
            "plugins.notes.limits",
            4,
        ),
        ({"rate": -1}, "plugins.notes: rate must be above 0 in appliance.toml", "", "plugins.notes", None),
    ],
)
def test_mistake_is_told_with_file_line_key_and_hint(table, message, hint, key, line):
    with pytest.raises(ConfigError) as wrong:
        decode(table, Config, SOURCE)

    assert (wrong.value.message, wrong.value.hint) == (message, hint)
    assert wrong.value.facts == {"file": "appliance.toml", "line": line, "key": key}


def test_source_without_a_file_says_nothing_about_places():
    with pytest.raises(ConfigError) as wrong:
        decode({"x": 1}, Limits, Source())

    assert wrong.value.message == 'unknown key "x"'


def test_hint_for_a_place_where_nothing_is_known():
    assert closest("x", []) == "nothing can be set here"
