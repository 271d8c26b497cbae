"""`version`: which one this is. The bare number alone is printed without click, see `appliance.__main__`."""

from __future__ import annotations

import platform

import click

from appliance import __version__
from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk

__all__ = ["commands"]


@verb("version", examples=["appliance version --full"], fields="version, python, platform, sqlite, server")
@click.option("--full", is_flag=True, help="also Python, platform, SQLite, and the server's version if one answers")
@with_desk
def version(desk: Desk, full: bool) -> None:
    """Print the version."""
    facts = _facts(desk) if full or desk.json else {"version": __version__}
    desk.show(facts, "\n".join(f"{name:<9}{value}" for name, value in facts.items()) if full else __version__)


def _facts(desk: Desk) -> dict[str, str]:
    import apsw

    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "sqlite": apsw.sqlite_lib_version(),
        "server": _server_version(desk),
    }


def _server_version(desk: Desk) -> str:
    from appliance.client import Unreachable

    try:
        with desk.client(timeout=2.0) as client:
            return client.server_version()
    except Unreachable:
        return "not running"


commands = {"version": version}
