"""The whole house in this process, on a free port of the loopback."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from appliance import ground
from appliance.app import Started
from appliance.config.load import load
from appliance.errors import ConfigError
from appliance.process import serve
from appliance.storage.sqlite import SqliteEngine
from appliance.supervise.place import Place, hold
from appliance.supervise.watchdog import Notifier


@dataclass
class Lines:
    """Stands for the process's `Logs`."""

    form: str = "text"
    dropped: int = 0
    said: list[str] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)
    _level: str = "info"

    @property
    def level(self) -> str:
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        self._level = level
        self.changed.set()

    async def levelled(self, level: str) -> None:
        with trio.fail_after(20):
            await self.changed.wait()
        assert self.level == level

    def announce(self, line: str) -> None:
        self.said.append(line)


@dataclass
class Home:
    """A running house and how to ask it."""

    place: Place
    lines: Lines
    started: Started

    async def ask(self, path: str, body: bytes = b"", *, token: str | None = None) -> tuple[int, bytes]:
        given = self.started.owner_token if token is None else token
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += f"Authorization: Bearer {given}\r\n" if given else ""
        stream = await trio.open_tcp_stream("127.0.0.1", self.started.port)
        async with stream:
            await stream.send_all(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = b"".join([part async for part in stream])
        start, _, content = answer.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in start.lower():
            content = content.partition(b"\r\n")[2]
        return int(start.split()[1]), content

    async def status(self) -> dict[str, object]:
        code, body = await self.ask("/status")
        assert code == 200
        told: dict[str, object] = msgspec.json.decode(body)
        return told


@asynccontextmanager
async def a_house(folder: Path, file: Path | None = None, **flags: object) -> AsyncIterator[Home]:
    """Served while the block lasts, then stopped by a signal as any process."""
    loaded = load(file, environ={}, flags={"data": str(folder), **flags})
    lines, ready = Lines(), trio.Event()
    told: list[Started] = []

    def banner(started: Started) -> list[str]:
        told.append(started)
        ready.set()
        return ["welcome"]

    with hold(folder) as place:
        engine = SqliteEngine.open(folder, durable=False)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(serve, loaded, place, engine, [listener], logs=lines, banner=banner)  # type: ignore[arg-type]
            )
            with trio.fail_after(20):
                await ready.wait()
            yield Home(place, lines, told[0])
            os.kill(os.getpid(), signal.SIGTERM)


async def test_what_was_written_is_there_for_the_next_start(tmp_path):
    async with a_house(tmp_path) as home:
        written = await home.ask("/rpc", b'["stream.write", "order-1", {"type": "Placed", "data": {"n": 1}}]')
        token = home.started.owner_token
    async with a_house(tmp_path) as home:
        code, body = await home.ask("/rpc", b'["stream.get", "order-1"]', token=token)

    assert written[0] == code == 200
    assert msgspec.json.decode(body)[0][1:3] == ["Placed", 0]


async def test_once_it_accepts_it_says_where_to_everyone_who_waits(tmp_path):
    async with a_house(tmp_path, name=None) as home:
        port = home.started.port
        address = (tmp_path / "run" / "address").read_text()
        told = await home.status()

    assert home.lines.said == [f"Listening on :{port}", "welcome"]
    assert address == f"http://127.0.0.1:{port}\n"
    assert told["urls"] == [f"http://127.0.0.1:{port}"]
    assert not (tmp_path / "run" / "address").exists()


async def test_the_status_shows_every_service_in_the_order_of_starting(tmp_path):
    async with a_house(tmp_path) as home:
        told = await home.status()
        stranger, _ = await home.ask("/status", token="")

    assert [node["name"] for node in told["tree"]] == [
        "log",
        "bus",
        "auth",
        "clients",
        "telemetry",
        "plugins",
        "jobs",
        "backups",
        "webhooks",
        "incoming",
        "web",
        "canary",
        "watchdog",
    ]
    assert {node["state"] for node in told["tree"]} == {"ready"}
    assert (told["state"], told["storage"]["kind"], told["pid"]) == ("well", "sqlite", os.getpid())
    assert told["counts"]["connections"] == 1
    assert stranger == 401


