"""Builds the appliance as one file: `dist/appliance.pyz`, or `dist/appliance-aarch64.pyz` for the other machine.

The wheels of the runtime lock are installed once per Python (pip checks their hashes and needs no interpreter of that
version), the trees are laid over each other (compiled modules carry their Python in their name), cleaned of whatever
differs between two builds, and zipped by shiv with our guard in front. The same commit gives the same bytes, wherever
the clone lies.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from shiv import bootstrap, builder
from shiv.bootstrap.environment import Environment
from shiv.constants import BUILD_AT_TIMESTAMP_FORMAT
from targets import GLIBC, MACHINES, PYTHONS, wheel_options

ROOT = Path(__file__).resolve().parent.parent
HERE = "packaging"
SHEBANG = "/usr/bin/env -S python3 -I"  # isolated: neither PYTHON* variables nor a user's own packages reach us
UNPACK = "~/.cache/appliance"  # where SHIV_ROOT does not say otherwise
# Folders of the tree and their places in the file: what is no module travels inside the package, as its data.
OURS = {"appliance": "appliance", "plugins": "appliance/_plugins", "systemd": "appliance/_systemd"}
UNNEEDED = ("apsw/tests", "bin", "share", "trio/_tests")
EXTENSIONS = "apsw/sqlite_extra_binaries"  # of SQLite, plain C: the same source in the wheel of every Python
WANTED_EXTENSIONS = ("cksumvfs.so",)
MAY_DIFFER = re.compile(rf"\.dist-info/|^{EXTENSIONS}/")  # between the wheels of two Pythons: notes, and plain C
ELF_MACHINE = {"x86_64": 62, "aarch64": 183}
UNSTABLE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # written by pip; they name paths or installers


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the appliance as one file.")
    parser.add_argument("--arch", choices=MACHINES, default=MACHINES[0])
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    suffix = "" if chosen.arch == MACHINES[0] else f"-{chosen.arch}"
    output: Path = chosen.output or ROOT / "dist" / f"appliance{suffix}.pyz"
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        for python in PYTHONS:
            overlay(installed(Path(scratch) / python, python, chosen.arch), site)
        check_compiled(site, chosen.arch)
        for source, place in our_files():
            (site / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, site / place)
        tidy(site)
        zipped(site, output, chosen.arch)
    size = output.stat().st_size / 2**20
    print(f"{os.path.relpath(output)}: {size:.1f} MiB, {chosen.arch}, CPython {', '.join(PYTHONS)}")


def installed(folder: Path, python: str, machine: str) -> Path:
    """The locked wheels as that Python on that machine would have them."""
    lock = ROOT / HERE / "lock" / "runtime.txt"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--no-deps", "--require-hashes", "--requirement", str(lock), "--target", str(folder)]
    subprocess.run([*command, *wheel_options(python, machine)], check=True, stdin=subprocess.DEVNULL)
    for name in UNNEEDED:  # `bin` above all: the first line of a script names this machine's Python
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (folder / EXTENSIONS).iterdir():
        if path.name not in WANTED_EXTENSIONS:
            path.unlink()
    for path in [path for path in folder.rglob("*.dist-info/*") if path.name in UNSTABLE]:
        path.unlink()
    return folder


def overlay(tree: Path, site: Path) -> None:
    """Lay `tree` over `site`, after making sure that what both have is the same."""
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        name = path.relative_to(tree)
        if not (site / name).exists():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            path.replace(site / name)
        elif not MAY_DIFFER.search(str(name)) and not filecmp.cmp(path, site / name, shallow=False):
            sys.exit(f"error: {name} is not the same for every Python; the trees cannot be merged")


def check_compiled(site: Path, machine: str) -> None:
    """Stop unless all compiled code is for `machine`, and each module there for every Python."""
    served: dict[str, set[str]] = {}
    for path in site.rglob("*.so*"):
        header = path.read_bytes()[:20]
        if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != ELF_MACHINE[machine]:
            sys.exit(f"error: {path.relative_to(site)} is not for {machine}")
        if tag := re.search(r"^(.+)\.cpython-(\d)(\d+)-", str(path.relative_to(site))):
            served.setdefault(tag[1], set()).add(f"{tag[2]}.{tag[3]}")
    if lacking := [module for module, pythons in served.items() if pythons != set(PYTHONS)]:
        sys.exit(f"error: not there for every Python: {', '.join(lacking)}")


def our_files() -> Iterator[tuple[Path, Path]]:
    """What the tree itself puts into the file, and where: all that git knows or would add, but no plugin's tests."""
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *OURS]
    for path in (Path(name) for name in git(*listing).split("\0") if name):
        if "tests" not in path.parts and (ROOT / path).is_file():
            yield ROOT / path, OURS[path.parts[0]] / path.relative_to(path.parts[0])


def tidy(site: Path) -> None:
    """One mode for every file, so that the builder's umask does not show."""
    for path in [*site.rglob("*"), *Path(bootstrap.__file__).parent.glob("*.py")]:
        if path.is_file():
            path.chmod(0o644)


def zipped(site: Path, output: Path, machine: str) -> None:
    """Write the file: guard, shiv's bootstrap, site-packages."""
    (site / "bin").mkdir()
    shutil.copyfile(ROOT / HERE / "preamble.py", site / "bin" / "preamble.py")
    (site / "bin" / "preamble.py").chmod(0o644)
    built_at = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")), UTC)
    environment = Environment(
        built_at=built_at.strftime(BUILD_AT_TIMESTAMP_FORMAT),
        shiv_version="",
        entry_point="appliance.__main__:main",
        compile_pyc=True,
        preamble="preamble.py",
        reproducible=True,
        root=UNPACK,
    )
    # shiv's own preamble runs after unpacking; the guard must come before, so it opens `__main__.py`
    builder.MAIN_TEMPLATE = opening(machine).replace("{", "{{").replace("}", "}}") + builder.MAIN_TEMPLATE
    builder.create_archive([site], output, SHEBANG, "_bootstrap:bootstrap", environment)


def opening(machine: str) -> str:
    """The guard with this build's facts."""
    pythons = tuple(tuple(int(part) for part in python.split(".")) for python in PYTHONS)
    facts = f"machine={machine!r}, pythons={pythons!r}, glibc={GLIBC!r}, root={UNPACK!r}"
    return (ROOT / HERE / "guard.py").read_text() + f"\n\nrefuse_unless({facts})\n\n"


def git(*arguments: str) -> str:
    """What git says about this tree."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    except FileNotFoundError:
        sys.exit("error: the zipapp is built from a git clone, and git was not found: apt install git")


if __name__ == "__main__":
    main()
