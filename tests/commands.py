"""Command lines of tests: run in this process or as one of their own, and what they said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from appliance.cli.main import run
from tests.served import TOKEN, Served

__all__ = ["Said", "caller"]


@dataclass(frozen=True)
class Said:
    """What one command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def caller(served: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs command lines in this process, against the server."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv: str) -> Said:
        capfd.readouterr()
        code = run([*argv, "--url", served.url, "--token", TOKEN])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call
