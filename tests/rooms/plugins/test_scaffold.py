"""`plugin new` and `plugin check`: a stranger's first minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import appliance
from appliance.errors import Duplicate, Rejected
from appliance.plugins.check import Finding, check
from appliance.plugins.registry import Found, discover
from appliance.plugins.scaffold import scaffold

ROOT = Path(appliance.__file__).parents[1]


def test_new_plugin_passes_its_own_test(tmp_path):
    folder = scaffold("big_orders", tmp_path)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 0


def test_new_plugin_has_nothing_to_find_fault_with(tmp_path):
    scaffold("big_orders", tmp_path)

    (found,) = discover({"big_orders": {"longest": 15}}, own=tmp_path)

    assert check(found) == []


async def test_new_plugin_runs_on_the_host(shelf, hosting, autojump_clock):
    scaffold("big_orders", shelf)

    async with hosting() as running:
        status = running.status("big_orders")

    assert (status.state, status.events) == ("ready", ("BigOrdersArrived",))


@pytest.mark.parametrize("name", ["", "Big", "9lives", "a-b", "../x", "x" * 41])
def test_name_that_no_plugin_can_have_is_rejected(name, tmp_path):
    with pytest.raises(Rejected, match="is no plugin name"):
        scaffold(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "notes").mkdir()

    with pytest.raises(Duplicate, match="exists already"):
        scaffold("notes", tmp_path)

    assert list((tmp_path / "notes").iterdir()) == []


def only(shelf: Path, **table: object) -> Found:
    (found,) = discover({"odd": table}, own=shelf)
    return found


@pytest.mark.parametrize(
    ("body", "about", "message"),
    [
        ("1 / 0", "import", "ZeroDivisionError: division by zero (plugin.py:4)"),
        ("raise SystemExit(3)", "import", "SystemExit: 3 (plugin.py:4)"),
        ("import appliance.log", "import", "a plugin may import appliance.api only, not appliance.log"),
        ("", "doors", "the plugin declares nothing"),
        ("@plugin.service\nasync def go(contex): ...", "doors", 'service go asks for "contex"'),
        ("plugin = Plugin('odd', config=int)\n@plugin.service\nasync def go(): ...", "config", "is no dataclass"),
    ],
)
def test_check_tells_what_would_park_the_plugin(body, about, message, shelf, write):
    write("odd", body)

    (finding,) = check(only(shelf))

    assert (finding.plugin, finding.about) == ("odd", about)
    assert message in finding.message


def test_check_finds_a_table_that_does_not_fit_and_says_what_would(shelf, write):
    write("odd", "@plugin.service\nasync def go(): ...")

    (finding,) = check(only(shelf, every=3))

    assert finding == Finding("odd", "config", 'unknown key "every"', "nothing can be set here")


def test_check_of_a_plugin_without_a_manifest_that_works_stops_there(shelf, write):
    write("odd", "1 / 0", manifest="name = ")

    (finding,) = check(only(shelf))

    assert finding.about == "manifest"
