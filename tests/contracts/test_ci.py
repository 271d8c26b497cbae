"""What runs on every change, and that it cannot pass by accident."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / ".ci/run").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def recipe(target: str) -> str:
    """The commands of a Makefile target."""
    found = re.search(rf"^{target}:.*\n((?:.+\n)+)", MAKEFILE, re.MULTILINE)
    assert found is not None, f"the Makefile has no recipe for {target}"
    return found[1]


def stepping(*steps: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script's own `step`, put through other commands than the real ones."""
    place = folder / ".ci"
    place.mkdir()
    beginning = SCRIPT[: SCRIPT.index('\nstep "')]
    ending = SCRIPT[SCRIPT.index("\nprintf '\\n=== all of it") :].rpartition("\ngrep")[0]
    (place / "run").write_text("\n".join([beginning, *steps, ending, ""]))
    return subprocess.run(["bash", place / "run"], capture_output=True, text=True, timeout=30, check=False)


def test_the_test_suite_runs_on_every_change():
    """MDB003_6A_T1: tests run in CI, by the very command of the README."""
    assert re.search(r"make .*\btest\b", SCRIPT)
    assert "make test" in (ROOT / "README.md").read_text()


def test_format_lint_and_types_are_gates():
    """MDB003_6A_T2: lint runs in CI."""
    assert 'step "gates" make --no-print-directory check' in SCRIPT
    for gate in ("ruff format --check", "ruff check", "mypy"):
        assert gate in recipe("check")


def test_foreign_clients_are_part_of_the_suite():
    """MDB003_6A_T3: external tests run in CI: what `make test` runs leaves no folder of tests out."""
    assert "--ignore" not in recipe("test")
    assert list((ROOT / "tests/contracts/message_store").glob("test_*.py"))


def test_the_benchmark_has_its_place_in_the_suite():
    """MDB003_6A_T4: the benchmark runs in CI, shortened; `make load` judges its figures."""
    assert (ROOT / "tests/journeys/test_benchmark.py").exists()
    assert "tests.load" in recipe("load")


def test_packaging_is_built_twice_and_started():
    """MDB003_6A_T5: packaging runs in CI."""
    assert "cmp " in SCRIPT
    assert "packaging/smoke.py dist/appliance.pyz" in SCRIPT


def test_a_failing_step_ends_the_run_with_its_name(tmp_path: Path):
    """MDB003_6A_T6: CI fails when a test fails; what comes after is not reached."""
    done = stepping('step "tests" false', 'step "later" echo reached', folder=tmp_path)

    assert done.returncode == 1
    assert "=== FAILED: tests" in done.stdout
    assert "reached" not in done.stdout


def test_a_run_that_passes_says_so_and_how_long_each_step_took(tmp_path: Path):
    """MDB003_6A_T7: a status is visible."""
    done = stepping('step "tests" true', folder=tmp_path)

    assert done.returncode == 0
    assert re.search(r"=== all of it in \d+ s\n +\d+ s  tests", done.stdout)
