"""The eventing streams from another language: Node's own WebSocket, `ws` and `eventsource` from npm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.load.packages import npm
from tests.served import PATIENCE, serving

SCRIPT = Path(__file__).with_name("foreign.mjs")


@pytest.mark.conformance
def test_node_ws_and_eventsource_agree(tmp_path: Path):
    """Foreign clients read us: what a browser's WebSocket and EventSource would see (#39, #43)"""
    folders = [npm("ws@8"), npm("eventsource@4")]

    with serving(tmp_path) as server:
        done = subprocess.run(
            ["node", "--experimental-websocket", SCRIPT, server.url, server.token, *folders],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert (done.stdout, done.returncode) == ("agreed\n", 0), done.stderr
