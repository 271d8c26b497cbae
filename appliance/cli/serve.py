"""`serve`: start the appliance, here, until it is told to stop."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance import __version__
from appliance.cli.banner import Welcome, banner
from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.web.reach import lan_addresses, on_loopback, reachable

if TYPE_CHECKING:
    from appliance.app import Started

__all__ = ["commands", "welcome_lines"]


@verb(
    "serve",
    examples=[
        "appliance serve                               on this machine, data in ./data",
        "appliance serve --listen lan:8420             for the whole network",
        "appliance serve --data /srv/appliance --port 0",
        "appliance serve --test-mode --port 8080       for test suites: private data, no token needed",
    ],
)
@click.option("--dev", help="for writing plugins: reload when the configuration is saved", is_flag=True, default=None)
@click.option("--port", metavar="N", help="listen on this port; 0: any free one")
@click.option("--listen", metavar="WHERE", help="loopback:8420, lan:8420, or an address and a port")
@click.option("--data-dir", metavar="DIR", help="the same as --data")
@click.option("--db-url", metavar="URL", help="sqlite://FILE: the log's file in the data folder")
@click.option("--test-mode", help="for test suites: private temporary data, relaxed tokens", is_flag=True, default=None)
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error")
@click.option("--log-format", metavar="FORM", help="text or json")
@click.option("--accept-loss", help="start although acknowledged events are missing", is_flag=True, default=None)
@with_desk
def serve(
    desk: Desk,
    dev: bool | None,
    port: str | None,
    listen: str | None,
    data_dir: str | None,
    db_url: str | None,
    test_mode: bool | None,
    log_level: str | None,
    log_format: str | None,
    accept_loss: bool | None,
) -> int:
    """Start the appliance. Ctrl-C or SIGTERM ends it, SIGHUP reloads the configuration.

    Without --data the data folder is ./data, or what the configuration says. --token replaces the token of namespace
    default. Once it accepts connections it prints `Listening on :PORT` on stdout.
    """
    from appliance.cli.local import loaded
    from appliance.process import run

    flags = {
        "data": data_dir or desk.options.data or None,
        "token": desk.options.token or None,
        "dev": dev,
        "port": port,
        "listen": listen,
        "db_url": db_url,
        "test_mode": test_mode,
        "telemetry.level": log_level,
        "telemetry.log": log_format,
        "accept_loss": accept_loss,
    }
    return run(loaded(desk.options, desk.environ, flags), lambda started: welcome_lines(started, desk))


def welcome_lines(started: Started, desk: Desk) -> Iterator[str]:
    """What is printed when it is ready: everything for an eye, for a pipe only what a test server gives away."""
    if not desk.on_terminal:
        if started.test_mode:
            yield "DEFAULT NAMESPACE TOKEN:"
            yield started.owner_token
            yield "ONE-TIME ADMIN LINK:"
            yield started.link
        return
    urls = reachable(started.urls, lan_addresses())
    welcome = Welcome(
        name=started.name,
        version=__version__,
        urls=urls,
        data=_short(started.data),
        link=started.link,
        token=started.owner_token if started.test_mode else "",
        program=_invoked(started.data),
        warnings=tuple(_warnings(started, not all(map(on_loopback, urls)))),
    )
    yield from banner(welcome, desk.paint, code=desk.width >= 60).split("\n")


def _warnings(started: Started, open_to_network: bool) -> Iterator[str]:
    if started.test_mode:
        yield "test mode: whoever reaches it may read and write, and nothing is kept"
    elif open_to_network and started.urls[0].startswith("http:"):
        yield 'the network can read along; tls = "auto" in the configuration encrypts'


def _invoked(data: Path) -> str:
    """How the reader calls us from the folder we were started in, so that what is shown can be typed."""
    path = Path(sys.argv[0])
    found = shutil.which(path.name)
    if path.name == "__main__.py":
        program = "python3 -m appliance"
    elif found is not None and path.exists() and Path(found).samefile(path):
        program = path.name
    else:
        program = _short(path) if os.access(path, os.X_OK) else f"python3 {_short(path)}"
    usual = data.absolute() == Path("data").absolute()  # where the other verbs look unasked
    return program if usual else f"{program} --data {_short(data)}"


def _short(path: Path) -> str:
    """A path as people would type it here."""
    try:
        return f"./{path.absolute().relative_to(Path.cwd())}"
    except ValueError:
        return str(path)


commands = {"serve": serve}
