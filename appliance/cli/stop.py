"""`stop`: end the local appliance politely."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from appliance.cli.base import Count, verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.local import holder_of
from appliance.client import Unreachable
from appliance.errors import Forbidden, Unavailable

__all__ = ["commands"]

PAUSE = 0.05  # seconds between two looks


@verb("stop", examples=["appliance stop", "appliance stop --data /srv/appliance"], fields="pid, seconds")
@click.option("--timeout", metavar="S", type=Count(), default=60, help="wait so many seconds for its end (60)")
@with_desk
def stop(desk: Desk, timeout: int) -> None:
    """End the appliance of this data folder: it finishes what is in flight, then goes."""
    data = desk.data
    pid = holder_of(data)
    if pid is None:
        raise Unreachable(f"no appliance runs on the data in {data.absolute()}", hint="name its folder with --data")
    begun = time.monotonic()
    _ask(pid)
    _await_end(data, begun + timeout, pid)
    took = time.monotonic() - begun
    desk.show({"pid": pid, "seconds": round(took, 3)}, f"process {pid} has ended")


def _ask(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return  # it has just ended
    except PermissionError as error:
        raise Forbidden(f"process {pid} belongs to somebody else", hint="stop it as its user, or with sudo") from error


def _await_end(data: Path, until: float, pid: int) -> None:
    while holder_of(data) == pid:
        if time.monotonic() > until:
            raise Unavailable(f"process {pid} has not ended yet", hint="wait longer with --timeout, or look at its log")
        time.sleep(PAUSE)


commands = {"stop": stop}
