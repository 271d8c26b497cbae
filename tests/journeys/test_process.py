"""The real process and those who live with it: signals, a service manager, a second process, a pipe nobody reads."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.soak.victim import ROOT

pytestmark = pytest.mark.timeout(120)

PATIENCE = 30.0  # seconds for anything, on a busy machine


def wait_for(what: Callable[[], object], why: str) -> object:
    """Ask until the answer is true."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError(f"{why} did not happen within {PATIENCE:g} s")


class Appliance:
    """One running process with its output in a file."""

    def __init__(
        self, folder: Path, *arguments: str, data: Path | None, environment: dict[str, str], **popen: object
    ) -> None:
        self.data = data or folder / "data"
        self.output = folder / "output"
        command = [sys.executable, "-m", "appliance", "serve", *arguments]
        if "--test-mode" not in arguments:
            command += ["--data", str(self.data)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, **{"cwd": ROOT, "env": environment, "stdout": output, "stderr": output, **popen}
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def listening(self) -> int:
        """The port, once it accepts."""

        def port() -> int:
            assert self.process.poll() is None, self.said
            found = re.search(r"^Listening on :(\d+)$", self.said, re.MULTILINE)
            return int(found[1]) if found else 0

        found = wait_for(port, "listening")
        assert isinstance(found, int)
        return found

    def get(self, path: str, port: int) -> bytes:
        token = (self.data / "run" / "owner.token").read_text().strip()
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            body: bytes = answer.read()
        return body

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


Start = Callable[..., Appliance]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes on one data folder; none outlives the test."""
    started: list[Appliance] = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APPLIANCE_", "EVENTODB_"))}

    def begin(
        *arguments: str, data: Path | None = None, environment: dict[str, str] | None = None, **popen: object
    ) -> Appliance:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        one = Appliance(folder, *arguments, data=data, environment={**clean, **(environment or {})}, **popen)
        started.append(one)
        return one

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(PATIENCE)
        for stream in (one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Stands for systemd: a datagram socket that somebody reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_ends_it_cleanly(start: Start, number: signal.Signals):
    running = start("--port", "0")
    running.listening()
    there = (running.data / "run" / "address").exists()

    code = running.end(number)

    assert (there, code) == (True, 0)
    assert not (running.data / "run" / "address").exists()
    assert "Traceback" not in running.said


def test_open_streams_do_not_hold_up_the_end(start: Start):
    running = start("--port", "0")
    port = running.listening()
    token = (running.data / "run" / "owner.token").read_text().strip()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as stream:
        stream.sendall(f"GET /subscribe?all=true&token={token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        begun = stream.recv(4096)
        began = time.monotonic()

        code = running.end()

    assert begun.startswith(b"HTTP/1.1 200")
    assert code == 0
    assert time.monotonic() - began < 10


def test_a_second_process_on_the_same_data_is_refused_by_name(start: Start):
    running = start("--port", "0")
    port = running.listening()

    second = start("--port", "0", data=running.data)
    code = second.process.wait(PATIENCE)

    assert code == 7
    assert f"is in use by process {running.process.pid}, at http://127.0.0.1:{port}" in second.said
    assert "Traceback" not in second.said


def test_a_taken_port_is_one_clear_message(start: Start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = start("--listen", f"127.0.0.1:{port}")

        code = running.process.wait(PATIENCE)

    assert code != 0
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in running.said
    assert "Traceback" not in running.said


def test_a_wrong_configuration_is_one_clear_message_with_its_line(start: Start, tmp_path: Path):
    (tmp_path / "appliance.toml").write_text("[clients]\nlimits = 5\n")

    running = start("--port", "0", "--config", str(tmp_path / "appliance.toml"))
    code = running.process.wait(PATIENCE)

    assert code == 2
    assert f'unknown key "limits" in {tmp_path}/appliance.toml, line 2' in running.said
    assert 'did you mean "limit"?' in running.said


def test_hup_applies_what_it_can_names_the_rest_and_refuses_a_wrong_file_whole(start: Start, tmp_path: Path):
    file = tmp_path / "appliance.toml"
    file.write_text('name = "kitchen"\n')
    running = start("--port", "0", "--config", str(file))
    port = running.listening()

    file.write_text('name = "cellar"\n[telemetry]\nlog = "json"\n')
    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration reloaded" in running.said, "the reload")
    file.write_text('[telemetry]\nlog = "text"\nlevl = "debug"\n')
    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration is wrong" in running.said, "the refusal")

    told = [json.loads(line) for line in running.said.splitlines() if line.startswith("{")]
    reloaded = next(line for line in told if line["event"] == "configuration reloaded")
    refused = next(line for line in told if line["event"].startswith("configuration is wrong"))
    assert (reloaded["applied"], reloaded["needs_restart"]) == (["telemetry.log"], ["name"])
    assert 'unknown key "levl"' in refused["reason"]
    assert f"{file}, line 3" in refused["reason"]
    assert json.loads(running.get("/status", port))["name"] == "kitchen"
    assert running.end() == 0


def test_a_stdout_that_nobody_reads_stops_nothing(start: Start):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # the smallest there is
    running = start("--port", "0", stdout=writing)
    os.close(writing)
    try:
        said = b""
        while not (found := re.search(rb"^Listening on :(\d+)\n", said, re.MULTILINE)):
            said += os.read(reading, 4096)
        port = int(found[1])

        def full() -> bool:
            running.process.send_signal(signal.SIGHUP)  # a log line each
            return _unread(reading) > 3900

        wait_for(full, "the pipe being full")
        answers = []
        for _ in range(50):
            running.process.send_signal(signal.SIGHUP)
            answers.append(running.get("/health", port))

        assert {json.loads(answer)["status"] for answer in answers} == {"ok"}
        assert running.end() == 0
    finally:
        os.close(reading)


def _unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_stdout_whose_reader_is_gone_stops_nothing(start: Start):
    reading, writing = os.pipe()
    running = start("--port", "0", stdout=writing)
    os.close(writing)
    said = b""
    while b"Listening on :" not in said:
        said += os.read(reading, 4096)
    os.close(reading)
    running.process.send_signal(signal.SIGHUP)  # writes a line into nothing

    assert running.end() == 0


def test_a_service_manager_is_told_of_ready_watchdog_reload_and_stop(start: Start, manager: socket.socket):
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "300000"}
    running = start("--port", "0", environment=environment)

    ready = manager.recv(4096)
    port = running.listening()
    pings = [manager.recv(4096) for _ in range(3)]
    running.process.send_signal(signal.SIGHUP)
    heard = [manager.recv(4096)]
    while not heard[-1].startswith(b"READY=1"):
        heard.append(manager.recv(4096))
    running.process.send_signal(signal.SIGTERM)
    while not heard[-1].startswith(b"STOPPING=1"):
        heard.append(manager.recv(4096))

    assert ready == f"READY=1\nSTATUS=serving on port {port}".encode()
    assert set(pings) == {b"WATCHDOG=1"}
    reloading = [one for one in heard if one.startswith(b"RELOADING=1\nMONOTONIC_USEC=")]
    assert len(reloading) == 1
    assert running.process.wait(PATIENCE) == 0


def test_a_loop_that_stands_still_gets_no_more_pings(start: Start, manager: socket.socket):
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "150000"}
    running = start("--port", "0", environment=environment)
    while manager.recv(4096) != b"WATCHDOG=1":
        pass

    running.process.send_signal(signal.SIGSTOP)
    manager.settimeout(0.5)
    with contextlib.suppress(TimeoutError):  # what was sent before it stood still
        while True:
            manager.recv(4096)
    with pytest.raises(TimeoutError):
        manager.recv(4096)
    running.process.send_signal(signal.SIGCONT)
    manager.settimeout(PATIENCE)

    assert manager.recv(4096) == b"WATCHDOG=1"
    assert running.end() == 0


ACTIVATE = """
import os, sys
passed = int(sys.argv[1])
os.dup2(passed, 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "appliance", "serve", *sys.argv[2:]])
"""


def test_a_socket_passed_by_the_service_manager_is_served_and_no_other(tmp_path: Path):
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        queued = socket.create_connection(("127.0.0.1", port))  # before anybody is home
        queued.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        command = [sys.executable, "-c", ACTIVATE, str(listening.fileno()), "--data", str(data), "--port", "1"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, pass_fds=[listening.fileno()]) as process:
            assert process.stdout is not None
            said = b""
            while b"Listening on :" not in said:
                said += process.stdout.readline()
            queued.settimeout(PATIENCE)
            answer = queued.recv(4096)
            queued.close()
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)

    assert f"Listening on :{port}".encode() in said
    assert answer.startswith(b"HTTP/1.1 200")
    assert code == 0


def test_test_mode_needs_no_token_keeps_nothing_and_warns(start: Start):
    running = start("--test-mode", "--port", "0")
    port = running.listening()

    asked = urllib.request.Request(f"http://127.0.0.1:{port}/rpc", b'["sys.version"]')
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        status, token = answer.status, answer.headers["X-EventoDB-Token"]
    code = running.end()

    assert (status, code) == (200, 0)
    assert token.startswith("ns_ZGVmYXVsdA_")
    assert token in running.said
    assert "test mode" in running.said


def test_a_log_that_is_not_what_was_written_is_one_clear_message(start: Start):
    running = start("--port", "0")
    running.listening()
    running.end()
    (running.data / "log.db").write_bytes(b"not a database, and long enough to be looked at" * 100)

    again = start("--port", "0", data=running.data)

    assert again.process.wait(PATIENCE) == 1
    assert "log.db" in again.said
    assert "Traceback" not in again.said
