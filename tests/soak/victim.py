"""The real server as something that can be started, asked, killed and started again on the same data."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["ROOT", "Caller", "Refused", "Victim"]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds for a start or an end
_LISTENING = re.compile(rb"^Listening on \S*:(\d+)", re.MULTILINE)


class Refused(Exception):
    """The server answered with an error; `answer` is its body."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__(f"{status}: {answer}")
        self.status = status
        self.answer = answer


class Caller:
    """One kept-alive connection to the RPC endpoint, for one thread."""

    def __init__(self, port: int, token: str, timeout: float = 30.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._stream: http.client.HTTPResponse | None = None
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, *request: Any, headers: dict[str, str] | None = None) -> Any:
        """The answer of one RPC call; raises Refused, OSError or http.client.HTTPException."""
        self._connection.request("POST", "/rpc", json.dumps(request).encode(), {**self._headers, **(headers or {})})
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise Refused(response.status, answer)
        return answer

    def subscribe(self, path: str) -> None:
        """Open an event stream; returns once the subscription stands. The connection has no other use from then on."""
        self._connection.request("GET", path, headers=self._headers)
        self._stream = self._connection.getresponse()
        if self._stream.status != 200:
            raise Refused(self._stream.status, self._stream.read())
        while b"ready" not in self._stream.readline():
            pass

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._connection.close()


@dataclass
class Victim:
    """A server on `folder`. Inside `with` it is ended (killed if need be) on leaving.

    Args:
        wrapper: words before the command, such as a tracer's.
        program: what to run instead of the appliance itself, with the same arguments.
        silent: its output goes to a pipe that is read until it listens and never again.
    """

    folder: Path
    wrapper: Sequence[str] = ()
    program: Sequence[str] = (sys.executable, "-m", "appliance")
    arguments: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    port: int = 0
    token: str = ""
    process: subprocess.Popen[bytes] | None = None
    callers: list[Caller] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    @property
    def pid(self) -> int:
        """Of the server itself, not of a tracer around it."""
        assert self.process is not None
        if not self.wrapper:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def launch(self) -> None:
        """Start the process; do not wait until it is ready. Callers of an earlier one are closed."""
        self._close_callers()
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self.wrapper, *self.program, "serve", "--data", str(self.folder), "--port", "0", *self.arguments]
        with contextlib.ExitStack() as stack:
            output: int | IO[bytes] = subprocess.PIPE if self.silent else stack.enter_context(self.log.open("wb"))
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
            )

    def start(self) -> float:
        """Start and wait until it listens. Returns the seconds that took."""
        begun = time.monotonic()
        self.launch()
        self.port = self._wait_until_listening()
        taken = time.monotonic() - begun
        self.token = (self.folder / "run" / "owner.token").read_text().strip()
        return taken

    def caller(self, timeout: float = 30.0) -> Caller:
        """A connection of its own, closed with the victim at the latest."""
        self.callers.append(Caller(self.port, self.token, timeout))
        return self.callers[-1]

    def kill(self) -> None:
        """As a power cut would end it, as far as a process can be."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Politely. Returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            if self.alive:
                self.stop()
            if self.process.stdout is not None:
                self.process.stdout.close()
        self._close_callers()

    def _close_callers(self) -> None:
        while self.callers:
            self.callers.pop().close()

    def wait(self) -> int:
        """Until it has ended, killed if it will not. Returns the exit code."""
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(PATIENCE)

    def _wait_until_listening(self) -> int:
        assert self.process is not None
        until = time.monotonic() + PATIENCE
        seen = b""
        while time.monotonic() < until:
            if self.process.stdout is not None:
                seen += os.read(self.process.stdout.fileno(), 4096)
            else:
                seen = self.log.read_bytes()
            found = _LISTENING.search(seen)
            if found and seen[found.end() :]:  # the whole line, not half a number
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        raise RuntimeError(f"the server did not start:\n{seen.decode(errors='replace')[-3000:]}")
