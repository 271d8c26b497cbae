"""A terminal with a shell in it: programs see a terminal, so they say what they say to people."""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["PATIENCE", "Terminal", "until"]

PATIENCE = 20.0  # seconds for anything that is waited for
LINES, COLUMNS = 50, 110

# The next block goes on where this one ended: same folder, same variables.
_SHELL = """\
trap 'export -p > {variables}; pwd > {folder}' EXIT
set -eo pipefail
[ ! -f {variables} ] || . {variables}
[ ! -f {folder} ] || cd "$(cat {folder})"
set -a
{script}"""


class Terminal:
    """Runs one script after the other.

    Args:
        aside: a folder for what the shell remembers.
    """

    def __init__(self, folder: Path, aside: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._aside = aside
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._screen = b""
        self._seen = 0
        aside.mkdir(parents=True, exist_ok=True)

    @property
    def busy(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def screen(self) -> str:
        """All that was printed."""
        return self._screen.decode(errors="replace")

    @property
    def news(self) -> str:
        """What was printed since the last `look`."""
        return self._screen[self._seen :].decode(errors="replace")

    def look(self) -> None:
        self._seen = len(self._screen)

    def begin(self, script: str) -> None:
        """Start it; what still runs is interrupted first."""
        self.interrupt()
        kept = {name: shlex.quote(str(self._aside / name)) for name in ("variables", "folder")}
        path = self._aside / "script"
        path.write_text(_SHELL.format(script=script, **kept))
        self.look()
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            ["bash", str(path)],
            cwd=self._folder,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._keys = ours
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def type(self, line: str) -> None:
        os.write(self._keys, f"{line}\n".encode())

    def wait(self) -> int:
        """Until it ends; its exit code."""
        assert self._process is not None
        assert self._reader is not None
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise AssertionError(f"it did not end:\n{self.news}") from None
        finally:
            self._reader.join(PATIENCE)
        return code

    def interrupt(self) -> None:
        """Ctrl-C, if something runs."""
        if self.busy:
            assert self._process is not None
            os.killpg(self._process.pid, signal.SIGINT)
            self.wait()

    def _read(self, ours: int) -> None:
        try:
            while data := os.read(ours, 65536):
                self._screen += data
        except OSError:  # how a terminal tells that its last program is gone
            pass
        finally:
            os.close(ours)


def until(ready: Callable[[], object], otherwise: Callable[[], str]) -> None:
    """Look until it is so."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.01)
