"""The contests of fan-out and their goals: one event, many readers.

Two regimes, judged apart. Saturated (64 events under way): a server may put many frames into one write. Lockstep (one
event under way): nothing to put together, one write per reader. A goal on the first alone would hide what an event
costs, a goal on the second alone what it saves. Ours writes every event to the log first, the anchors keep nothing.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.load import fanservers
from tests.load.arena import Arena
from tests.load.contest import Contender, Contest, Goal
from tests.load.crowd import Crowd, gather
from tests.load.endpoints import ENDPOINTS
from tests.load.machine import Started

__all__ = ["CONTESTS"]

SATURATED, LOCKSTEP = 64, 1  # events under way
IDLE = 10_000  # connections
CALM = 5.0  # events per second while nearly all is idle
_FRESH = ("open_s", "kib")  # figures of a fresh server only: memory once taken is used again


class Field:
    """Collects the contenders of one contest."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.contenders: dict[str, Contender] = {}

    def add(self, who: str, label: str, crowd: Crowd) -> None:
        """`who` is a name of `endpoints.ENDPOINTS`. Its server is started when first needed; all contests share it."""

        def measure(seconds: float) -> dict[str, Any]:
            server = self._arena.once(f"fan {_server(who)}", lambda: _start(who, self._arena.folder))
            figures = self._gathered(who, server, crowd, seconds)
            return {key: value for key, value in figures.items() if key not in _FRESH}

        self.contenders[f"{who} {label}"] = measure

    def add_fresh(self, who: str, label: str, crowd: Crowd) -> None:
        """The same on a server of its own for every round."""

        def measure(seconds: float) -> dict[str, Any]:
            with tempfile.TemporaryDirectory(prefix="appliance-fan-") as folder:
                Path(folder).chmod(0o755)  # nginx works as somebody else
                with _start(who, Path(folder)) as server:
                    return self._gathered(who, server, crowd, seconds)

        self.contenders[f"{who} {label}"] = measure

    def _gathered(self, who: str, server: Started, crowd: Crowd, seconds: float) -> dict[str, Any]:
        self._arena.seed += 1
        return gather(server, ENDPOINTS[who](server), crowd, seconds=seconds, seed=self._arena.seed).figures()

    def contest(self, name: str, text: str, *goals: Goal, rounds: int | None = None) -> Contest:
        return Contest(name, text, self.contenders, goals, rounds)


def fanout(arena: Arena) -> Contest:
    field = Field(arena)
    for clients in (100, 1000):
        for who in ("appliance", "appliance tail", "nchan", "bun", "redis", "ws", "websockets"):
            field.add(who, f"{clients} W64", Crowd(clients, window=SATURATED))
    for clients in (100, 1000):
        for who in ("appliance", "appliance tail", "nchan", "bun", "redis", "ws", "websockets", "trio"):
            field.add(who, f"{clients} W1", Crowd(clients, window=LOCKSTEP))
    for who in ("appliance", "nchan", "bun", "websockets"):
        field.add(who, "1000 50/s", Crowd(1000, rate=50))
    for rate in (500, 1000):
        for who in ("appliance", "bun"):
            field.add(who, f"1000 {rate}/s", Crowd(1000, rate=rate))
    return field.contest(
        "fanout",
        "one channel over WebSocket; deliveries per second",
        _ratio("fanout/nchan", "saturated, 1,000, against nchan", "rate", "1000 W64", "nchan", at_least=15),
        _ratio("fanout/ws-lib", "saturated, 1,000, against broadcast()", "rate", "1000 W64", "websockets", at_least=20),
        _ratio("fanout/bun", "saturated, 1,000, against Bun", "rate", "1000 W64", "bun", at_least=0.7),
        _ratio("lockstep/nchan", "lockstep, 1,000, against nchan", "rate", "1000 W1", "nchan", at_least=1.0),
        _ratio(
            "lockstep/ws-lib", "lockstep, 1,000, against broadcast()", "rate", "1000 W1", "websockets", at_least=1.2
        ),
        _ratio("lockstep/cpu", "server time against a send loop", "cpu_us", "1000 W1", "trio", at_most=0.3),
        _ratio("fan50/p50", "50 events/s to 1,000: p50 against nchan's", "p50_ms", "1000 50/s", "nchan", at_most=1.0),
        _ratio("fan50/p99", "50 events/s to 1,000: p99 against nchan's", "p99_ms", "1000 50/s", "nchan", at_most=1.0),
        _ratio("fan500/p50", "500 events/s: p50 against Bun's", "p50_ms", "1000 500/s", "bun", at_most=2.0),
        _ratio("fan1000/p50", "1,000 events/s: p50 against Bun's", "p50_ms", "1000 1000/s", "bun", at_most=2.0),
        _nothing_lost("fan500/lost", "appliance 1000 500/s"),
        _nothing_lost("fan1000/lost", "appliance 1000 1000/s"),
    )


def sse(arena: Arena) -> Contest:
    field = Field(arena)
    for label, window in (("1000 W64", SATURATED), ("1000 W1", LOCKSTEP)):
        for who in ("appliance sse", "appliance pokes", "nchan sse"):
            field.add(who, label, Crowd(1000, window=window))
    ours = "appliance sse"
    return field.contest(
        "sse",
        "one channel over server-sent events; deliveries per second",
        _ratio("sse/nchan-64", "saturated, against nchan's", "rate", "1000 W64", "nchan sse", ours, at_least=12),
        _ratio("sse/nchan-1", "lockstep, against nchan's", "rate", "1000 W1", "nchan sse", ours, at_least=1.1),
    )


