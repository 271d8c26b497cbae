"""Nothing that is secret or personal is told by the appliance about itself, whatever is sent to it, wherever.

Twenty secrets are planted over every route the appliance has, in every place a request has, well-formed and not, with a
good token and without; and in what a plugin raises in its route, its consumer and its job. Then all that the appliance
says of itself is searched: log lines, metrics, its own events, dead letters, the status, and the spans it would export.

The routes come from the OpenAPI document of the running process: a new one is covered by being there.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.records import Recorded, eventually, recording
from tests.served import TOKEN

# What is sent, by the part of it that must not come out again.
PLANTED: Mapping[str, str] = {
    "5e" * 32: "ns_ZGVmYXVsdA_" + "5e" * 32,
    "Qx7pLm2Vt9" * 4: "mm_at_" + "Qx7pLm2Vt9" * 4,
    "Kd4wZr8Ny1" * 3: "Bearer mm_key_" + "Kd4wZr8Ny1" * 3,
    "c2VjcmV0LW9mLWEtd2ViaG9vaw": "whsec_c2VjcmV0LW9mLWEtd2ViaG9vaw==",
    "eyJzdWIiOiJhbm5hYmVsIn0": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hYmVsIn0.c2lnbmF0dXJl",
    "YW5uYWJlbDpwYXNz": "Basic " + base64.b64encode(b"annabel:passwords").decode(),
    "Zebra-Quartz-41": "password=Zebra-Quartz-41",
    "Violet-Anchor-77": '{"client_secret": "Violet-Anchor-77"}',
    "sk-live-0badc0ffee": "api_key: sk-live-0badc0ffee",
    "MC4CAQAwBQYDK2Vw": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----",
    "annabel@": "annabel@secret-mail.example.com",
    "o.grady+work@": "o.grady+work@example.org",
    "diary-2031": "/home/annabel/diary-2031.md",
    "ledger-2032": "C:\\Users\\annabel\\ledger-2032.xlsx",
    "hunter2secret": "postgres://admin:hunter2secret@db.internal:5432/people",
    "cache-pass-9": "redis://:cache-pass-9@10.20.30.40:6379/0",
    "born_on": "SELECT name, born_on FROM people WHERE ssn = '078-05-1120'",
    "INTO patients": "INSERT INTO patients VALUES ('annabel', 'flu')",
    "203.0.113.77": "203.0.113.77",
    "payroll.py": 'Traceback (most recent call last):\n  File "/srv/payroll.py", line 7, in pay\nKeyError: 1',
}

PLUGIN = '''
"""Fails in every way a plugin can, with its mouth full."""

from appliance.api import Context, Plugin, Request

plugin = Plugin("leaky", summary="Fails with its mouth full.")
WORDS = {words!r}


@plugin.route("POST", "/api/v1/leaky", scope="write")
async def fail(ctx: Context, request: Request) -> dict:
    raise RuntimeError("cannot go on with " + WORDS[int(request.query["n"])])


@plugin.on("LeakyAsked", retry="10ms")
async def hear(ctx: Context, event) -> None:
    raise ValueError("cannot take " + WORDS[event.data.n])


@plugin.job(retry="10ms", timeout=5.0)
async def leak(ctx: Context, job, n: int) -> dict:
    await job.progress(10, "working on " + WORDS[n])
    raise OSError("no way to " + WORDS[n])
'''


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where spans go."""
    with Collector() as found:
        thread = Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


class Collector(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeper)
        self.taken: list[bytes] = []


class _Keeper(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.taken.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test looks at what was taken."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("secrets")
    plugin = folder / "plugins" / "leaky"
    plugin.mkdir(parents=True)
    (plugin / "plugin.toml").write_text('name = "leaky"\nversion = "1.0"\napi = 1\nmodule = "plugin"\nsummary = "x"\n')
    (plugin / "plugin.py").write_text(PLUGIN.format(words=list(PLANTED.values())))
    config = f'plugins_path = ["{folder / "plugins"}"]\n[plugins.host]\nenabled = false\n[plugins.leaky]\n'
    told = {
        "APPLIANCE_TELEMETRY__LEVEL": "debug",
        "APPLIANCE_TELEMETRY__CANARY": "1s",
        "APPLIANCE_TELEMETRY__OTLP": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",  # ms
    }
    with recording(folder, config, **told) as found:
        yield found


def client(server: Recorded, token: str = TOKEN) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=server.url, headers=headers, timeout=10)


