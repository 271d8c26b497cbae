"""Writes `packaging/lock/*.txt`: every wheel we run, test or build with, by version and hash.

    make lock            (Python 3.11 and a package index are needed)

One file per purpose, valid on every interpreter and machine below: a pin carries the hashes of all wheels
that one of them would choose. The index answers for the hashes, and only it: extra folders and indexes of this
machine's pip configuration are left out, because what they hold may differ from what the world gets. Nothing of
the index itself (names of hosts, links) is written down.

The versions are resolved with the oldest Python we support, whose markers ask for the most packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from targets import GLIBC, LOCKED_PYTHONS, MACHINES, PYTHONS, wheel_options

ROOT = Path(__file__).resolve().parent.parent
# A wheel built for a newer C library wins where the machine has it, so one pin may need both hashes:
# the zipapp takes wheels for our oldest C library, a person's pip takes the newest that fits.
GLIBC_MINORS = (GLIBC[1], 40)
HEADER = "# Written by `make lock` from pyproject.toml: wheels only, each by its hash. Do not edit.\n"

Pins = Mapping[str, str]


def main() -> None:
    if "{}.{}".format(*sys.version_info) != PYTHONS[0]:
        sys.exit(f"error: the lock is resolved with Python {PYTHONS[0]}; run: make lock PYTHON=python{PYTHONS[0]}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    runtime = project["project"]["dependencies"]
    with tempfile.TemporaryDirectory() as scratch:
        pip = a_current_pip(Path(scratch))
        everything = resolve(pip, [*runtime, *groups["dev"], *groups["build"]])
        hashes = hashes_of(pip, everything)
        for name, wanted in {"runtime": runtime, "dev": [*runtime, *groups["dev"]], "build": groups["build"]}.items():
            exact = [f"{package}=={version}" for package, version in everything.items()]
            chosen = resolve(pip, wanted, constraints=exact)
            path = ROOT / "packaging" / "lock" / f"{name}.txt"
            path.write_text(rendered({package: everything[package] for package in chosen}, hashes))
            print(f"{path.relative_to(ROOT)}: {len(chosen)} packages")


def a_current_pip(folder: Path) -> list[str]:
    """A pip that answers `--report` from metadata alone, without fetching the wheels."""
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv/bin/python")
    run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"])
    return [python, "-m", "pip"]


def resolve(pip: Sequence[str], wanted: Iterable[str], constraints: Iterable[str] = ()) -> dict[str, str]:
    """Package names and versions, in alphabetical order, that satisfy `wanted` and all they need."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(constraints))
        file.flush()
        items = report(pip, ["--constraint", file.name, *wanted])
    return dict(sorted((canonical(item["metadata"]["name"]), item["metadata"]["version"]) for item in items))


def hashes_of(pip: Sequence[str], pins: Pins) -> dict[str, set[str]]:
    """The SHA-256 of every wheel of `pins` that a supported interpreter and machine would choose."""
    found: dict[str, set[str]] = defaultdict(set)
    exact = [f"{package}=={version}" for package, version in pins.items()]
    for python in LOCKED_PYTHONS:
        for machine in MACHINES:
            for newest in GLIBC_MINORS:
                options = [*wheel_options(python, machine, newest), "--no-deps", "--target", "never-written"]
                for item in report(pip, [*options, *exact]):
                    digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
                    found[canonical(item["metadata"]["name"])].add(digest)
    return found


def report(pip: Sequence[str], options: Sequence[str]) -> list[dict[str, Any]]:
    """What pip would install: one record per wheel, straight from the index."""
    command = [*pip, "install", "--quiet", "--dry-run", "--ignore-installed"]
    found: list[dict[str, Any]] = json.loads(run([*command, "--only-binary", ":all:", "--report", "-", *options]))[
        "install"
    ]
    return found


def run(command: Sequence[str]) -> str:
    """The command's output, with this machine's extra wheel folders and indexes switched off."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")}
    clean |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, env=clean, check=True, text=True, stdout=subprocess.PIPE).stdout


def canonical(name: str) -> str:
    """A package's one spelling: lower case, dashes."""
    return name.lower().replace("_", "-").replace(".", "-")


def rendered(pins: Pins, hashes: Mapping[str, Iterable[str]]) -> str:
    """A requirements file that pip reads with `--require-hashes`."""
    lines = [HEADER]
    for package, version in pins.items():
        parts = [f"{package}=={version}", *(f"--hash=sha256:{digest}" for digest in sorted(hashes[package]))]
        lines.append(" \\\n    ".join(parts) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
