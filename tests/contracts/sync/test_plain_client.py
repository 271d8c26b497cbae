"""The client that applications already have, with all its habits, finds the server it expects."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import PATIENCE, Served, serving

SCRIPT = Path(__file__).with_name("scenarios.mjs")
SCENARIOS = {
    "connects": "",
    "one client hears one event": "2.1a, 2.1b",
    "two clients hear one channel": "2.1c",
    "the last handler that goes unsubscribes": "2.1d",
    "a dropped client returns and is subscribed again": "scenario 4",
    "a manual disconnect comes back by itself": "",
    "a handler that throws harms nobody else": "",
    "what a tab tells others never reaches the server": "",
    "frames of control reach no handler": "",
    "a listener that was removed hears no states": "",
    "a server that is not there": "",
    "the server is healthy": "infra1",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One where strangers may listen and test suites may write."""
    folder = tmp_path_factory.mktemp("sync")
    config = folder / "appliance.toml"
    config.write_text("[broadcast]\nanonymous = true\ntest_route = true\n")
    with serving(folder, arguments=[f"--config={config}"]) as server:
        yield server


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "--experimental-websocket", "--no-warnings", str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_plain_client_agrees(server: Served, scenario: str):
    """2.1a, 2.1b, 2.1c, 2.1d, infra1, scenario 4: each named beside its scenario"""
    done = node(server.url, server.token, scenario)

    assert (done.stdout, done.returncode) == ("agreed\n", 0), done.stderr


def test_no_scenario_is_left_out():
    done = node("http://nowhere", "-")

    assert json.loads(done.stdout) == list(SCENARIOS)
