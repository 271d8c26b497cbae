"""The one file, as somebody who downloaded it meets it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pyz() -> Path:
    """`dist/appliance.pyz`, built first if it is not there."""
    path = ROOT / "dist/appliance.pyz"
    if not path.exists():
        subprocess.run(["make", "-C", ROOT, "pyz"], check=True, timeout=300, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def served(pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """Port and token of the file, serving with next to nothing in its environment."""
    folder = tmp_path_factory.mktemp("zipapp")
    environment = {"PATH": os.environ["PATH"], "SHIV_ROOT": str(folder / "unpacked")}
    command = [str(pyz), "serve", "--data", str(folder / "data"), "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r"Listening on :(\d+)", line)))
        yield port, (folder / "data/run/owner.token").read_text().strip()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def asked(port: int, method: str, path: str, body: str = "", token: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body or None, {"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_one_file_holds_everything_it_needs(pyz: Path):
    """MDB003_5A_T1: it builds, and carries plugins, units and compiled code for each Python."""
    with zipfile.ZipFile(pyz) as archive:
        names = "\n".join(archive.namelist())

    for part in ("appliance/_plugins/host/plugin.toml", "appliance/_systemd/appliance.service", "cksumvfs"):
        assert part in names
    for python in ("cpython-311", "cpython-312", "cpython-313"):
        assert python in names


def test_the_file_starts_and_is_healthy(served: tuple[int, str]):
    """MDB003_5A_T2, MDB003_5A_T3: it starts, and its health is reachable."""
    status, body = asked(served[0], "GET", "/health")

    assert (status, json.loads(body)["status"]) == (200, "ok")


def test_the_api_of_the_file_is_reachable(served: tuple[int, str]):
    """MDB003_5A_T6: what is written through its API is read back."""
    port, token = served
    wrote = asked(port, "POST", "/rpc", '["stream.write","zip-1",{"type":"Tried","data":{"n":1}}]', token)
    read = asked(port, "POST", "/rpc", '["stream.get","zip-1"]', token)

    assert wrote[0] == read[0] == 200
    assert [message[4] for message in json.loads(read[1])] == [{"n": 1}]
