"""A crowd of subscribers and one publisher, driven by `fanout.c`, and what became of every delivery.

An event is 160 bytes of JSON that carries a number and the moment it was due. Closed loop (`window`): so many events
are under way, one is done when every subscriber has it. Open loop (`rate`): so many are due per second, and a server
that is late is late from the moment the event was due.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.load.generator import compiled
from tests.load.machine import GENERATOR_CORE, Started, children

__all__ = ["EVENT", "Crowd", "Endpoint", "Tally", "command", "gather", "tally"]

SOURCE = Path(__file__).with_name("fanout.c")
_BARE = '{"n":1000000000,"t":1000000000000000,"pad":""}'
EVENT = '{"n":{n},"t":{t},"pad":"' + "x" * (160 - len(_BARE)) + '"}'


@dataclass(frozen=True)
class Endpoint:
    """How one server is subscribed to and published to. Texts are templates, see fanout.c.

    Args:
        subscribe: request head of a subscriber; for Redis nothing.
        greeting: what it says first on a WebSocket, or to Redis.
        ready: what an answer contains once the subscription stands; empty: it stands when the head is good.
        again: request head of one that returns; empty: nobody may be cut off.
        greeting_again: what that one says first.
        number: the text in front of an event's number, if it is the server's own, from 0.
        position: the text in front of an event's position.
        origin: the position before the first event there can be.
        publish: "ws", "http", "resp".
        hello: request head of a publisher's WebSocket.
        head: of each message: an HTTP request's head, or Redis's words before the event.
        opening, item, closing: a message's body; `batch` items at most in one, with commas between.
    """

    subscribe: str = ""
    publish: str = "http"
    framing: str = "ws"
    greeting: str = ""
    ready: str = ""
    again: str = ""
    greeting_again: str = ""
    number: str = ""
    position: str = ""
    origin: int = 0
    hello: str = ""
    head: str = ""
    opening: str = ""
    item: str = EVENT
    closing: str = ""
    batch: int = 1
    tls: bool = False


@dataclass(frozen=True)
class Crowd:
    """How many listen and what is sent.

    Args:
        channels: event n goes to channel n % channels, subscriber i listens to i % channels.
        window: events under way; 0: see `rate`.
        rate: events due per second.
        drop: share of the crowd cut off every second.
        spread: seconds within which whoever was cut off comes back.
        stalled: that many join and then never read.
        hold: seconds after the last event until the stalled are looked at.
        from_origin: everybody begins behind the endpoint's `origin`: who is cut off early misses nothing either.
        until: end when everybody has that many events, which somebody else publishes.
        patience: seconds to join, and to get what is late.
    """

    clients: int
    channels: int = 1
    window: int = 0
    rate: float = 0.0
    drop: float = 0.0
    spread: float = 0.5
    stalled: int = 0
    hold: float = 0.0
    from_origin: bool = False
    until: int = 0
    warmup: float = 0.2
    patience: float = 10.0


@dataclass(frozen=True)
class Tally:
    """What one crowd saw."""

    events: int  # published
    delivered: int  # each event counts once per subscriber
    gaps: int  # numbers that a subscriber never saw although later ones came
    doubles: int
    missing: int  # deliveries that never came, the end of somebody's line
    rate: float  # deliveries per second
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_us: float  # processor time of the server per delivery
    busy: float  # share of the generator's core; near 1 the generator was the limit
    open_s: float  # until all had joined
    kib: float  # memory of the server per connection
    before_mib: float  # memory of the server before anybody came
    most_mib: float  # memory of the server at its height, while counting
    codes: dict[int, int]  # close codes that came, and how often
    drops: int
    comebacks: int
    refused: int
    cut_by_server: int
    cut_stalled: int  # stalled subscribers that found their connection ended
    back_s: float  # from the first one the server cut off until all were back; negative: nobody was, or not all

    @property
    def lost(self) -> int:
        return self.gaps + self.missing

    def figures(self) -> dict[str, Any]:
        """For a contest's table and goals."""
        return vars(self) | {"lost": self.lost}


def command(server: Started, endpoint: Endpoint, crowd: Crowd, *, seconds: float, seed: int, core: int) -> list[str]:
    """The generator's words."""
    publishes = crowd.until == 0
    options: dict[str, object] = {
        "port": server.port,
        "pids": ",".join(map(str, [server.pid, *children(server.pid)])),
        "core": core,
        "seconds": seconds,
        "seed": seed,
        "framing": endpoint.framing,
        "subscribe": endpoint.subscribe,
        "publish": endpoint.publish if publishes else "none",
        "from": endpoint.origin if crowd.from_origin else "",
        "tls": int(endpoint.tls),
    }
    for name in ("greeting", "ready", "again", "greeting_again", "number", "position", "hello", "head", "item"):
        options[name] = getattr(endpoint, name)
    for name in ("opening", "closing", "batch"):
        options[name] = getattr(endpoint, name)
    for name in ("clients", "channels", "window", "rate", "drop", "spread", "stalled", "hold", "until", "warmup"):
        options[name] = getattr(crowd, name)
    options["patience"] = crowd.patience
    flags = ("-DTLS", "-lssl", "-lcrypto") if endpoint.tls else ()
    said = (str(word) for name, value in options.items() if value != "" for word in (f"--{name}", value))
    return [str(compiled(SOURCE, *flags)), *said]


def gather(
    server: Started, endpoint: Endpoint, crowd: Crowd, *, seconds: float, seed: int = 1, core: int = GENERATOR_CORE
) -> Tally:
    """Drive `server` for about `seconds`.

    Raises:
        RuntimeError: somebody was refused, or cut off without being expected to return.
    """
    words = command(server, endpoint, crowd, seconds=seconds, seed=seed, core=core)
    longest = seconds + crowd.hold + 3 * crowd.patience + 30
    done = subprocess.run(words, capture_output=True, text=True, timeout=longest, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}: {done.stderr.strip()}")
    return tally(done.stdout, crowd)


def tally(said: str, crowd: Crowd) -> Tally:
    """From the generator's one line."""
    seen = json.loads(said)
    latency = seen["latency"]
    kib = (seen["kib_open"] - seen["kib_before"]) / crowd.clients
    whole = Tally(
        **{name: seen[name] for name in ("events", "delivered", "gaps", "doubles", "missing", "rate", "busy")},
        **{name: seen[name] for name in ("open_s", "drops", "comebacks", "refused", "back_s")},
        p50_ms=latency["p50_us"] / 1000,
        p95_ms=latency["p95_us"] / 1000,
        p99_ms=latency["p99_us"] / 1000,
        cpu_us=seen["cpu_s"] * 1e6 / max(1, seen["counted"]),
        kib=kib,
        before_mib=seen["kib_before"] / 1024,
        most_mib=seen["kib_most"] / 1024,
        codes={int(code): count for code, count in seen["codes"].items()},
        cut_by_server=seen["lost"],
        cut_stalled=seen["cut"],
    )
    return whole if seen["counted"] else replace(whole, cpu_us=0.0)
