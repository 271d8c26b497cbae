"""The data folder while a process works on it: made, locked, and telling others where we answer.

DIR/run/lock          held as long as the process lives
DIR/run/address       our URL, there only while we accept connections
DIR/run/owner.token   kept by the auth room
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import Forbidden, Unavailable
from appliance.supervise.lock import Lock

__all__ = ["Place", "hold", "local"]


class Place:
    """A data folder that is ours alone."""

    def __init__(self, data: Path, lock: Lock) -> None:
        self.data = data
        self.run = data / "run"
        self._address = self.run / "address"
        self._lock = lock
        self._address.unlink(missing_ok=True)  # of a process that was killed

    def announce(self, urls: Sequence[str]) -> None:
        """From now on the command line finds us here."""
        url = local(urls)
        self._lock.announce(url)
        fresh = self._address.with_suffix(".new")
        fresh.write_text(url + "\n", encoding="ascii")
        fresh.replace(self._address)

    def leave(self) -> None:
        self._address.unlink(missing_ok=True)
        self._lock.release()


@contextmanager
def hold(data: Path | None) -> Iterator[Place]:
    """The folder `data`, locked; None: a private temporary one, removed afterwards.

    Raises:
        DataInUse: another process holds it.
        Forbidden, Unavailable: it cannot be made or written.
    """
    temporary = data is None
    folder = Path(tempfile.mkdtemp(prefix="appliance-")) if data is None else data
    try:
        place = _taken(folder)
        try:
            yield place
        finally:
            place.leave()
    finally:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)


def _taken(folder: Path) -> Place:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        return Place(folder, Lock(folder / "run" / "lock", folder=folder, pid=os.getpid()))
    except PermissionError as error:
        raise Forbidden(
            f"the data folder {folder} cannot be written: {error.strerror}",
            hint="run as the user who owns it, or name another folder with --data",
        ) from error
    except OSError as error:
        raise Unavailable(
            f"the data folder {folder} cannot be used: {error.strerror}", hint="name another folder with --data"
        ) from error


def local(urls: Sequence[str]) -> str:
    """The one at which this machine itself finds us."""
    reachable = [url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:") for url in urls]
    return next((url for url in reachable if "//127." in url), reachable[0])
