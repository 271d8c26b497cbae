"""`backup` and `restore`: copies that were opened and checked before they count, and the way back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.cli.base import Noun, verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.exits import Exit
from appliance.cli.local import holder_of, log_folder, offline, runs_here
from appliance.cli.render import amount, size, table
from appliance.client.protocol import rest
from appliance.errors import Conflict, Corrupt, NotFound
from appliance.storage import backup as store
from appliance.storage.ports import Proof
from appliance.supervise.place import hold

__all__ = ["commands"]

PATH = "/api/v1/backups"
SLOW = 3600.0  # seconds a server may take to copy and check a large log
FOUND = "name, created, reason, events, size, proven, problem"


@click.group(
    cls=Noun,
    examples=[
        "appliance backup now            a checked copy, while everything goes on",
        "appliance backup verify         open the newest and check every event",
        "appliance restore               put the newest back (stop the appliance first)",
    ],
)
def backup() -> None:
    """Copies of everything: events, tokens as hashes, configuration."""


@backup.command("now", fields="name, created, program, reason, events, namespaces, files")
@with_desk
def now(desk: Desk) -> None:
    """Make a backup, check it whole, and print its name."""
    if runs_here(desk) or desk.options.url:
        with desk.client(timeout=SLOW) as client:
            made: dict[str, Any] = client.run(rest("POST", PATH))
    elif not (log_folder(desk) / "log.db").exists():
        raise NotFound(f"there is no log in {desk.data.absolute()}", hint="name its folder with --data")
    else:
        with offline(desk) as engine:
            config = desk.config.file
            made = msgspec.to_builtins(store.make(engine, _folder(desk), wall_us=_wall_us(), config=config))
    held = sum(file["size"] for file in made["files"].values())
    desk.show(made, made["name"])
    desk.note(f"{amount(made['events'], 'event')}, {size(held)}, opened and checked whole")


@backup.command("list", fields=f'{{"backups": [{{{FOUND}}}]}}')
@with_desk
def list_(desk: Desk) -> None:
    """List backups, newest first, and when each was last proven."""
    rows = _rows(desk)
    cells = [
        (row["name"], f"{row['events']:,}".replace(",", " "), size(row["size"]), row["reason"], _state(row))
        for row in rows
    ]
    heads = ("backup", "events", "size", "made", "proven")
    desk.show({"backups": rows}, table(cells, heads, desk.paint, right=(1, 2)) if rows else "no backups")


@backup.command("verify", fields='{"backups": [{name, ok, events, message, hint}]}')
@click.argument("names", metavar="[NAME|FOLDER…]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="all that are there")
@with_desk
def verify(desk: Desk, names: Sequence[str], everything: bool) -> int:
    """Check every event of a backup: the newest, those named, or all."""
    wanted = [row["name"] for row in _rows(desk)] if everything else list(names) or [""]
    results = [_verified(desk, name) for name in wanted]
    lines = [f"{_mark(one, desk)} {one['name']}  {one['message']}" for one in results]
    desk.show({"backups": results}, "\n".join(lines) or "no backups")
    return Exit.DONE if all(one["ok"] for one in results) else Exit.FAILED


@verb(
    "restore",
    examples=[
        "appliance stop && appliance restore        the newest backup",
        "appliance restore 09-42-00Z                any unambiguous ending of its name",
        "appliance restore /media/stick/2026-11-21T09-42-00Z",
    ],
    fields="name, before, after: [{namespace, messages, streams, newest, digest}], aside, config",
)
@click.argument("name", metavar="[NAME|FOLDER]", default="")
@click.option("--force", is_flag=True, help="do not ask")
@with_desk
def restore(desk: Desk, name: str, force: bool) -> None:
    """Check a backup whole and put it in the place of the log. What was there is moved aside, not lost."""
    pid = holder_of(desk.data)
    if pid is not None:
        raise Conflict(f"process {pid} works on {desk.data}", hint="end it first: appliance stop")
    chosen = _named(desk, name)
    if not force and not desk.confirm(f"Put {chosen.name} in the place of the log in {desk.data}?"):
        desk.note("nothing was changed")
        return
    done = store.restore(chosen, log_folder(desk), wall_us=_wall_us(), hold=lambda: hold(desk.data))
    desk.show(msgspec.to_builtins(done), _counts(done.before, done.after, desk))
    if done.aside:
        desk.note(f"what was there before is in {done.aside}")
    if done.config:
        desk.note(f"the configuration of that time is in {done.config}")


def _folder(desk: Desk) -> Path:
    return desk.data / "backups"


def _named(desk: Desk, name: str) -> Path:
    """A backup by its name, an ending of it, or its folder."""
    return Path(name) if name and Path(name).is_dir() else store.find(_folder(desk), name)


def _remote(desk: Desk) -> bool:
    """Whether the backups are on another machine."""
    return bool(desk.options.url) and desk.server.data is None


def _rows(desk: Desk) -> list[dict[str, Any]]:
    """What backups there are, newest first."""
    if not _remote(desk):
        local: list[dict[str, Any]] = msgspec.to_builtins(store.listing(_folder(desk)))
        return local
    with desk.client() as client:
        listed: list[dict[str, Any]] = client.run(rest("GET", PATH))["backups"]
    return listed


def _verified(desk: Desk, name: str) -> dict[str, Any]:
    """Check one. That it is damaged is a result; that there is none is an error."""
    try:
        found = _proven_there(desk, name) if _remote(desk) else _proven_here(desk, name)
    except Corrupt as error:
        return {"name": name or "newest", "ok": False, "events": 0, "message": error.message, "hint": error.hint}
    message = f"{amount(found['events'], 'event')}, every one as it was written"
    return {"name": found["name"], "ok": True, "events": found["events"], "message": message, "hint": ""}


def _proven_here(desk: Desk, name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = msgspec.to_builtins(store.verify(_named(desk, name), wall_us=_wall_us()))
    return manifest


def _proven_there(desk: Desk, name: str) -> dict[str, Any]:
    wanted = name or next((row["name"] for row in _rows(desk) if not row["problem"]), "")
    if not wanted:
        raise NotFound(f"no backup at {desk.server.url}", hint="make one: appliance backup now")
    with desk.client(timeout=SLOW) as client:
        manifest: dict[str, Any] = client.run(rest("POST", f"{PATH}/{wanted}/verify"))
    return manifest


def _counts(before: Sequence[Proof] | None, after: Sequence[Proof], desk: Desk) -> str:
    """What each namespace held before, and holds now."""
    old = {proof.namespace: proof.messages for proof in before or ()}
    new = {proof.namespace: proof.messages for proof in after}
    rows = [(name, _held(old, name, before), _held(new, name, after)) for name in sorted(old | new)]
    return table(rows, ("namespace", "events before", "events now"), desk.paint, right=(1, 2))


def _held(counts: dict[str, int], name: str, known: Sequence[Proof] | None) -> str:
    return "unknown" if known is None else f"{counts.get(name, 0):,}".replace(",", " ")


def _state(row: dict[str, Any]) -> str:
    return f"no: {row['problem']}" if row["problem"] else str(row["proven"][:19])


def _mark(one: dict[str, Any], desk: Desk) -> str:
    return desk.paint("✓", "green") if one["ok"] else desk.paint("✗", "red")


def _wall_us() -> int:
    return time.time_ns() // 1000


commands = {"backup": backup, "restore": restore}
