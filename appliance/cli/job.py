"""`job`: work that is done later: what waits, what runs and how far it is, and what failed."""

from __future__ import annotations

import time
from typing import Any

import click

from appliance.cli.base import Count, Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.endings import by_ending
from appliance.cli.render import table
from appliance.client import Client
from appliance.client.protocol import rest

__all__ = ["bar", "commands"]

PATH = "/api/v1/jobs"
SHORT = 8  # last characters of an id
WHOLE = 36  # characters of an id
MOST = 1000
LOOK = 0.5  # seconds between two looks at a job that is watched
BAR = 30  # columns of a progress bar
OVER = ("completed", "failed", "cancelled")
STATUSES = ("pending", "running", *OVER)
FIELDS = """id, note_id, job_type, status, priority, payload, result, error_message, error_code, progress_percent,
progress_message, retry_count, max_retries, created_at, started_at, completed_at, next_attempt_at, cost_tier, memory,
cause, attempts"""
NUMBERS = "total, pending, delayed, processing, completed_last_hour, failed_last_hour, dead, incompatible"


@click.group(
    cls=Noun,
    examples=[
        "appliance job list --status failed",
        "appliance job show 4f2a9c1e --watch     any unambiguous ending of its id",
        "appliance job retry 4f2a9c1e",
        "appliance job cancel 4f2a9c1e",
        "appliance job pause --memory kitchen",
    ],
)
def job() -> None:
    """Work that is done later: what waits, what runs and how far it is, and what failed."""


@job.command("list", fields=f'{{"jobs": [{{{FIELDS}}}], {NUMBERS}}}')
@click.option("--status", type=click.Choice(STATUSES), help="only those")
@click.option("--type", "job_type", metavar="TYPE", help="only these: title_generation, or TitleGeneration")
@click.option("--note", "note_id", metavar="ID", help="only those about this")
@click.option("--memory", metavar="M", help="those of this memory")
@click.option("--limit", metavar="N", type=Count(), default=50, help="the newest N, 50 unless said")
@with_desk
def list_(desk: Desk, /, limit: int, **wish: str | None) -> None:
    """List jobs, newest first."""
    query = {"limit": str(limit), **{name: value for name, value in wish.items() if value}}
    with desk.client() as client:
        found: dict[str, Any] = client.run(rest("GET", PATH, query=query))
    rows = [
        (
            row["id"][-SHORT:],
            row["job_type"],
            row["status"],
            f"{row['progress_percent']} %",
            f"{row['retry_count']} of {row['max_retries']}",
            row["error_code"] or row["note_id"] or "",
            row["created_at"][:19].replace("T", " "),
        )
        for row in found["jobs"]
    ]
    headers = ("id", "type", "status", "done", "retries", "about", "queued at")
    running = f"{found['processing']} running, {found['pending']} pending, {found['delayed']} delayed"
    lines = table(rows, headers, desk.paint, right=(3, 4)) if rows else "there are no such jobs"
    desk.show(found, f"{lines}\n\n{running}, {found['dead']} failed")


@job.command("show", fields=FIELDS)
@click.argument("id_", metavar="ID")
@click.option("--memory", metavar="M", help="it is in this memory")
@click.option("--watch", is_flag=True, help="until it is over; the exit code says whether it is done")
@with_desk
def show(desk: Desk, id_: str, memory: str | None, watch: bool) -> int:
    """Show one job."""
    with desk.client() as client:
        path = _path(client, id_, memory)
        row = _row(client, path, memory)
        while watch and row["status"] not in OVER:
            desk.progress(_line(row))
            time.sleep(LOOK)
            row = _row(client, path, memory)
    if watch:
        desk.progress(_line(row), last=True)
    cells = [(name, value) for name, value in row.items() if value not in (None, "", []) and name != "attempts"]
    tries = [
        (one["number"], one["started_at"][11:23], one["duration_ms"], one["outcome"] or "runs", one["error_code"] or "")
        for one in row["attempts"]
    ]
    text = table(cells, ("job", ""), desk.paint)
    if tries:
        text += "\n\n" + table(tries, ("attempt", "at", "ms", "came to", "why"), desk.paint, right=(0, 2))
    desk.show(row, text)
    return 1 if watch and row["status"] != "completed" else 0


@job.command("retry", fields=FIELDS)
@click.argument("id_", metavar="ID")
@click.option("--memory", metavar="M", help="it is in this memory")
@with_desk
def retry(desk: Desk, id_: str, memory: str | None) -> None:
    """Try a job again that failed or was cancelled, or now what waits for its time."""
    with desk.client() as client:
        row: dict[str, Any] = client.run(rest("POST", f"{_path(client, id_, memory)}/retry", query=_memory(memory)))
    desk.show(row, f"{row['job_type']} {row['id']} waits for its turn")


@job.command("cancel", fields="id, status")
@click.argument("id_", metavar="ID")
@click.option("--memory", metavar="M", help="it is in this memory")
@with_desk
def cancel(desk: Desk, id_: str, memory: str | None) -> None:
    """Cancel a job. One that runs is asked to end, and made to if it does not."""
    with desk.client() as client:
        done: dict[str, Any] = client.run(rest("DELETE", _path(client, id_, memory), query=_memory(memory)))
    desk.show(done, "it is cancelled" if done["status"] == "cancelled" else "it runs, and is being ended")


@job.command("pause", fields="status, scope, archive")
@click.option("--memory", metavar="M", help="only jobs of this memory")
@with_desk
def pause(desk: Desk, memory: str | None) -> None:
    """Begin no more jobs. Those that run go on; a restart changes nothing."""
    _switch(desk, "pause", memory)


@job.command("resume", fields="status, scope, archive")
@click.option("--memory", metavar="M", help="only jobs of this memory")
@with_desk
def resume(desk: Desk, memory: str | None) -> None:
    """Begin jobs again."""
    _switch(desk, "resume", memory)


def bar(percent: int, width: int = BAR) -> str:
    """`███████░░░`"""
    full = width * percent // 100
    return "█" * full + "░" * (width - full)


def _line(row: dict[str, Any]) -> str:
    words = row["progress_message"] or row["error_code"] or ""
    return f"{row['job_type']}  {bar(row['progress_percent'])} {row['progress_percent']:3} %  {row['status']}  {words}"


def _switch(desk: Desk, what: str, memory: str | None) -> None:
    path = f"{PATH}/{what}" + (f"/{memory}" if memory else "")
    with desk.client() as client:
        done: dict[str, Any] = client.run(rest("POST", path))
    desk.show(done, f"jobs of memory {memory} are {done['status']}" if memory else f"jobs are {done['status']}")


def _path(client: Client, ending: str, memory: str | None) -> str:
    if len(ending) == WHOLE:
        return f"{PATH}/{ending}"
    query = {"limit": str(MOST), **_memory(memory)}
    known = [row["id"] for row in client.run(rest("GET", PATH, query=query))["jobs"]]
    return f"{PATH}/{by_ending(ending, known)}"


def _row(client: Client, path: str, memory: str | None) -> dict[str, Any]:
    row: dict[str, Any] = client.run(rest("GET", path, query=_memory(memory)))
    return row


def _memory(memory: str | None) -> dict[str, str]:
    return {"memory": memory} if memory else {}


commands = {"job": job}
