"""Which plugins there are, and which of them run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.api import Misdeclared
from appliance.config.strict import Source
from appliance.errors import ConfigError
from appliance.plugins.registry import Found, bundled, decode_config, discover


@dataclass(frozen=True)
class Config:
    max_chars: int = 10
    words: list[str] = field(default_factory=list)


def test_bundled_plugins_of_a_source_tree_lie_beside_the_package():
    assert [one.name for one in discover({})] == sorted(folder.name for folder in bundled().iterdir())
    assert "host" in [one.name for one in discover({})]


def test_bundled_plugins_of_an_installed_package_lie_inside_it(monkeypatch, tmp_path):
    (tmp_path / "appliance" / "_plugins").mkdir(parents=True)
    monkeypatch.setattr("appliance.plugins.registry._package", str(tmp_path / "appliance" / "__init__.py"))

    assert bundled() == tmp_path / "appliance" / "_plugins"


def test_bundled_plugin_runs_unless_it_is_switched_off_and_others_only_with_a_table(shelf, write, tmp_path):
    write("ours", "")
    write("quiet", "")
    own = tmp_path / "own"
    shelf.rename(own)
    shelf.mkdir()
    write("asked", "")
    write("lying", "")
    (shelf / "notes.txt").write_text("no folder")

    found = discover(
        {"asked": {"greeting": "hi"}, "quiet": {"enabled": False}}, own=own, paths=[shelf, tmp_path / "no"]
    )

    assert {one.name: (one.bundled, one.enabled) for one in found} == {
        "asked": (False, True),
        "lying": (False, False),
        "ours": (True, True),
        "quiet": (True, False),
    }
    assert found[0].table == {"greeting": "hi"}
    assert not any(one.problem for one in found)


def test_plugin_found_twice_is_a_problem_and_not_a_lottery(shelf, write, tmp_path):
    write("notes", "")
    first = tmp_path / "first"
    shelf.rename(first)
    shelf.mkdir()
    write("notes", "")

    (notes,) = discover({"notes": {}}, own=first, paths=[shelf])

    assert notes.problem is not None
    assert f"{first / 'notes'} and {shelf / 'notes'}" in notes.problem.message


def test_table_without_a_plugin_is_a_problem_with_its_place_and_the_likely_name(shelf, write):
    write("notes", "")

    def source(name: str) -> Source:
        return Source("appliance.toml", lambda _: 7, f"plugins.{name}")

    notse = discover({"notse": {}}, own=shelf, source=source)[1]

    assert notse.problem is not None
    assert notse.problem.message == 'there is no plugin "notse" in appliance.toml, line 7'
    assert notse.problem.hint == 'did you mean "notes"?'


def test_row_says_what_is_installed_without_importing_it(shelf, write):
    write("notes", "1 / 0", manifest='name = "notes"\nversion = "1.2"\napi = 1\nsummary = "Short texts."\n')
    write("odd", "", manifest="name = 3")

    notes, odd = (one.row() for one in discover({}, own=shelf))

    assert notes == {
        "name": "notes",
        "version": "1.2",
        "summary": "Short texts.",
        "bundled": True,
        "enabled": True,
        "folder": str(shelf / "notes"),
        "problem": "",
    }
    assert "expected str" in str(odd["problem"])


def test_folder_without_a_readable_manifest_is_a_problem(shelf, write):
    (write("odd", "") / "plugin.toml").write_bytes(b"\xff")

    (odd,) = discover({}, own=shelf)

    assert odd.problem is not None
    assert "cannot be read" in odd.problem.message


def found(**table: object) -> Found:
    return Found("notes", Path(), None, table=table, source=Source("appliance.toml", lambda _: 3, "plugins.notes"))


def test_config_is_decoded_from_the_table():
    assert decode_config(found(max_chars=3, words=["a"]), Config) == Config(3, ["a"])


def test_mistake_of_the_operator_is_a_config_error_with_its_line():
    with pytest.raises(ConfigError, match=r"max_chars: expected int, got str in appliance.toml, line 3"):
        decode_config(found(max_chars="3"), Config)


def test_mistakes_of_the_author_are_misdeclared():
    @dataclass
    class NoDefault:
        max_chars: int

    @dataclass
    class Enabled:
        enabled: bool = True

    @dataclass
    class Odd:
        path: complex = 1j

    for config, says in {
        int: "is no dataclass",
        NoDefault: "missing required field max_chars",
        Enabled: 'field "enabled"',
        Odd: "cannot be written in a file",
    }.items():
        with pytest.raises(Misdeclared, match=says):
            decode_config(found(), config)
