"""Starts the servers that fan out beside us: each on a private port, pinned, told to hold ten thousand connections.

Raises `packages.Absent` where a program cannot be had.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.load import packages, servers
from tests.load.machine import PATIENCE, Started, children, free_port, start, wait_for_port

__all__ = ["appliance", "bun", "encrypted", "nchan", "redis", "trio", "websockets", "ws"]

ANCHORS = Path(__file__).with_name("anchors")
CONNECTIONS = 15_000
_NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile {limit};
error_log {home}/error.log;
pid {home}/pid;
load_module {module};
events {{ worker_connections {limit}; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 256m;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    nchan_channel_id $arg_c;
    nchan_subscriber_first_message newest;
    location = /sub {{ nchan_subscriber websocket eventsource; }}
    location = /pub {{ nchan_publisher websocket http; }}
  }}
}}
"""


@contextlib.contextmanager
def appliance(folder: Path, *, arguments: Sequence[str] = (), **settings: str) -> Iterator[Started]:
    """The product with room for the crowd; everything else as it comes, but for `settings` of its environment."""
    room = {"APPLIANCE_CLIENTS__LIMIT": str(CONNECTIONS), "APPLIANCE_CLIENTS__PER_SUBJECT": str(CONNECTIONS)}
    with servers.appliance(folder / "crowded", arguments=arguments, environment={**room, **settings}) as server:
        yield server


@contextlib.contextmanager
def encrypted(folder: Path) -> Iterator[Started]:
    """The same over TLS, with a certificate of its own making."""
    (folder / "tls").mkdir()
    with appliance(folder / "tls", APPLIANCE_TLS__MODE="auto") as server:
        yield server


@contextlib.contextmanager
def nchan(folder: Path) -> Iterator[Started]:
    """nginx with the nchan module: /sub?c=NAME for WebSocket and event stream, /pub?c=NAME."""
    unpacked = packages.debian("nginx", "libnginx-mod-nchan")
    home, port = folder / "nchan", free_port()
    home.mkdir()
    home.chmod(0o777)
    module = unpacked.find("usr/lib/nginx/modules/ngx_nchan_module.so")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500
    (home / "conf").write_text(_NGINX.format(home=home, port=port, module=module, limit=limit))
    command = [unpacked.find("usr/sbin/nginx"), "-p", home, "-e", home / "error.log", "-c", home / "conf"]
    with (
        _compiled_in(Path("/var/lib/nginx")),
        _running("nchan", folder, command, port, unpacked.environment()) as server,
    ):
        _wait_for_worker(server)
        yield server


def _wait_for_worker(server: Started) -> None:
    """The master listens before it has the worker whose time we count."""
    until = time.monotonic() + PATIENCE
    while not children(server.pid):
        if time.monotonic() > until:
            raise RuntimeError("nginx has no worker")
        time.sleep(0.01)


@contextlib.contextmanager
def _compiled_in(path: Path) -> Iterator[None]:
    """A folder that nginx with nchan insists on although the configuration names others."""
    if path.exists():
        yield
        return
    try:
        path.mkdir()
    except OSError as error:
        raise packages.Absent(f"nginx needs the folder {path}: {error.strerror}") from error
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Started]:
    """Redis, publish and subscribe over its own protocol; nothing on disk."""
    unpacked = packages.debian("redis-server")
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "maxclients": 15_000}
    command = [unpacked.find("usr/bin/redis-server"), *(w for k, v in options.items() for w in (f"--{k}", str(v)))]
    with _running("redis", folder, command, port, unpacked.environment()) as server:
        yield server


@contextlib.contextmanager
def bun(folder: Path) -> Iterator[Started]:
    """Bun's WebSocket server, which is uWebSockets."""
    port = free_port()
    program = packages.npm("bun@1") / "node_modules/.bin/bun"
    with _running("bun", folder, [program, ANCHORS / "fan_bun.js", str(port)], port) as server:
        yield server


@contextlib.contextmanager
def ws(folder: Path) -> Iterator[Started]:
    """Node and ws."""
    port = free_port()
    modules = packages.npm("ws@8") / "node_modules"
    command = ["node", ANCHORS / "fan_ws.cjs", str(port)]
    with _running("ws", folder, command, port, {"NODE_PATH": str(modules)}) as server:
        yield server


@contextlib.contextmanager
def websockets(folder: Path) -> Iterator[Started]:
    """The package websockets on asyncio."""
    with _module("websockets", folder) as server:
        yield server


@contextlib.contextmanager
def trio(folder: Path) -> Iterator[Started]:
    """trio-websocket."""
    with _module("trio", folder) as server:
        yield server


@contextlib.contextmanager
def _module(name: str, folder: Path) -> Iterator[Started]:
    port = free_port()
    command = [sys.executable, "-m", f"tests.load.anchors.fan_{name}", str(port)]
    with _running(name, folder, command, port) as server:
        yield server


@contextlib.contextmanager
def _running(
    name: str, folder: Path, command: Sequence[str | Path], port: int, environment: dict[str, str] | None = None
) -> Iterator[Started]:
    log = folder / f"fan-{name}.log"
    with start(command, log=log, environment=environment) as process:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
        wait_for_port(port, process, log)
        yield Started(name, port, process.pid)
