"""The contest of webhooks: deliveries to one and to fifty endpoints, beside bare httpcore, and how soon one arrives."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.load import servers
from tests.load.arena import Arena
from tests.load.contest import Contender, Contest, Goal
from tests.load.machine import GENERATOR_CORE, Started, cpu_seconds, free_port, start, wait_for_port

__all__ = ["BODY", "CONTESTS", "HEADERS"]

EACH = 4  # requests at once to an endpoint, as it is unless configured
MANY = 50  # endpoints
EVENTS = 20_000  # in the log: more than an endpoint is brought while it is measured
BATCH = 1000  # events of one write
WARM = 0.5  # seconds before it counts
RATE = 200  # events a second, for the time until one arrives
HOOKS = "/api/v1/webhooks"

BODY = json.dumps({"event": "NoteUpdated", "data": {"type": "NoteUpdated", "filler": "x" * 700}}).encode()
HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "accept": "*/*",
        "content-type": "application/json",
        "user-agent": "appliance-webhook/0.1.0",
        "webhook-id": "msg_01a1fdd11570786ca8caba85110e11ac",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,lSLzdF+vLPeHse3evc8212JJWsbXjveIG+GQf5zzP/k=",
        "idempotency-key": "msg_01a1fdd11570786ca8caba85110e11ac",
        "x-matric-signature": "sha256=" + "0" * 64,
        "x-fortemi-signature": "sha256=" + "0" * 64,
        "x-matric-event": "NoteUpdated",
        "x-fortemi-event": "NoteUpdated",
        "x-matric-timestamp": "1700000000",
        "x-webhook-id": "01a1fdd1-1570-786c-a8ca-ba85110e11ac",
        "x-webhook-delivery": "01a1fdd1-1570-786c-a8ca-ba85110e11ac",
    }.items()
)


class Side:
    """A connection to the appliance or the receiver, for what is asked beside the measuring."""

    def __init__(self, server: Started) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status >= 300:
            raise RuntimeError(f"{method} {path}: {reply.status} {text[:300]!r}")
        return json.loads(text) if text else None


@contextlib.contextmanager
def _receiver(arena: Arena) -> Iterator[Started]:
    port, log = free_port(), arena.folder / "receiver.log"
    command = [sys.executable, "-m", "tests.load.anchors.hook_receiver", str(port)]
    with start(command, core=GENERATOR_CORE, log=log) as process:
        wait_for_port(port, process, log)
        yield Started("receiver", port, process.pid)


@contextlib.contextmanager
def _appliance(arena: Arena) -> Iterator[Started]:
    """With a filled log, and leave to go to loopback."""
    config = arena.folder / "hooks.toml"
    config.write_text('[webhooks]\nallow = ["127.0.0.1"]\n')
    with servers.appliance(arena.folder / "hooks", arguments=[f"--config={config}"]) as server:
        side = Side(server)
        for first in range(0, EVENTS, BATCH):
            numbers = range(first, first + BATCH)
            side.ask("POST", "/api/v1/events", [{"type": "Counted", "counted_id": f"n-{n % 500}"} for n in numbers])
        yield server


def webhooks(arena: Arena) -> Contest:
    """Deliveries a second, and milliseconds from an event to its arrival."""
    receiver = arena.once("receiver", lambda: _receiver(arena))
    server = arena.once("hooks", lambda: _appliance(arena))
    one = arena.program("hook_bare", receiver.port, 1, EACH, "SECONDS")
    many = arena.program("hook_bare", receiver.port, MANY, EACH, "SECONDS")
    return Contest(
        "webhooks",
        f"deliveries, {EACH} at once to each endpoint",
        {
            "1 endpoint": _delivering(server, receiver, 1),
            "httpcore 1": one,
            f"{MANY} endpoints": _delivering(server, receiver, MANY),
            f"httpcore {MANY}": many,
            f"arrival at {RATE}/s": _arriving(server, receiver),
        },
        (
            Goal(
                "webhooks/one",
                "one endpoint, against bare httpcore",
                ("1 endpoint",),
                "rate",
                "httpcore 1",
                at_least=0.5,
            ),
            Goal(
                "webhooks/many",
                f"{MANY} endpoints, against bare httpcore",
                (f"{MANY} endpoints",),
                "rate",
                f"httpcore {MANY}",
                at_least=0.5,
            ),
            Goal(
                "webhooks/arrival",
                f"p95 ms from writing to arriving, {RATE} a second",
                (f"arrival at {RATE}/s",),
                "p95_ms",
                at_most=500,
            ),
        ),
    )


def _delivering(server: Started, receiver: Started, count: int) -> Contender:
    """Endpoints that go through the log from its beginning; they stop when it was long enough."""

    def measure(seconds: float) -> Mapping[str, Any]:
        ours, theirs = Side(server), Side(receiver)
        wish = {"url": f"http://127.0.0.1:{receiver.port}/hook", "events": ["Counted"]}
        made = [ours.ask("POST", HOOKS, wish)["id"] for _ in range(count)]
        for id in made:
            ours.ask("POST", f"{HOOKS}/{id}/redeliver", {"since": 1})
        time.sleep(WARM)
        theirs.ask("GET", "/figures")
        begun, before = time.perf_counter(), cpu_seconds(server.pid)
        time.sleep(seconds)
        found = theirs.ask("GET", "/figures")["count"]
        took, spent = time.perf_counter() - begun, cpu_seconds(server.pid) - before
        for id in made:
            ours.ask("DELETE", f"{HOOKS}/{id}")
        return {"rate": found / took, "cpu_us": spent * 1e6 / max(1, found)}

    return measure


def _arriving(server: Started, receiver: Started) -> Contender:
    """Events at a steady rate to one endpoint; each says when it was sent."""

    def measure(seconds: float) -> Mapping[str, Any]:
        ours, theirs = Side(server), Side(receiver)
        wish = {"url": f"http://127.0.0.1:{receiver.port}/hook", "events": ["Timed"]}
        made = ours.ask("POST", HOOKS, wish)["id"]
        theirs.ask("GET", "/figures")
        sent, begun = 0, time.perf_counter()
        while (now := time.perf_counter() - begun) < seconds:
            if sent / RATE > now:
                time.sleep(sent / RATE - now)
            ours.ask("POST", "/api/v1/events", {"type": "Timed", "timed_id": "t", "sent": time.time_ns() // 1000})
            sent += 1
        ages = _all(lambda: theirs.ask("GET", "/figures")["ages"], sent)
        ours.ask("DELETE", f"{HOOKS}/{made}")
        at = {name: ages[min(len(ages) - 1, int(len(ages) * share))] / 1000 for name, share in SHARES.items()}
        return {"rate": sent / seconds, "lost": sent - len(ages)} | at

    return measure


SHARES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}


def _all(look: Callable[[], list[int]], count: int) -> list[int]:
    ages, until = look(), time.monotonic() + 10
    while len(ages) < count and time.monotonic() < until:
        time.sleep(0.05)
        ages += look()
    return sorted(ages)


CONTESTS: dict[str, Callable[[Arena], Contest]] = {"webhooks": webhooks}
