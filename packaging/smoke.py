"""Starts the zipapp as a service would, writes, reads, stops it, starts it again and reads the same.

    python packaging/smoke.py dist/appliance.pyz

Nothing but SHIV_ROOT and PATH in the environment, no writable home, any free port of this machine.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds for anything that a slow machine must still manage
STREAM = "smoke-1"


def main() -> None:
    pyz = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        environment = {"PATH": os.environ["PATH"], "SHIV_ROOT": str(folder / "unpacked")}
        for which in ("cold", "warm"):
            begun = time.perf_counter()
            version = subprocess.run([pyz, "--version"], env=environment, check=True, text=True, stdout=subprocess.PIPE)
            print(f"{version.stdout.strip()}   --version {which}: {time.perf_counter() - begun:.3f} s")
        for path in [folder / "unpacked", *(folder / "unpacked").rglob("*")]:
            path.chmod(path.stat().st_mode & ~0o222)  # unpacked once; from here on a read-only place
        try:
            written = {"type": "Tried", "data": {"exact": 12345678901234567890}}
            with serving(pyz, folder, environment) as call:
                print("wrote ", call("stream.write", STREAM, written, {}))
                first = call("stream.get", STREAM, {})
            with serving(pyz, folder, environment) as call:
                again = call("stream.get", STREAM, {})
        finally:
            for path in [folder / "unpacked", *(folder / "unpacked").rglob("*")]:
                path.chmod(path.stat().st_mode | 0o200)
        if first != again or [message[4] for message in again] != [written["data"]]:
            sys.exit(f"error: wrote {written}, read {first}, after a restart {again}")
        print("read  ", again)


@contextmanager
def serving(pyz: Path, folder: Path, environment: dict[str, str]) -> Iterator[Any]:
    """The running appliance, as a function that calls one of its methods; stopped politely at the end."""
    data = folder / "data"
    command = [str(pyz), "serve", "--data", str(data), "--port", "0"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment | {"HOME": "/nonexistent"}, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        port = announced_port(process)
        print(f"serving after {time.perf_counter() - begun:.2f} s")
        token = (data / "run" / "owner.token").read_text().strip()
        yield lambda *request: rpc(port, token, request)
        process.send_signal(signal.SIGTERM)
        process.communicate()
        if process.returncode != 0:
            sys.exit(f"error: the appliance ended with code {process.returncode}")
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def announced_port(process: subprocess.Popen[str]) -> int:
    """The port named on stdout once the socket accepts."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"Listening on :(\d+)", line):
            return int(found[1])
    sys.exit(f"error: the appliance ended with code {process.wait()} before it listened")


def rpc(port: int, token: str, request: tuple[Any, ...]) -> Any:
    """One call of the message-store API."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", "/rpc", json.dumps(request), {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"error: {request[0]} answered {answer.status}: {body.decode()}")
    return json.loads(body)


if __name__ == "__main__":
    main()
