"""What a release promises: locked wheels, one file that refuses politely, units and containers that agree."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PORT = 8420
BUILD = "a" * 64
OLDER = "b" * 64


def load(name: str) -> ModuleType:
    """A file of packaging/, which is a folder of programs and no package."""
    spec = importlib.util.spec_from_file_location(f"packaging_{name}", ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guard, preamble, targets = load("guard"), load("preamble"), load("targets")


# --- locks -----------------------------------------------------------------------------------------


def pins_of(name: str) -> dict[str, list[str]]:
    """Package==version of a lock, with its hashes."""
    pins: dict[str, list[str]] = {}
    for line in (ROOT / "packaging" / "lock" / f"{name}.txt").read_text().replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            pin, *hashes = line.split()
            pins[pin] = hashes
    return pins


@pytest.mark.parametrize("name", ["runtime", "dev", "build"])
def test_every_package_of_a_lock_has_one_version_and_its_hashes(name: str):
    pins = pins_of(name)

    wrong = [
        pin
        for pin, hashes in pins.items()
        if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", pin)
        or not hashes
        or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)
    ]

    assert wrong == []
    assert len({pin.split("==")[0] for pin in pins}) == len(pins) > 0


def test_locks_agree_on_every_version():
    runtime, dev, build = (set(pins_of(name)) for name in ("runtime", "dev", "build"))

    assert runtime < dev
    assert {pin for pin in build if pin.startswith("click==")} < runtime


def test_locks_name_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]

    missing = {
        name: [wish for wish in wishes if not any(pin.startswith(plain_name(wish) + "==") for pin in pins_of(name))]
        for name, wishes in {
            "runtime": project["project"]["dependencies"],
            "dev": [*project["project"]["dependencies"], *groups["dev"]],
            "build": groups["build"],
        }.items()
    }

    assert missing == {"runtime": [], "dev": [], "build": []}


def plain_name(wish: str) -> str:
    match = re.match(r"[A-Za-z0-9-]+", wish)
    assert match is not None
    return match[0].lower()


def test_no_tracked_file_names_a_package_index():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode()
    index = re.compile("|".join(("index" + "-url", "find" + "-links", r"https?://\S*(py" + r"pi|python" + "hosted)")))

    naming = [
        name
        for name in tracked.split("\0")
        if name and (ROOT / name).is_file() and index.search((ROOT / name).read_text("utf-8", "replace"))
    ]

    assert naming == []


# --- the one file ----------------------------------------------------------------------------------

HERE = {"implementation": "cpython", "python": (3, 11), "mark": "", "machine": "x86_64", "library": "glibc 2.36"}
NEEDS = "error: this file needs CPython 3.11, 3.12, 3.13 on Linux x86_64 with glibc 2.28 or newer; here is "


@pytest.mark.parametrize(
    ("here", "found"),
    [
        ({}, None),
        ({"python": (3, 13)}, None),
        ({"library": "glibc 2.28"}, None),
        ({"python": (2, 7)}, "cpython 2.7"),
        ({"python": (3, 10)}, "cpython 3.10"),
        ({"python": (3, 14)}, "cpython 3.14"),
        ({"python": (3, 13), "mark": "t"}, "cpython 3.13t"),
        ({"implementation": "pypy"}, "pypy 3.11"),
        ({"machine": "aarch64"}, "aarch64"),
        ({"machine": "32 bit"}, "32 bit"),
        ({"library": "no glibc"}, "no glibc"),
        ({"library": "glibc 2.9"}, "glibc 2.9"),
        ({"library": "glibc 2.27"}, "glibc 2.27"),
    ],
)
def test_the_wrong_machine_gets_one_clear_line(here: dict[str, Any], found: str | None):
    pythons = tuple(tuple(int(part) for part in python.split(".")) for python in targets.PYTHONS)

    line = guard.objection(HERE | here, "x86_64", pythons, targets.GLIBC)

    assert line == (NEEDS + found if found else "")


def test_this_machine_is_described_as_the_guard_needs_it():
    here = guard.this_machine()

    assert here["python"] == sys.version_info[:2]
    assert here["machine"] == os.uname().machine
    assert re.fullmatch(r"glibc \d+\.\d+", here["library"])


def test_a_home_that_cannot_be_written_gets_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHIV_ROOT", "/proc/nowhere")

    line = guard.homeless("/srv/appliance.pyz", "~/.cache/appliance")

    assert line == "error: cannot unpack into /proc/nowhere; set SHIV_ROOT to a folder that may be written once"


def test_an_unpacked_file_needs_no_writable_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / f"appliance.pyz_{BUILD}").mkdir()
    tmp_path.chmod(0o500)
    monkeypatch.setenv("SHIV_ROOT", str(tmp_path))

    assert guard.homeless("/srv/appliance.pyz", "~/.cache/appliance") == ""


def test_the_guard_runs_before_the_newest_syntax_it_protects_from():
    text = (ROOT / "packaging" / "guard.py").read_text()

    modern = re.findall(r"\bf['\"]|:=|->|\bmatch \w+:|\bnonlocal\b|\basync\b|\bprint\b", text)

    assert modern == []


def test_older_extractions_go_and_those_of_other_files_stay(tmp_path: Path):
    current = tmp_path / f"appliance.pyz_{BUILD}"
    others = [f"appliance.pyz_{OLDER}", f"other.pyz_{OLDER}", "appliance.pyz_notes", f"appliance.pyz_{OLDER[:10]}"]
    for folder in (current, *(tmp_path / name for name in others)):
        (folder / "site-packages").mkdir(parents=True)
    (tmp_path / f".appliance.pyz_{OLDER}_lock").touch()

    removed = preamble.remove_older_than(current)

    assert [path.name for path in removed] == [f"appliance.pyz_{OLDER}"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([current.name, *others[1:]])


def test_an_extraction_in_use_stays_until_its_process_ends(tmp_path: Path):
    current, used = tmp_path / f"appliance.pyz_{BUILD}", tmp_path / f"appliance.pyz_{OLDER}"
    current.mkdir()
    used.mkdir()
    handle = preamble.keep(used)

    while_running = preamble.remove_older_than(current)
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)
    afterwards = preamble.remove_older_than(current)

    assert (while_running, afterwards) == ([], [used])


def test_an_extraction_under_way_is_left_alone_and_an_abandoned_one_goes(tmp_path: Path):
    current, half = tmp_path / f"appliance.pyz_{BUILD}", tmp_path / f"appliance.pyz_{OLDER}.tmp"
    current.mkdir()
    half.mkdir()

    fresh = preamble.remove_older_than(current)
    os.utime(half, (0, 0))
    old = preamble.remove_older_than(current)

    assert (fresh, old) == ([], [half])


# --- services and containers -----------------------------------------------------------------------


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit file; a key may come more than once."""
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in (ROOT / "systemd" / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            sections[section] = {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections[section].setdefault(key, []).append(value)
    return sections


def instructions() -> list[tuple[str, str]]:
    """Lines of the Dockerfile, continued ones joined."""
    text = (ROOT / "packaging" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_the_unit_speaks_to_systemd_as_the_supervisor_does():
    service = unit("appliance.service")["Service"]

    assert service["Type"] == ["notify"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert int(service["WatchdogSec"][0]) >= 10
    assert int(service["TimeoutStopSec"][0]) >= 60
    assert service["RestartPreventExitStatus"] == ["2"]  # a wrong configuration does not heal by trying again
    assert service["DynamicUser"] == ["yes"]
    assert service["StateDirectory"] == ["appliance"]


def test_unit_and_container_start_the_same_file_in_the_same_way():
    container = dict(instructions())
    entry = [*eval_list(container["ENTRYPOINT"]), *eval_list(container["CMD"])]
    service = unit("appliance.service")["Service"]
    command = shlex.split(service["ExecStart"][0].replace("${STATE_DIRECTORY}", "/var/lib/appliance"))

    assert [Path(command[0]).name, *command[1:]] == entry
    assert service["Environment"] == [
        next(text for name, text in instructions() if name == "ENV" and "SHIV_ROOT" in text)
    ]


def eval_list(text: str) -> list[str]:
    """A Dockerfile's exec form."""
    parts: list[str] = tomllib.loads(f"list = {text}")["list"]
    return parts


def test_socket_container_and_compose_share_one_port():
    container = instructions()
    compose = (ROOT / "packaging" / "compose.yaml").read_text()
    listen = next(text for name, text in container if name == "ENV" and "LISTEN" in text)

    assert unit("appliance.socket")["Socket"]["ListenStream"] == [f"127.0.0.1:{PORT}"]
    assert dict(container)["EXPOSE"] == str(PORT)
    assert listen == f"APPLIANCE_LISTEN=0.0.0.0:{PORT}"
    assert re.findall(r'- "127\.0\.0\.1:(\d+):(\d+)"', compose) == [(str(PORT), str(PORT))]


def test_container_asks_the_health_route_and_ends_politely():
    container = dict(instructions())
    compose = (ROOT / "packaging" / "compose.yaml").read_text()

    assert f"http://127.0.0.1:{PORT}/health" in container["HEALTHCHECK"]
    assert container["STOPSIGNAL"] == "SIGTERM"
    assert re.findall(r"stop_grace_period: (\d+)s", compose) == unit("appliance.service")["Service"]["TimeoutStopSec"]
    assert re.findall(r"dockerfile: (\S+)", compose) == ["packaging/Dockerfile"]
    assert "/var/lib/appliance" in container["VOLUME"]
    assert "data:/var/lib/appliance" in compose


# --- make ------------------------------------------------------------------------------------------


def test_make_alone_lists_every_target_with_one_line():
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    ).stdout.splitlines()[1:]

    names = [line.split()[0] for line in listed]

    expected = "setup run dev test check journeys conformance load soak pyz docs clean lock"
    assert sorted(names) == sorted(expected.split())
    assert all(len(line.split()) > 3 for line in listed)


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        ("exit 1", "error: no CPython 3.11 or newer was found"),
        (
            'case "$2" in *ensurepip*) exit 1;; *sys.exit*) exit 0;; *) echo 3.12;; esac',
            "error: python3 has no venv module",
        ),
    ],
    ids=["too old", "without venv"],
)
def test_a_python_that_will_not_do_is_named_with_the_line_that_helps(python: str, complaint: str, tmp_path: Path):
    (tmp_path / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "sh").symlink_to("/bin/sh")

    answer = subprocess.run(
        [ROOT / "packaging" / "find-python"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[0] == complaint
    assert "apt install python3 python3-venv git make" in answer.stderr
