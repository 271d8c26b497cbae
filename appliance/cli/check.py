"""`check`: is everything in order, before something breaks? Fit for cron: exit code 1 if not."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.exits import Exit
from appliance.cli.local import OWNER_TOKEN, holder_of, offline
from appliance.cli.render import amount, plain, size
from appliance.client.protocol import rest
from appliance.errors import ApplianceError

__all__ = ["Finding", "commands"]

LITTLE_SPACE = 1_000_000_000  # bytes; below it a warning
NO_SPACE = 64_000_000  # bytes; below it writes will soon be refused
FIRST_POSSIBLE = 1_767_225_600  # 2026-01-01: a clock before it was never set
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}
LABEL = 13  # columns


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    name: str
    state: str  # ok, warning or failed
    message: str
    hint: str = ""


@verb(
    "check",
    examples=[
        "appliance check",
        "appliance check --deep                    also reads every page of the log",
        "0 * * * *  appliance check --quiet        in cron: says only what is wrong",
    ],
    fields='{"ok", "checks": [{name, state: ok|warning|failed, message, hint}]}',
)
@click.option("--deep", is_flag=True, help="read every page of the log; takes a while")
@with_desk
def check(desk: Desk, deep: bool) -> int:
    """Look at configuration, plugins, port, disk, clock, permissions and data."""
    findings = list(_findings(desk, deep))
    failed = [one for one in findings if one.state == "failed"]
    shown = [one for one in findings if one.state != "ok" or not desk.options.quiet]
    if desk.json or shown:
        value = {"ok": not failed, "checks": [asdict(one) for one in findings]}
        desk.show(value, "\n".join(_line(one, desk) for one in shown))
    if any(one.name == "config" for one in failed):
        return Exit.USAGE
    return Exit.FAILED if failed else Exit.DONE


def _findings(desk: Desk, deep: bool) -> Iterator[Finding]:
    config = _seen("config", lambda: _config(desk))
    yield config
    if config.state == "failed":
        return  # where the rest would be is not known
    pid = holder_of(desk.data)
    yield _seen("plugins", lambda: _plugins(desk))
    yield _seen("port", lambda: _port(desk, pid))
    yield _seen("disk", lambda: _disk(desk))
    yield _seen("clock", lambda: _clock(desk.data))
    yield _seen("permissions", lambda: _permissions(desk.data))
    yield _seen("data", lambda: _data(desk, pid))
    if deep and (desk.data / "log.db").exists():
        yield _seen("pages", lambda: _pages(desk.data / "log.db"))


def _seen(name: str, look: Callable[[], Finding]) -> Finding:
    """A look that failed is a finding too."""
    try:
        return look()
    except ApplianceError as error:
        return Finding(name, "failed", error.message, error.hint)
    except OSError as error:
        return Finding(name, "failed", str(error))


def _config(desk: Desk) -> Finding:
    where = "no file, all defaults" if desk.config.file is None else str(desk.config.file)
    return Finding("config", "ok", f"{where}; {amount(len(desk.config.origins), 'value')} given")


def _plugins(desk: Desk) -> Finding:
    from appliance.cli.plugin import findings_of, installed

    enabled = [one for one in installed(desk) if one.enabled]
    wrong = findings_of(enabled)
    if wrong:
        told = "; ".join(f"{one.plugin}: {one.message}" for one in wrong)
        return Finding("plugins", "failed", told, wrong[0].hint)
    return Finding("plugins", "ok", f"{amount(len(enabled), 'plugin')} would start")


def _port(desk: Desk, pid: int | None) -> Finding:
    from appliance.web.listen import listen

    if pid is not None:
        return Finding("port", "ok", f"{desk.server.url} is ours, process {pid}")
    addresses = desk.config.settings.addresses
    for spec in addresses:
        for sock in listen(spec):
            sock.close()
    return Finding("port", "ok", f"{', '.join(addresses)} is free")


def _disk(desk: Desk) -> Finding:
    there = next(folder for folder in (desk.data.absolute(), *desk.data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    message = f"{size(free)} free for {desk.data}"
    if free < NO_SPACE:
        return Finding("disk", "failed", message, "make room, or shorten log.retention: writes will be refused")
    return Finding("disk", "ok" if free > LITTLE_SPACE else "warning", message)


def _clock(data: Path) -> Finding:
    now, log = time.time(), data / "log.db"
    if now < FIRST_POSSIBLE:
        return Finding("clock", "failed", f"it is {time.strftime('%Y-%m-%d')} here", "set the clock of this machine")
    if log.exists() and log.stat().st_mtime > now + 60:
        return Finding("clock", "warning", "the log was written in the future", "the clock was set back: check it")
    return Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def _permissions(data: Path) -> Finding:
    if not data.exists():
        return Finding("permissions", "ok", "no data yet")
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        return Finding("permissions", "failed", f"{data} cannot be written", "run as the user who owns it")
    token = data / OWNER_TOKEN
    if token.exists() and stat.S_IMODE(token.stat().st_mode) & 0o077:
        return Finding("permissions", "failed", f"others can read {token}", f"chmod 600 {token}, then restart")
    if stat.S_IMODE(data.stat().st_mode) & 0o077:
        return Finding("permissions", "warning", f"others can look into {data}", f"chmod 700 {data}")
    return Finding("permissions", "ok", f"{data} is ours alone")


def _data(desk: Desk, pid: int | None) -> Finding:
    if pid is not None:
        with desk.client() as client:
            storage = client.run(rest("GET", "/status"))["storage"]
        return _storage(storage["events"], storage["verified"], storage["lost"], "when it was opened")
    if not desk.data.exists():
        return Finding("data", "ok", "no data yet")
    with offline(desk) as engine:
        found = engine.recovery
    return _storage(found.events, found.verified, found.lost, "now")


def _storage(events: int, verified: int, lost: int, when: str) -> Finding:
    if lost:
        return Finding("data", "failed", f"{amount(lost, 'acknowledged event')} lost", "appliance error events_lost")
    return Finding("data", "ok", f"{amount(events, 'event')}, the last {verified} checked {when}")


def _pages(path: Path) -> Finding:
    import apsw

    from appliance.storage.sqlite import pages  # noqa: F401 - has every page checked against its checksum

    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        lines = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    except (apsw.CorruptError, apsw.IOError) as error:
        lines = [f"a page is not what was written: {error}"]
    finally:
        db.close()
    if lines != ["ok"]:
        return Finding("pages", "failed", str(lines[0]), "appliance error corrupt")
    return Finding("pages", "ok", "every page of the log is well formed")


def _line(one: Finding, desk: Desk) -> str:
    mark, colour = MARKS[one.state]
    line = f"{desk.paint(mark, colour)} {one.name.ljust(LABEL)}{plain(one.message)}"
    return f"{line}\n  {' ' * LABEL}{plain(one.hint)}" if one.hint else line


commands = {"check": check}
