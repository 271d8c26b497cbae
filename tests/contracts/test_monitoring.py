"""Our metrics, alert rules and board, read by a real Prometheus that scrapes a real run."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.records import Recorded, eventually, recording
from tests.served import ROOT

pytestmark = pytest.mark.conformance

ALERTS = ROOT / "docs/prometheus/alerts.yml"
SCRAPE = ROOT / "docs/prometheus/prometheus.yml"
BOARD = ROOT / "docs/grafana/appliance.json"
NOTE = {"type": "NoteUpdated", "tags": [], "has_ai_content": False, "has_links": False}
JOB = "018f7d2d-0064-7000-8001-f147d6a2e70a"

# What an expression may hold that is no metric: functions, operators, labels; `up` is Prometheus's own.
_LANGUAGE = "rate increase deriv sum by topk histogram_quantile and or unless on ignoring avg max min"
_LABELS = "instance job type outcome state status reason leg lane transport"
WORDS = frozenset(f"{_LANGUAGE} {_LABELS}".split())


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(ROOT / ".cache/prometheus/usr/bin"))
    assert found, f"{name} is missing: packaging/test-tools fetches it"
    return found


def promtool(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [program("promtool"), *arguments], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> dict[str, str]:
    """Everything that the board and the rules ask, by where it stands."""
    panels = [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]
    found = {f"{panel['title']} {one['refId']}": one["expr"] for panel in panels for one in panel["targets"]}
    rules = re.findall(r"- alert: (\w+)\n\s+expr: (>-\n(?:\s{10}.*\n)+|.*\n)", ALERTS.read_text())
    found |= {name: " ".join(text.removeprefix(">-").split()) for name, text in rules}
    return {place: text.replace("$instance", ".*") for place, text in found.items()}


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in an expression."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    return {name for name in re.findall(r"[a-z_][a-z0-9_]{2,}", bare) if name not in WORDS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    config = "[plugins.host]\nenabled = false\n"
    with recording(tmp_path_factory.mktemp("monitored"), config, APPLIANCE_TELEMETRY__CANARY="1s") as found:
        _live(found)
        yield found


@pytest.fixture(scope="module")
def prometheus(server: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with scraping(server, tmp_path_factory.mktemp("prometheus")) as found:
        yield found


def _live(server: Recorded) -> None:
    """A little of everything that is counted."""
    headers = {"authorization": f"Bearer {server.token}"}
    events = [NOTE | {"note_id": f"n-{number}"} for number in range(10)]
    events += [{"type": "QueueStatus", "total_jobs": 3, "running": 1, "pending": 2}]
    events += [{"type": "JobCompleted", "job_id": JOB, "job_type": "Embedding", "duration_ms": 20}]
    events += [{"type": "JobFailed", "job_id": JOB, "job_type": "Embedding", "error": "timed_out"}]
    with connect(f"ws://127.0.0.1:{server.port}/api/v1/ws", additional_headers=headers) as socket_of_ours:
        httpx.post(f"{server.url}/api/v1/events", json=events, headers=headers).raise_for_status()
        socket_of_ours.recv()
    httpx.get(f"{server.url}/api/v1/clients")
    with pytest.raises(Exception, match="401"):
        connect(f"ws://127.0.0.1:{server.port}/api/v1/ws")


@contextmanager
def scraping(server: Recorded, folder: Path) -> Iterator[httpx.Client]:
    """The Prometheus of our own example, pointed at `server` and in more of a hurry."""
    config = SCRAPE.read_text().replace("127.0.0.1:8420", f"127.0.0.1:{server.port}").replace("10s", "250ms")
    (folder / "prometheus.yml").write_text(config)
    (folder / "alerts.yml").write_text(ALERTS.read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10) as client:
                eventually(lambda: _scraped(client))
                yield client
        finally:
            process.terminate()
            process.wait(30)


def _scraped(client: httpx.Client) -> bool:
    """Whether it has seen us several times, a flight of the canary among them."""
    try:
        return bool(asked(client, "count_over_time(appliance_canary_latency_seconds[1m]) > 3"))
    except (httpx.TransportError, json.JSONDecodeError):  # it does not listen, or says 503 until it is ready
        return False


def asked(client: httpx.Client, expression: str) -> list[Any]:
    reply = client.get("/query", params={"query": expression}).json()
    assert reply["status"] == "success", (expression, reply)
    result: list[Any] = reply["data"]["result"]
    return result


def test_the_text_of_our_metrics_is_what_prometheus_expects(server: Recorded):
    promtool("check", "metrics", given=httpx.get(f"{server.url}/metrics").text)


def test_the_rules_are_well_formed_and_each_says_what_to_do():
    assert "11 rules found" in promtool("check", "rules", str(ALERTS))
    assert ALERTS.read_text().count("action:") == ALERTS.read_text().count("- alert:") == 11
    promtool("check", "config", str(SCRAPE))


def test_a_scrape_is_taken_whole(prometheus: httpx.Client):
    [target] = prometheus.get("/targets").json()["data"]["activeTargets"]

    assert (target["health"], target["lastError"]) == ("up", "")
    assert asked(prometheus, 'up{job="appliance"} == 1')


@pytest.mark.parametrize("place", sorted(expressions()))
def test_every_expression_of_board_and_rules_asks_for_what_there_is(prometheus: httpx.Client, place: str):
    expression = expressions()[place]
    known = set(prometheus.get("/label/__name__/values").json()["data"])

    assert metrics_in(expression) <= known
    asked(prometheus, expression)


def test_the_board_shows_numbers_of_a_real_run(prometheus: httpx.Client):
    """At a moment like this, with something of everything, hardly a panel is empty."""
    shown = {place: bool(asked(prometheus, text)) for place, text in expressions().items() if " " in place}

    assert [place for place, any_rows in shown.items() if not any_rows] == []


CONNECTIONS = {'appliance_clients{instance="a"}': "900x20", 'appliance_clients_limit{instance="a"}': "1000x20"}


@pytest.mark.parametrize(
    ("alert", "after", "series", "labels"),
    [
        ("ConnectionsNearLimit", "6m", CONNECTIONS, {"severity": "warning", "instance": "a"}),
        ("ConnectionsNearLimit", "3m", CONNECTIONS, None),
        (
            "AuthFailures",
            "10m",
            {'auth_failures_total{instance="a"}': "0+150x20"},
            {"severity": "warning", "instance": "a"},
        ),
        ("AuthFailures", "10m", {'auth_failures_total{instance="a"}': "0+50x20"}, None),
        (
            "DeliverySlow",
            "15m",
            {
                'event_delivery_latency_seconds_sum{instance="a"}': "0+120x20",
                'event_delivery_latency_seconds_count{instance="a"}': "0+60x20",
            },
            {"severity": "warning", "instance": "a"},
        ),
        (
            "CanaryLost",
            "10m",
            {'appliance_canary_misses_total{instance="a",leg="sse"}': "0+1x20"},
            {"severity": "critical", "instance": "a", "leg": "sse"},
        ),
    ],
)
def test_an_alert_is_raised_when_it_should_be_and_not_before(
    tmp_path: Path, alert: str, after: str, series: Mapping[str, str], labels: Mapping[str, str] | None
):
    text = ALERTS.read_text()
    said = re.search(rf"- alert: {alert}\n.*?summary: \"(.*?)\"\n\s+action: \"(.*?)\"\n", text, re.DOTALL)
    assert said is not None
    notes = {"summary": said[1], "action": said[2]}
    for name, value in (labels or {}).items():
        notes = {key: note.replace(f"{{{{ $labels.{name} }}}}", value) for key, note in notes.items()}
    raised = [] if labels is None else [{"exp_labels": dict(labels), "exp_annotations": notes}]
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": after, "alertname": alert, "exp_alerts": raised}],
    }
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [case]}))

    promtool("test", "rules", str(file))


def test_values_are_seen_within_ten_seconds(server: Recorded, prometheus: httpx.Client):
    """UC-005"""
    name = 'events_emitted_total{type="NoteUpdated"}'
    before = float(asked(prometheus, name)[0]["value"][1])
    headers = {"authorization": f"Bearer {server.token}"}
    began = time.monotonic()

    httpx.post(f"{server.url}/api/v1/events", json=NOTE | {"note_id": "late"}, headers=headers).raise_for_status()
    eventually(lambda: float(asked(prometheus, name)[0]["value"][1]) > before)

    assert time.monotonic() - began < 10
