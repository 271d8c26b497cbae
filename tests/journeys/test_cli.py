"""The command line and the client library against the real process."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from appliance.client import Client, Topic, Write
from appliance.client.protocol import rest
from appliance.errors import Forbidden, KeyReused, Unauthenticated
from tests.commands import Said
from tests.served import ROOT, TOKEN, Served, serving

pytestmark = pytest.mark.timeout(120)

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("APPLIANCE_", "EVENTODB_"))}


def appliance(*argv: str, text: str = "") -> Said:
    """One command line, as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *argv],
        cwd=ROOT,
        env=ENVIRONMENT,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def here(served: Served) -> Callable[..., Said]:
    """Finds the server by its data folder, as somebody who works on the same machine does."""
    return lambda *argv, **more: appliance("--data", str(served.folder / "data"), *argv, **more)


def subscribers(server: Served) -> int:
    with Client(server.url, server.token) as client:
        count: int = client.run(rest("GET", "/status"))["counts"]["subscribers"]
        return count


def until(ready: Callable[[], object]) -> None:
    """Ask until the answer is true."""
    end = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_published_is_seen_by_a_subscriber_in_another_process(here: Callable[..., Said], served: Served):
    watch = ["subscribe", "greeting", "--count", "2", "--url", served.url, "--token", TOKEN]
    watcher = subprocess.Popen(
        [sys.executable, "-m", "appliance", *watch], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdout is not None
    until(lambda: subscribers(served) == 1)

    receipts = [here("publish", "Hello", '{"from": "me"}', "--stream", "greeting-1") for _ in range(2)]
    with watcher.stdout as lines:
        seen = [json.loads(line) for line in lines]

    assert [receipt.out for receipt in receipts] == ["greeting-1 @ 0\n", "greeting-1 @ 1\n"]
    assert [(event["position"], event["data"]) for event in seen] == [(0, {"from": "me"}), (1, {"from": "me"})]
    assert watcher.wait(30) == 0


def test_a_tail_goes_on_after_a_restart_of_the_server(tmp_path: Path):
    with serving(tmp_path) as server:
        server.arguments = [*server.arguments, f"--port={server.port}"]
        topic = Topic(categories=("order", "bill"))
        with Client(server.url, TOKEN) as writer, Client(server.url, TOKEN) as reader, reader.tail(topic) as messages:
            writer.write("order-1", "Placed")
            first = next(messages)
            server.restart()
            writer.write("other-1", "Noise", key="after-1")
            writer.write("bill-1", "Sent", key="after-2")
            second = next(messages)

    assert [(m.stream, m.position) for m in (first, second)] == [("order-1", 0), ("bill-1", 0)]
    assert second.global_position > first.global_position


def test_the_way_test_suites_start_us_needs_no_verb(tmp_path: Path):
    """BIN --test-mode --port=N --token=T; the token comes back in a header and works."""
    command = [sys.executable, "-m", "appliance", "--test-mode", "--port=0", f"--token={TOKEN}"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, b"")
        port = next(int(found[1]) for line in lines if (found := re.match(rb"Listening on :(\d+)$", line.rstrip())))
        with Client(f"http://127.0.0.1:{port}") as client:
            receipt = client.write("a-1", "T")
            adopted = client.token
        shown = next(lines), next(lines)
    finally:
        process.terminate()
        code = process.wait(30)
        process.stdout.close()

    assert (str(receipt), adopted, code) == ("a-1 @ 0", TOKEN, 0)
    assert shown == (b"DEFAULT NAMESPACE TOKEN:\n", TOKEN.encode() + b"\n")
    assert list(tmp_path.iterdir()) == []


def test_every_exit_code_has_its_cause(here: Callable[..., Said], served: Served, tmp_path: Path):
    twice = json.dumps({"id": "x", "stream": "a-1", "type": "T", "pos": 0, "gpos": 1, "data": {}, "time": "never"})
    dead = f"http://127.0.0.1:{free_port()}"
    causes = {
        0: here("publish", "Fine", "--stream", "exit-1"),
        1: here("import", text=twice),
        2: here("publish", "--wrong"),
        3: here("publish", "X", "--url", dead, "--token", TOKEN),
        4: here("publish", "X", "[]"),
        5: here("namespace", "info", "nothing"),
        6: here("publish", "X", "--token", TOKEN[:-1] + "8"),
        7: here("publish", "X", "--stream", "exit-1", "--expect", "9"),
    }

    assert {code: said.code for code, said in causes.items()} == {code: code for code in range(8)}
    assert all(said.err for code, said in causes.items() if code)
    assert "Traceback" not in "".join(said.err for said in causes.values())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_tokens_made_with_the_server_up_work_until_they_are_revoked(here: Callable[..., Said], served: Served):
    made = here("token", "create", "--scope", "read", "--name", "phone", "--json").json

    with Client(served.url, made["token"]) as phone:
        with pytest.raises(Forbidden):
            phone.write("a-1", "T")
        before = phone.version("nothing")
        revoked = here("token", "revoke", made["id"][-8:])
        with pytest.raises((Unauthenticated, Forbidden)):
            phone.version("nothing")

    assert (before, revoked.out) == (None, f"token {made['id']} is revoked\n")


def test_a_token_made_with_the_server_down_works_when_it_is_up(tmp_path: Path):
    made = appliance("token", "create", "--scope", "write", "--data", str(tmp_path / "data"), "--json").json

    with serving(tmp_path) as server, Client(server.url, made["token"]) as client:
        receipt = client.write("a-1", "T")

    assert str(receipt) == "a-1 @ 0"


def test_status_and_check_tell_that_all_is_well(here: Callable[..., Said], served: Served):
    status, check = here("status", "--json"), here("check", "--json")

    assert (status.code, status.json["state"], status.json["pid"]) == (0, "well", served.pid)
    assert {"log", "bus", "web"} <= {node["name"] for node in status.json["tree"]}
    assert "● " in here("status").out
    assert (check.code, check.json["ok"]) == (0, True)


def test_stop_waits_for_the_end(tmp_path: Path):
    with serving(tmp_path) as server:
        data = str(tmp_path / "data")

        stopped = appliance("stop", "--data", data, "--json")
        again = appliance("stop", "--data", data)

        assert (stopped.code, stopped.json["pid"]) == (0, server.pid)
        assert (again.code, appliance("status", "--data", data).code) == (3, 3)
        assert server.stop() == 0


def test_a_log_travels_from_one_namespace_to_another(here: Callable[..., Said], served: Served, tmp_path: Path):
    token = here("namespace", "create", "copy", "--json").json["token"]
    for n in range(3):
        here("publish", "Moved", json.dumps({"n": n, "big": 12345678901234567890}), "--stream", "travel-1")
    file = str(tmp_path / "travel.gz")

    out = here("export", "--categories", "travel", "--gzip", "--output", file)
    back = here("import", "--input", file, "--token", token)
    lines = here("export", "--token", token)
    emptied = here("import", "--force", "--token", token, text="y\n")
    deleted = here("namespace", "delete", "copy", "--force")

    assert (out.err, back.err[:20]) == ("Exported: 3 events total\n", "Imported: 3 events i")
    assert [json.loads(line)["data"]["n"] for line in lines.out.splitlines()] == [0, 1, 2]
    assert "12345678901234567890" in lines.out
    assert emptied.err.endswith("Imported: 0 events in 0.0s\n")
    assert deleted.out == "copy is gone, with 0 events\n"


def test_a_big_import_goes_in_segments_and_names_the_line_that_is_wrong(here: Callable[..., Said], served: Served):
    token = here("namespace", "create", "big", "--json").json["token"]
    lines = [
        json.dumps(
            {
                "id": f"01900000-0000-7000-8000-{n:012d}",
                "stream": f"s-{n % 7}",
                "type": "T",
                "pos": n // 7,
                "gpos": n + 1,
                "data": {"n": n},
                "meta": None,
                "time": "2026-01-01T00:00:00.5Z",
            }
        ).encode()
        for n in range(12_000)
    ]
    with Client(served.url, token) as client:
        steps = [step.count for step in client.import_lines(lines)]
        with pytest.raises(Exception, match="already exists") as caught:
            list(client.import_lines([*(line.replace(b'"gpos": ', b'"gpos": 9') for line in lines[:10]), lines[5]]))
        held = client.namespace_info("big").messages
        exported = sum(1 for _ in client.export_lines())

    assert steps == [10_000, 12_000]
    assert caught.value.facts["line"] > 0
    assert held == exported == 12_000


def test_batches_keys_groups_and_correlation_work_through_the_client(served: Served):
    with Client(served.url, TOKEN) as client:
        batch = client.write_many(
            [Write("pair-1", "A", metadata={"correlationStreamName": "cause-1"}), Write("pair-2", "B")]
        )
        first = client.write("keyed-1", "T", key="the-key")
        again = client.write("keyed-1", "T", key="the-key")
        with pytest.raises(KeyReused):
            client.write("keyed-1", "Other", key="the-key")
        shares = [[m.stream for m in client.get_category("pair", member=n, size=2)] for n in range(2)]
        caused = [m.type for m in client.get_category("pair", correlation="cause")]
        newest = client.latest(Topic(categories=("pair",)))

    assert [str(receipt) for receipt in batch] == ["pair-1 @ 0", "pair-2 @ 0"]
    assert first == again
    assert sorted(shares[0] + shares[1]) == ["pair-1", "pair-2"]
    assert (caused, newest and newest.type) == (["A"], "B")


def test_a_subscriber_sees_each_of_many_concurrent_writes_once(served: Served):
    with Client(served.url, TOKEN) as client, client.subscribe(Topic(categories=("crowd",))) as pokes:
        writers = [
            threading.Thread(target=lambda n=n: [client.write(f"crowd-{n}", "T") for _ in range(20)]) for n in range(5)
        ]
        for writer in writers:
            writer.start()
        seen = [next(pokes).global_position for _ in range(100)]
        for writer in writers:
            writer.join()

    assert seen == sorted(set(seen))


def test_a_reader_who_has_seen_enough_ends_it_without_complaint(here: Callable[..., Said], served: Served):
    command = f"{sys.executable} -m appliance subscribe --since 0 --url {served.url} --token {TOKEN}"

    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


def test_an_interrupted_subscriber_leaves_with_130(served: Served):
    watch = [sys.executable, "-m", "appliance", "subscribe", "--since", "0", "--url", served.url, "--token", TOKEN]
    watcher = subprocess.Popen(watch, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watcher.stdout is not None
    watcher.stdout.readline()

    watcher.send_signal(signal.SIGINT)
    _, complaints = watcher.communicate(timeout=30)

    assert (watcher.returncode, complaints.strip()) == (130, b"")


def test_bench_measures_and_leaves_nothing_behind(here: Callable[..., Said]):
    said = here("bench", "--seconds", "1", "--connections", "2", "--json")

    assert [figure["what"] for figure in said.json["figures"]] == [
        *("durable write, alone", "durable write", "read of 100", "write to poke")
    ]
    assert all(figure["per_second"] > 1 and figure["p95_ms"] >= figure["p50_ms"] for figure in said.json["figures"])
    assert "bench-" not in here("namespace", "list").out


def test_version_is_printed_well_under_a_quarter_second():
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        said = appliance("--version")
        times.append(time.perf_counter() - begun)

    assert re.fullmatch(r"\d+\.\d+\.\d+\n", said.out)
    assert min(times) < 0.25


def test_on_a_terminal_serve_shows_where_it_is(tmp_path: Path):
    screen = on_a_terminal(
        ["serve", "--data", str(tmp_path / "data"), "--port", "0"], tmp_path, until=b"publish hello", then=signal.SIGINT
    )

    assert screen.count("Listening on :") == 1
    for part in ("appliance 0.", "Here     http://127.0.0.1:", "Data     ./data", "python3 -m appliance subscribe"):
        assert part in screen
    assert "ns_" not in screen


def on_a_terminal(argv: Sequence[str], folder: Path, *, until: bytes, then: signal.Signals) -> str:
    """What a terminal of 100 columns shows, without colours, up to some text; then a signal ends the process."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance", *argv],
        cwd=folder,
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1", "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, end = b"", time.monotonic() + 60
    while until not in seen:
        ready, _, _ = select.select([ours], [], [], max(0.0, end - time.monotonic()))
        assert ready, seen
        seen += os.read(ours, 65536)
    process.send_signal(then)
    assert process.wait(30) == 0
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())
