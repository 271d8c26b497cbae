"""The real process on a real terminal: its first screen has a link, and the link lets in."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.served import PATIENCE, ROOT

LINK = re.compile(r"http://127\.0\.0\.1:\d+/welcome#code=[\w-]{22}(?![\w-])")


def first_screen(terminal: int) -> str:
    """What has been shown up to the last line of it."""
    seen, deadline = "", time.monotonic() + PATIENCE
    while "publish hello" not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 4096).decode()
    return seen


def test_the_first_screen_of_a_terminal_has_a_link_that_makes_an_admin(tmp_path: Path):
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "appliance", "serve", "--port=0", f"--data={tmp_path / 'data'}", "--no-color"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APPLIANCE_", "EVENTODB_"))}
    process = subprocess.Popen(command, cwd=ROOT, env=clean, stdin=subprocess.DEVNULL, stdout=inside)
    os.close(inside)
    try:
        screen = first_screen(terminal)
        [link] = LINK.findall(screen)
        page, _, code = link.partition("/welcome#code=")
        body = json.dumps({"code": code}).encode()
        with urllib.request.urlopen(f"{page}/api/v1/welcome", body, timeout=PATIENCE) as answer:
            made = json.loads(answer.read())
    finally:
        process.terminate()
        code_of_end = process.wait(PATIENCE)
        os.close(terminal)

    assert "works once, within 15 minutes" in screen
    assert made["scopes"] == ["admin"]
    assert made["token"] not in screen
    assert code_of_end == 0
