"""What every command is handed: the global options, a place to speak, and the way to a server."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from appliance.cli.render import Paint

if TYPE_CHECKING:
    from appliance.cli.local import Server
    from appliance.client import Client
    from appliance.config.load import Loaded

__all__ = ["Desk", "Globals", "fields", "with_desk"]


@dataclass
class Globals:
    """Options that every verb takes, before or after it."""

    config: str = ""
    data: str = ""
    url: str = ""
    token: str = ""
    json: bool = False
    quiet: bool = False
    no_color: bool = False


@dataclass
class Desk:
    """Results go to stdout, everything else to stderr; `--json` turns results into JSON, `--quiet` drops the rest."""

    options: Globals = field(default_factory=Globals)
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def json(self) -> bool:
        return self.options.json

    @cached_property
    def on_terminal(self) -> bool:
        return self.out.isatty()

    @cached_property
    def paint(self) -> Paint:
        """Colours for stdout."""
        return self._paint(self.out)

    @cached_property
    def err_paint(self) -> Paint:
        return self._paint(self.err)

    @property
    def width(self) -> int:
        return shutil.get_terminal_size().columns

    def say(self, text: str) -> None:
        """A result for people."""
        try:
            self.out.write(f"{text}\n")
            self.out.flush()
        except BrokenPipeError:  # the reader has seen enough, as `head` does
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), self.out.fileno()
            )  # else Python complains when it flushes at exit
            raise click.exceptions.Exit(0) from None

    def show(self, value: object, text: str) -> None:
        """A result: `value` with --json, else `text`."""
        self.say(json.dumps(value, ensure_ascii=False) if self.json else text)

    def note(self, text: str) -> None:
        """Something beside the result."""
        if not self.options.quiet:
            self.err.write(f"{text}\n")
            self.err.flush()

    def warn(self, text: str) -> None:
        self.note(f"{self.err_paint('warning:', 'bold', 'yellow')} {text}")

    def progress(self, text: str, *, last: bool = False) -> None:
        """A line that the next one replaces; without a terminal only the last is written."""
        if self.options.quiet or not (last or self.err.isatty()):
            return
        start = "\r\x1b[K" if self.err.isatty() else ""
        self.err.write(f"{start}{text}{chr(10) if last else ''}")
        self.err.flush()

    def confirm(self, question: str) -> bool:
        """Whether the answer on stdin is yes. Asked on stderr, so that stdout stays clean."""
        self.err.write(f"{question} [y/N]: ")
        self.err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @cached_property
    def config(self) -> Loaded:
        """The configuration a server started here would have."""
        from appliance.cli.local import loaded

        return loaded(self.options, self.environ)

    @property
    def data(self) -> Path:
        """The data folder of the local appliance."""
        return self.config.settings.data

    @cached_property
    def server(self) -> Server:
        """Address and credentials of the server to talk to.

        Raises:
            Unreachable: none was named and none is found here.
        """
        from appliance.cli.local import find_server

        return find_server(self)

    @contextmanager
    def client(self, timeout: float = 30.0) -> Iterator[Client]:
        """A client of the server to talk to."""
        from appliance.client import Client

        server = self.server
        with Client(server.url, server.token, timeout=timeout, ca=server.ca, on_lost=self._lost) as client:
            yield client

    def _lost(self, error: Exception | None, pause: float) -> None:
        why = "the server ended the stream" if error is None else str(error)
        self.warn(f"{why}; trying again in {pause:.1f} s, nothing will be missed")

    def _paint(self, stream: TextIO) -> Paint:
        wanted = not (self.options.no_color or self.environ.get("NO_COLOR"))
        return Paint(wanted and self.environ.get("TERM") != "dumb" and stream.isatty())


with_desk = click.make_pass_decorator(Desk)


def fields(value: Any) -> dict[str, Any]:
    """A client's plain value as JSON fields."""
    import dataclasses

    return dataclasses.asdict(value)
