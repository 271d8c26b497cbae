from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.cli.main import run
from tests.commands import Said
from tests.rooms.client.tiny_store import TOKEN, TinyStore, a_tiny_store


@pytest.fixture
def store() -> Iterator[TinyStore]:
    with a_tiny_store() as store:
        yield store


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing in it, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("APPLIANCE_URL", "APPLIANCE_TOKEN", "APPLIANCE_CONFIG", "EVENTODB_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def call(alone: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command line in this process."""

    def call(*argv: str) -> Said:
        code = run(argv)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture
def ask(call: Callable[..., Said], store: TinyStore) -> Callable[..., Said]:
    """Runs a command line against the tiny store."""
    return lambda *argv: call("--url", store.url, "--token", TOKEN, *argv)
