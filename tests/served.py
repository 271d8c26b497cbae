"""The real server for tests that are its clients: started, found by its output, restarted, ended."""

from __future__ import annotations

import http.client
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PATIENCE", "ROOT", "TOKEN", "Served", "serving"]

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "ns_ZGVmYXVsdA_" + "7" * 64  # of namespace `default`
PATIENCE = 60.0  # seconds for a start or an end
_LISTENING = re.compile(rb"^Listening on :(\d+)$", re.MULTILINE)


@dataclass
class Served:
    """A server that runs. Its output is read up to the line that names the port, and never again."""

    arguments: Sequence[str]
    folder: Path  # where its errors go, and its data unless in test mode
    token: str = TOKEN
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def start(self) -> None:
        """Returns when `/health` answers."""
        command = [sys.executable, "-m", "appliance", "serve", "--port=0", f"--token={self.token}", *self.arguments]
        environment = {name: value for name, value in os.environ.items() if "EVENTODB" not in name} | {"COLUMNS": "120"}
        with (self.folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
            )
        self.port = self._announced_port()
        self._wait_until_healthy()

    def stop(self) -> int:
        """Ask it to end, as a service manager does. Returns its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the server did not end:\n{self.errors}") from None
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def restart(self) -> None:
        """The same server on the same data. It has another port afterwards."""
        self.stop()
        self.start()

    def _announced_port(self) -> int:
        assert self._process.stdout is not None
        pipe, seen, deadline = self._process.stdout.fileno(), b"", time.monotonic() + PATIENCE
        while not (found := _LISTENING.search(seen)):
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(pipe, 4096) if ready else b""
            if not data:
                self._process.kill()
                self._process.wait()
                raise AssertionError(f"the server did not start:\n{seen.decode(errors='replace')}\n{self.errors}")
            seen += data
        return int(found.group(1))

    def _wait_until_healthy(self) -> None:
        """The port is named once the socket accepts: the first try is answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()


@contextmanager
def serving(folder: Path, *, test_mode: bool = False, arguments: Sequence[str] = ()) -> Iterator[Served]:
    """A server until the block ends.

    Args:
        test_mode: data is thrown away and nobody needs a token; else it is kept in `folder`.
    """
    kind = ["--test-mode"] if test_mode else [f"--data={folder / 'data'}"]
    server = Served([*kind, *arguments], folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