def small(arena: Arena) -> Contest:
    field = Field(arena)
    for label, crowd in (
        ("10 W1", Crowd(10, window=LOCKSTEP)),
        ("10 W64", Crowd(10, window=SATURATED)),
        ("1 100/s", Crowd(1, rate=100)),
    ):
        for who in ("appliance", "nchan", "bun", "websockets"):
            field.add(who, label, crowd)
    return field.contest(
        "small",
        "one channel with few readers: what an event costs before it is fanned out; ours waits for the disk",
        _ratio("small/lockstep", "10 readers, lockstep, against nchan", "rate", "10 W1", "nchan", at_least=0.8),
        _ratio("small/saturated", "10 readers, saturated, against nchan", "rate", "10 W64", "nchan", at_least=6),
        _ratio("small/p95", "1 reader, 100 events/s: p95 against nchan's", "p95_ms", "1 100/s", "nchan", at_most=3),
    )


def idle(arena: Arena) -> Contest:
    field = Field(arena)
    everybody, half = Crowd(IDLE, rate=CALM, patience=60), Crowd(IDLE // 2, rate=CALM / 5, patience=60)
    for who in ("appliance", "appliance sse", "nchan", "nchan sse", "bun"):
        field.add_fresh(who, "10000", everybody)
    for who in ("appliance", "trio"):
        field.add_fresh(who, "5000", half)  # as many and as much as a send loop can bear
    ws, events = "appliance 10000", "appliance sse 10000"
    return field.contest(
        "idle",
        f"{IDLE:,} connections that hear {CALM:g} events per second, a fresh server each",
        Goal("idle/open", "seconds until all are in, WebSocket", (ws,), "open_s", at_most=10),
        Goal("idle/open-sse", "seconds until all are in, event streams", (events,), "open_s", at_most=10),
        Goal("idle/kib", "KiB each, WebSocket", (ws,), "kib", at_most=24),
        Goal("idle/kib-sse", "KiB each, event streams", (events,), "kib", at_most=12),
        _nothing_lost("idle/lost", ws),
        _nothing_lost("idle/lost-sse", events),
        _ratio("idle/p99", "p99 against nchan's", "p99_ms", "10000", "nchan", at_most=1.2),
        _ratio("idle/trio", "KiB each against trio-websocket's", "kib", "5000", "trio", at_most=0.6),
        rounds=3,
    )


def channels(arena: Arena) -> Contest:
    field = Field(arena)
    for count in (100, 1000):
        crowd = Crowd(10 * count, channels=count, window=SATURATED, patience=60)
        for who in ("appliance broadcast", "appliance tail"):
            field.add(who, f"{count}x10", crowd)
        field.add("nchan many", f"{count}x10", crowd)
    field.add("appliance posts", "100x10", Crowd(1000, channels=100, window=SATURATED))
    return field.contest(
        "channels",
        "many channels with ten readers each, events to each in turn",
        Goal(
            "channels/linear",
            "server time per delivery, 1,000 channels against 100",
            ("appliance broadcast 1000x10",),
            "cpu_us",
            "appliance broadcast 100x10",
            at_most=1.5,
        ),
    )


def filters(arena: Arena) -> Contest:
    field = Field(arena)
    for count in (50, 100):
        field.add("appliance", f"{count} filters", Crowd(10 * count, channels=count, window=SATURATED))
    return field.contest(
        "filters",
        "ten readers to a filter, every event matches one",
        Goal(
            "filters/linear",
            "server time per delivery, 100 filters against 50",
            ("appliance 100 filters",),
            "cpu_us",
            "appliance 50 filters",
            at_most=2.0,
        ),
    )


def tls(arena: Arena) -> Contest:
    field = Field(arena)
    for clients in (100, 1000):
        for label, window in (("W64", SATURATED), ("W1", LOCKSTEP)):
            field.add("appliance tls", f"{clients} {label}", Crowd(clients, window=window))
    return field.contest(
        "tls",
        "the same, encrypted: bytes are no longer shared",
        Goal(
            "tls/linear",
            "server time per delivery, 1,000 readers against 100",
            ("appliance tls 1000 W64",),
            "cpu_us",
            "appliance tls 100 W64",
            at_most=1.5,
        ),
    )


def _server(who: str) -> str:
    """Several endpoints of one server share it; encryption is a server of its own."""
    return who if who == "appliance tls" else who.split()[0]


def _start(who: str, folder: Path) -> contextlib.AbstractContextManager[Started]:
    if who == "appliance tls":
        return fanservers.encrypted(folder)
    starter: Callable[[Path], contextlib.AbstractContextManager[Started]] = getattr(fanservers, who.split()[0])
    return starter(folder)


def _ratio(id: str, text: str, measure: str, label: str, anchor: str, ours: str = "appliance", **bound: float) -> Goal:
    return Goal(id, text, (f"{ours} {label}",), measure, f"{anchor} {label}", **bound)


def _nothing_lost(id: str, contender: str) -> Goal:
    return Goal(id, "deliveries that never came", (contender,), "lost", at_most=0)


CONTESTS: dict[str, Callable[[Arena], Contest]] = {
    function.__name__: function for function in (fanout, sse, small, idle, channels, filters, tls)
}
