"""A plugin is a module of its own, and what it vendors is its own too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from appliance.api import Misdeclared, Plugin
from appliance.plugins import loader, manifest

LATER = """
def later():
    import thing.late
    return thing.late.VERSION
"""


def load(folder: Path) -> Plugin:
    return loader.load(folder, manifest.read(folder))


def vendor(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / "vendor" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "vendor" / path).write_text(text)


def test_two_plugins_vendor_two_versions_of_one_library(write):
    library = {
        "thing/__init__.py": "from . import parts\nVERSION = parts.VERSION",
        "thing/parts.py": "import thing.base\nfrom thing.base import VERSION",
        "single.py": "import thing; NUMBER = thing.VERSION + 1",
        "thing-1.dist-info/METADATA": "",
    }
    body = "import thing, single, thing.base as base\nfrom thing import parts\nfrom thing.parts import VERSION\n"
    folders = {name: write(name, body + LATER) for name in ("one", "two")}
    for name, version in {"one": 1, "two": 2}.items():
        vendor(folders[name], library | {f"thing/{module}.py": f"VERSION = {version}" for module in ("base", "late")})

    one, two = (load(folder) for folder in folders.values())

    assert (one.name, two.name) == ("one", "two")
    for name, version in {"one": 1, "two": 2}.items():
        module = sys.modules[f"appliance_plugins.{name}"]
        assert {module.VERSION, module.base.VERSION, module.parts.VERSION, module.later()} == {version}
        assert version + 1 == module.single.NUMBER
        assert module.thing.__name__ == f"appliance_plugins.{name}.vendor.thing"
    assert "thing" not in sys.modules
    assert not any("vendor" in path for path in sys.path)


def test_modules_beside_the_plugin_are_imported_relatively(write):
    folder = write("split", "from .words import HELLO\nfrom . import words")
    (folder / "words.py").write_text("HELLO = 'hello'")

    load(folder)

    assert sys.modules["appliance_plugins.split.words"].HELLO == "hello"


@pytest.mark.parametrize(
    "line", ["import appliance.log", "from appliance.errors import Broken", "from appliance import world, api"]
)
def test_plugin_that_uses_what_is_not_promised_is_told_so(line, write):
    with pytest.raises(Misdeclared, match=r"may import appliance\.api only"):
        load(write("curious", line))


def test_promised_module_may_be_imported_in_every_way(write):
    load(write("polite", "import appliance.api\nfrom appliance import api\nfrom appliance.api import Plugin as P"))

    module = sys.modules["appliance_plugins.polite"]
    assert module.P is module.api.Plugin is module.appliance.api.Plugin


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("x = 1", "builds no plugin"),
        ("plugin = 'notes'", "builds no plugin"),
        ("from appliance.api import Plugin\nplugin = Plugin('other')", 'calls the plugin "other"'),
    ],
)
def test_module_has_to_build_the_plugin_of_its_manifest(body, says, write):
    with pytest.raises(Misdeclared, match=says):
        load(write("notes", body, bare=True))


def test_missing_module_is_told_with_its_path(write):
    folder = write("gone", "")
    (folder / "plugin.py").unlink()

    with pytest.raises(Misdeclared, match=r"gone/plugin\.py does not exist"):
        load(folder)


def test_load_reads_the_files_again_and_a_failed_one_leaves_nothing(write):
    folder = write("fresh", "VALUE = 1")
    load(folder)
    write("fresh", "VALUE = 22")
    load(folder)
    again = sys.modules["appliance_plugins.fresh"].VALUE
    write("fresh", "VALUE = 333; raise OSError('torn')")

    with pytest.raises(OSError, match="torn"):
        load(folder)

    assert again == 22
    assert "appliance_plugins.fresh" not in sys.modules


@pytest.mark.parametrize(
    ("module", "plugin"),
    [
        ("appliance_plugins.notes", "notes"),
        ("appliance_plugins.notes.vendor.thing", "notes"),
        ("appliance_plugins", None),
        ("appliance.plugins.loader", None),
        ("", None),
    ],
)
def test_module_name_tells_whose_code_it_is(module, plugin):
    assert loader.plugin_of(module) == plugin