def operations(server: Recorded) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(method, path template, operation) of every route there is."""
    document = httpx.get(f"{server.url}/openapi.json").json()
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]


def filled(path: str, words: str) -> str:
    return re.sub(r"\{[^}]+\}", lambda _: quote(words, safe=""), path)


FIELDS = (
    *("type", "stream", "event_id", "memory", "correlation_id", "note_id", "title", "content", "tags", "name"),
    *("url", "secret", "events", "job_type", "payload", "arguments", "scopes", "namespace", "channel", "event"),
    *("id", "code", "token", "client_id", "client_secret", "redirect_uri", "grant_type", "text", "data", "when"),
)


def bodies(operation: Mapping[str, Any]) -> Iterator[bytes]:
    """What a request may hold: each planted word in every field, an array of them, a number too many, no JSON."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    names = list(dict.fromkeys([*schema.get("properties", {}), *FIELDS]))
    words = list(PLANTED.values())
    yield json.dumps({name: words[number % len(words)] for number, name in enumerate(names)}).encode()
    yield json.dumps(dict.fromkeys(names, words)).encode()
    yield json.dumps(words).encode()
    yield ("{" + " ".join(words)).encode()
    yield json.dumps(["stream.write", words[12], {"type": words[0], "data": {"x": words}}, {"id": words[10]}]).encode()


def visited(server: Recorded) -> int:
    """Send every request there is; returns how many were answered."""
    words, count = list(PLANTED.values()), 0
    query = "&".join(f"{name}={quote(words[number % len(words)])}" for number, name in enumerate(FIELDS))
    with client(server) as known, client(server, "") as unknown:
        for number, (method, path, operation) in enumerate(operations(server)):
            word = words[number % len(words)]
            for one, body in enumerate(bodies(operation) if method in ("POST", "PUT", "PATCH") else [b""]):
                caller = unknown if one == 3 else known
                target = filled(path, words[(number + one) % len(words)]) + (f"?{query}" if one % 2 else "")
                count += answered(caller, method, target, body, word)
            count += answered(unknown, method, f"{filled(path, word)}?token={quote(word)}&{query}", b"", word)
    return count


def answered(caller: httpx.Client, method: str, target: str, body: bytes, word: str) -> int:
    """Whether the head of an answer came; a stream is not followed."""
    plain = word.replace("\n", " ")
    headers = {"x-api-key": plain, "cookie": f"session={plain}", "idempotency-key": plain[:200], "referer": plain}
    if "authorization" not in caller.headers:
        headers["authorization"] = plain
    try:
        with caller.stream(method, target, content=body, headers=headers) as reply:
            return int(reply.status_code > 0)
    except httpx.RemoteProtocolError:  # it is not read further where a head is refused
        return 0


def leaks(text: str) -> list[str]:
    return [core for core in PLANTED if core in text]


def own_events(server: Recorded) -> str:
    """What the appliance wrote on its own account; not in which memory, whose name is the caller's choice."""
    lines = httpx.get(f"{server.url}/export", headers={"authorization": f"Bearer {TOKEN}"}).text.splitlines()
    own = [row for row in map(json.loads, lines) if (row.get("meta") or {}).get("actor", {}).get("kind") == "system"]
    for row in own:
        row["meta"].pop("memory", None)
    return json.dumps(own)


def test_no_secret_leaves_by_log_metrics_traces_events_or_status(server: Recorded, collector: Collector):
    """Every route, every error path, every failure of a plugin: 0 of 20 (R-EVT-003, test_event_payload_no_pii)."""
    sent = visited(server)
    with client(server) as known:
        known.post("/api/v1/jobs/resume")  # one of the routes has paused them
        for number in range(len(PLANTED)):
            failed = known.post(f"/api/v1/leaky?n={number}")
            assert failed.status_code == 500
            assert leaks(failed.text) == []
            known.post("/api/v1/events", json={"type": "LeakyAsked", "data": {"n": number}, "stream": "leaky-1"})
            queued = known.post("/api/v1/jobs", json={"job_type": "leak", "payload": {"n": number}})
            assert queued.status_code == 201, queued.text
        eventually(lambda: _over(known, len(PLANTED)))
        said = {
            "metrics": known.get("/metrics").text,
            "status": known.get("/status").text,
            "health": known.get("/health").text + known.get("/readyz").text + known.get("/api/v1/canary").text,
            "clients": known.get("/api/v1/clients").text,
            "plugins": known.get("/api/v1/plugins").text,
        }
    said |= {"events": own_events(server), "log": server.log}
    eventually(lambda: b"LeakyAsked" in b"".join(collector.taken))
    said["traces"] = b"".join(collector.taken).decode(errors="replace")

    assert {place: leaks(text) for place, text in said.items() if leaks(text)} == {}
    assert sent > 300
    assert "handler failed" in said["log"] or "plugin failed" in said["log"]
    assert "JobFailed" in said["events"]
    assert "POST /api/v1/leaky" in said["traces"]


def _over(known: httpx.Client, count: int) -> bool:
    """Whether all jobs have failed and all events are given up."""
    failed = known.get("/api/v1/jobs?status=failed&job_type=leak&limit=100").json()["jobs"]
    letters = known.get("/api/v1/dead-letters?limit=500")
    given_up = letters.text.count("LeakyAsked") if letters.status_code == 200 else count
    return len(failed) >= count and given_up >= count
