"""The same API from another language: Node's fetch and its streams."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.contracts.message_store.store import Store


def test_node_writes_reads_and_hears_pokes(store: Store):
    script = Path(__file__).with_name("foreign.mjs")

    done = subprocess.run(
        ["node", script, store.url, store.token], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.returncode) == ("agreed\n", 0), done.stderr