@pytest.mark.parametrize(
    "path", ["/health", "/health/live", "/livez", "/readyz", "/version", "/metrics", "/openapi.json", "/"]
)
async def test_what_needs_no_token_is_served(tmp_path, path):
    async with a_house(tmp_path) as home:
        code, body = await home.ask(path, token="")

    assert code == 200
    assert body


async def test_the_bundled_plugin_writes_and_its_retention_holds(tmp_path):
    async with a_house(tmp_path) as home:
        with trio.fail_after(20):
            while True:
                _, body = await home.ask("/rpc", b'["category.get", "host", {"batchSize": 1}]')
                if found := msgspec.json.decode(body):
                    break
                await trio.sleep(0.05)
        told = await home.status()

    assert found[0][2] == "HostSampled"
    assert ("host", "ready") in [(one["name"], one["state"]) for one in told["plugins"]]


async def test_a_plugin_can_be_turned_off(tmp_path):
    file = tmp_path / "appliance.toml"
    file.write_text("[plugins.host]\nenabled = false\n")

    async with a_house(tmp_path / "data", file) as home:
        told = await home.status()

    assert {one["name"]: one["state"] for one in told["plugins"]}["host"] == "disabled"


async def test_a_hangup_takes_the_file_into_use(tmp_path):
    file = tmp_path / "appliance.toml"
    file.write_text('[telemetry]\nlevel = "info"\n')

    async with a_house(tmp_path / "data", file) as home:
        file.write_text('[telemetry]\nlevel = "debug"\nlog = "json"\n[log.categories.x]\nretention = "1d"\n')
        os.kill(os.getpid(), signal.SIGHUP)
        await home.lines.levelled("debug")

    assert home.lines.form == "json"


async def test_with_dev_saving_the_file_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr("appliance.config.reload.LOOK_EVERY", 0.01)
    file = tmp_path / "appliance.toml"
    file.write_text('[telemetry]\nlevel = "info"\n')

    async with a_house(tmp_path / "data", file, dev=True) as home:
        file.write_text('[telemetry]\nlevel = "error"\n')
        os.utime(file, (1, 1))
        await home.lines.levelled("error")


async def test_tls_of_its_own_is_used_when_asked_for(tmp_path):
    async with a_house(tmp_path, **{"tls.mode": "auto"}) as home:
        stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", home.started.port, ssl_context=trusting(tmp_path))
        async with stream:
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await stream.receive_some()

    assert answer.startswith(b"HTTP/1.1 200")
    assert home.started.urls == (f"https://127.0.0.1:{home.started.port}",)


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "tls" / "ca.crt")


# What is had before the loop runs


def test_a_database_url_names_a_file_in_the_data_folder(tmp_path):
    with hold(tmp_path) as place:
        ground.engine(load(None, environ={}, flags={"db_url": "sqlite://shop.db"}), place, Notifier("")).close()

    assert (tmp_path / "shop" / "log.db").exists()


def test_a_port_replaces_that_of_every_address():
    loaded = load(None, environ={}, flags={"listen": "127.0.0.1:1", "port": 0})

    with ExitStack() as held:
        listeners = ground.listeners(loaded.settings, held)
        ports = [listener.getsockname()[1] for listener in listeners]

    assert ports != [1]
    assert [listener.fileno() for listener in listeners] == [-1]


def test_certificate_files_of_ones_own_are_named_when_they_cannot_be_used(tmp_path):
    loaded = load(None, environ={}, flags={"tls.cert": str(tmp_path / "c"), "tls.key": str(tmp_path / "k")})

    with hold(tmp_path / "data") as place, pytest.raises(ConfigError, match="cannot use c with k"):
        ground.certificate(loaded.settings, place)
