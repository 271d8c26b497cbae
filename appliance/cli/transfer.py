"""`export` and `import`: all events as lines of JSON, and back.

Texts and exit codes follow the commands of the message store's own program, so that its scripts work here too.
"""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

import click

from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.exits import Exit
from appliance.client import Unreachable
from appliance.errors import ApplianceError, NotFound

__all__ = ["commands"]

GZIP_MAGIC = b"\x1f\x8b"
EVERY = 0.25  # seconds between two progress lines


@verb(
    "export",
    examples=[
        "appliance export --output events.ndjson",
        "appliance export --categories order,bill --since 2026-01-01 | gzip > orders.gz",
    ],
    fields="the same lines: id, stream, type, pos, gpos, data, meta, time",
)
@click.option("--categories", metavar="A,B", default="", help="only these")
@click.option("--since", metavar="DAY|TIME", default="", help="from then on")
@click.option("--until", metavar="DAY|TIME", default="", help="before then")
@click.option("--gzip", "zipped", is_flag=True, help="compress")
@click.option("--output", metavar="FILE", help="write here instead of stdout; the file appears when it is complete")
@with_desk
def export(desk: Desk, categories: str, since: str, until: str, zipped: bool, output: str | None) -> int:
    """Write all events of the namespace as lines of JSON, in log order."""
    if (missing := _missing(desk)) is not None:
        return missing
    count, shown = 0, 0.0
    with desk.client() as client, _sink(output, zipped) as sink:
        for line in client.export_lines([name for name in categories.split(",") if name], since, until):
            sink.write(line + b"\n")
            count += 1
            if time.monotonic() - shown > EVERY:
                shown = time.monotonic()
                desk.progress(f"Exported: {count} events...")
    desk.progress(f"Exported: {count} events total", last=True)
    return Exit.DONE


@verb(
    "import",
    examples=[
        "appliance import --input events.ndjson",
        "zcat orders.gz | appliance import --url http://box:8420 --token ns_…",
    ],
    fields="imported, elapsed_s",
)
@click.option("--input", "source", metavar="FILE", help="read from here instead of stdin")
@click.option("--gzip", "zipped", is_flag=True, help="the input is compressed (found out by itself)")
@click.option("--force", is_flag=True, help="first delete what the namespace holds; asks")
@with_desk
def import_(desk: Desk, source: str | None, zipped: bool, force: bool) -> int:
    """Read events as lines of JSON. They keep their positions, ids and times.

    Every thousand lines are one step: after an error the steps before it stay.
    """
    if (missing := _missing(desk)) is not None:
        return missing
    if force:
        desk.warn("--force deletes all events of the namespace first.")
        if not desk.confirm("Are you sure you want to continue?"):
            desk.say("Import cancelled.")
            return Exit.DONE
    begun = time.monotonic()
    count = 0
    try:
        with desk.client(timeout=300.0) as client, _lines(source, zipped) as lines:
            for step in client.import_lines(lines, force=force):
                count = step.count
                desk.progress(f"Imported: {count} events (gpos: {step.global_position})...")
    except ApplianceError as error:
        if "line" not in error.facts:
            raise
        line = f" (line {error.facts['line']})" if error.facts["line"] else ""
        desk.progress("", last=desk.err.isatty())
        desk.err.write(f"Error: {error.facts['wire_code']}: {error.message}{line}\n")
        return Exit.FAILED
    elapsed = time.monotonic() - begun
    desk.progress(f"Imported: {count} events in {elapsed:.1f}s", last=True)
    if desk.json:
        desk.show({"imported": count, "elapsed_s": round(elapsed, 3)}, "")
    return Exit.DONE


def _missing(desk: Desk) -> int | None:
    """Say which option is missing if no server is named and none is found here."""
    try:
        server = desk.server
    except Unreachable:
        missing = "--token" if desk.options.url else "--url"
    else:
        if server.token:
            return None
        missing = "--token"
    desk.err.write(f"Error: {missing} is required\n")
    return Exit.FAILED


@contextmanager
def _sink(output: str | None, zipped: bool) -> Iterator[BinaryIO]:
    """Where an export goes. A file gets its name only when it is whole."""
    if output is None:
        with _packed(sys.stdout.buffer, zipped) as sink:
            yield sink
        sys.stdout.buffer.flush()
        return
    part = Path(output + ".part")
    try:
        with part.open("wb") as raw, _packed(raw, zipped) as sink:
            yield sink
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _packed(raw: BinaryIO, zipped: bool) -> Iterator[BinaryIO]:
    if not zipped:
        yield raw
        return
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
        yield cast(BinaryIO, packed)


@contextmanager
def _lines(source: str | None, zipped: bool) -> Iterator[Iterable[bytes]]:
    """The lines of the input; that it is compressed is seen in its first bytes."""
    with ExitStack() as stack:
        raw = sys.stdin.buffer if source is None else stack.enter_context(_opened(source))
        packed = zipped or cast(BufferedReader, raw).peek(2)[:2] == GZIP_MAGIC
        yield stack.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw


def _opened(source: str) -> BinaryIO:
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise NotFound(f"{source} cannot be read: {error.strerror}", hint="check --input") from error


commands = {"export": export, "import": import_}
