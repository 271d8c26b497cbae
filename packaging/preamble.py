"""Runs inside the zipapp after unpacking: keeps this build's folder, removes those of older builds.

A build unpacks itself into `ROOT/<file name>_<build id>`, and nobody else removes the ones before it. Every process
holds a shared lock on its own folder while it lives, so an older appliance that still runs keeps the modules
it has yet to import. A root that may not be written is left as it is.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

ABANDONED = 3600.0  # seconds after which an unfinished extraction counts as left behind


def keep(folder: Path) -> int:
    """Lock the folder as in use, until this process ends."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def remove_older_than(current: Path) -> list[Path]:
    """Remove what other builds of the same file left beside `current` and nobody uses."""
    name, _, _ = current.name.rpartition("_")
    ours = re.compile(re.escape(name) + r"_[0-9a-f]{64}(\.tmp)?")
    others = [path for path in current.parent.iterdir() if ours.fullmatch(path.name) and path != current]
    return [path for path in others if remove(path)]


def remove(folder: Path) -> bool:
    """Whether the folder was unused and is gone."""
    with suppress(OSError):
        if folder.suffix == ".tmp" and time.time() - folder.stat().st_mtime < ABANDONED:
            return False  # somebody is unpacking it right now
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
            folder.with_name(f".{folder.name}_lock").unlink(missing_ok=True)
            return True
        finally:
            os.close(handle)
    return False


if __name__ == "__main__":
    unpacked: Path = globals()["site_packages"].parent  # handed over by the bootstrap
    keep(unpacked)
    if os.access(unpacked.parent, os.W_OK):
        remove_older_than(unpacked)
