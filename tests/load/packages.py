"""Gets the programs that are compared with and that no wheel brings: from Debian and from npm, into a private folder.

Packages of Debian are downloaded and unpacked, not installed: no service starts, no file of the machine changes, and
nobody has to be root. Whatever cannot be had raises `Absent` with the reason, and its ratios are "not measured".
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.load.machine import ROOT

__all__ = ["Absent", "Unpacked", "debian", "npm"]

FOLDER = ROOT / ".cache" / "anchors"
PATIENCE = 300.0  # seconds of a download


class Absent(RuntimeError):
    """A program to compare with cannot be had here; says why."""


@dataclass(frozen=True)
class Unpacked:
    """Packages of Debian, unpacked. What the machine has anyway is used from there."""

    root: Path

    def find(self, path: str) -> Path:
        """`path` under the unpacked packages, else on the machine itself."""
        for place in (self.root / path, Path("/") / path):
            if place.exists():
                return place
        raise Absent(f"the package brought no {path}")

    def environment(self) -> dict[str, str]:
        """For programs that need libraries of these packages."""
        folders = [str(path) for path in self.root.glob("usr/lib/*-linux-gnu*")]
        return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


@functools.cache
def debian(*packages: str) -> Unpacked:
    """`packages` and what they need beyond what the machine has."""
    root = FOLDER / "debian" / "-".join(packages)
    if (root / ".complete").exists():
        return Unpacked(root)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Absent("this machine has no apt-get")
    archives = root / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    options = ["--yes", "--no-install-recommends", "--download-only", "--reinstall"]
    settings = [f"Dir::Cache::archives={archives}", "Debug::NoLocking=1", "APT::Sandbox::User=root"]
    words = ["apt-get", "install", *options, *(w for s in settings for w in ("-o", s)), *packages]
    _run(words, f"apt-get cannot get {' '.join(packages)}")
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(root)], f"{archive.name} cannot be unpacked")
    shutil.rmtree(archives)
    (root / ".complete").touch()
    return Unpacked(root)


@functools.cache
def npm(name: str) -> Path:
    """The folder whose `node_modules` has the package `name` ("ws@8")."""
    folder = FOLDER / "npm" / name.replace("/", "-")
    if (folder / ".complete").exists():
        return folder
    if shutil.which("npm") is None:
        raise Absent("this machine has no npm")
    folder.mkdir(parents=True, exist_ok=True)
    words = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), name]
    _run(words, f"npm cannot get {name}")
    (folder / ".complete").touch()
    return folder


def _run(words: list[str], complaint: str) -> None:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise Absent(f"{complaint} within {PATIENCE:g} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
        raise Absent(f"{complaint}: {last[:200]}")
