"""A good client is served all the while others misbehave: mutated requests, stalled and dripped heads and bodies,
hundreds of idle sockets, and a standard output that nobody reads.

The good client writes and reads back on one kept-alive connection, as fast as it is answered with a short pause,
and times every answer. When the noise is over the server must still be there, must have forgotten the strangers'
connections, and must not have grown.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.victim import Caller, Victim

__all__ = ["Findings", "mutate", "run"]

PAUSE = 0.01  # seconds between two calls of the good client
SLOWEST = 1.0  # seconds a good call may take at worst, whatever goes on
DRIP = 0.2  # seconds between two bytes
READ = 0.2  # seconds we wait for an answer to a mutated request
SETTLE = 20.0  # seconds after which strangers' connections must be gone (a head has 10)
GROWTH_MIB = 64.0


@dataclass
class Findings:
    """`complaints` must be empty."""

    seed: int
    connections: int = 0
    good_calls: int = 0
    times: list[float] = field(default_factory=list)  # seconds, of the good client
    complaints: list[str] = field(default_factory=list)

    def at(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.connections} hostile connections, {self.good_calls} good calls, "
            f"write and read back: p50 {self.at(0.5) * 1000:.1f} ms, p99 {self.at(0.99) * 1000:.1f} ms, "
            f"worst {self.at(1.0):.2f} s; {len(self.complaints)} complaints"
        )


def run(
    folder: Path, *, mutations: int, idle: int, slow: int, seed: int, note: Callable[[str], None] = print
) -> Findings:
    """All of it at once, against a fresh server whose output is not read."""
    rng = random.Random(seed)
    findings = Findings(seed)
    with Victim(folder, silent=True) as victim:
        victim.start()
        good = GoodClient(victim.caller(timeout=10), findings)
        good.settle()
        before = Vitals.of(victim)
        with good, contextlib.ExitStack() as crowd:
            for _ in range(idle):
                crowd.enter_context(_connect(victim))
            note(f"{idle} idle sockets stand")
            stop = threading.Event()
            drips = threading.Thread(target=_drip, args=(victim, list(_slow(rng, slow, victim.token)), stop))
            drips.start()
            _send_mutations(victim, rng, mutations, findings, note)
            stop.set()
            drips.join()
            findings.connections += idle + slow
        _check_vitals(victim, before, findings)
    return findings


class GoodClient:
    """Writes, reads back and times it in a thread of its own while the block runs."""

    def __init__(self, caller: Caller, findings: Findings) -> None:
        self._caller = caller
        self._findings = findings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> GoodClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def settle(self) -> None:
        """A few calls before anything is measured."""
        for number in range(20):
            self._once(number)
        self._findings.times.clear()

    def _run(self) -> None:
        number = 0
        try:
            while not self._stop.wait(PAUSE):
                self._once(number)
                number += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the good client was not served
            self._findings.complaints.append(f"the good client failed after {number} calls: {error!r}")
        if self._findings.at(1.0) > SLOWEST:
            self._findings.complaints.append(f"the good client once waited {self._findings.at(1.0):.2f} s")

    def _once(self, number: int) -> None:
        begun = time.monotonic()
        answer = self._caller.call("stream.write", "good-1", {"type": "Good", "data": {"n": number}})
        last = self._caller.call("stream.last", "good-1")
        self._findings.times.append(time.monotonic() - begun)
        self._findings.good_calls += 2
        if last[2] != answer["position"] or last[4] != {"n": number}:
            self._findings.complaints.append(f"read {last} after writing {number} at {answer}")


# Mutations


def samples(token: str) -> list[bytes]:
    """Well-formed requests of every lane, to be spoiled."""
    auth = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    body = '["stream.write","hostile-1",{"type":"Hostile","data":{"n":1}},{"expectedVersion":-1}]'
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    texts = (
        f"POST /rpc HTTP/1.1\r\n{auth}Content-Length: {len(body)}\r\n\r\n{body}",
        f"POST /rpc HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n\r\n",
        f"POST /import HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n3\r\n{{}}\n\r\n0\r\n\r\n",
        f"GET /subscribe?stream=hostile-1&position=0 HTTP/1.1\r\n{auth}\r\n",
        f"GET /ws/tail?category=hostile HTTP/1.1\r\n{auth}{upgrade}{key}\r\nSec-WebSocket-Protocol: a\r\n\r\n",
        f"GET /ws/tail HTTP/1.1\r\n{auth}{upgrade}{key}\r\nContent-Length: 5\r\n\r\nhello",
        f"GET / HTTP/1.1\r\n{auth}Accept: text/html\r\n\r\n",
        f"GET /health HTTP/1.1\r\n{auth}Expect: 100-continue\r\n\r\n",
    )
    return [text.encode() for text in texts]


def mutate(rng: random.Random, request: bytes) -> bytes:
    """One to four seeded injuries: bytes changed, cut, doubled, swapped in, lines moved, sizes that lie."""
    for _ in range(rng.randint(1, 4)):
        request = rng.choice(_INJURIES)(rng, request)
    return request


def _flip(rng: random.Random, text: bytes) -> bytes:
    at = rng.randrange(len(text) or 1)
    return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]


def _cut(rng: random.Random, text: bytes) -> bytes:
    at = rng.randrange(len(text) or 1)
    return text[:at] + text[at + rng.randint(1, 40) :]


def _truncate(rng: random.Random, text: bytes) -> bytes:
    return text[: rng.randrange(len(text) or 1)]


def _double(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\r\n")
    at = rng.randrange(len(lines))
    return b"\r\n".join([*lines[:at], lines[at], *lines[at:]])


def _insert(rng: random.Random, text: bytes) -> bytes:
    at = rng.randrange(len(text) or 1)
    return text[:at] + rng.choice(_POISON) + text[at:]


def _lie(rng: random.Random, text: bytes) -> bytes:
    size = rng.choice((b"0", b"1", b"99999", b"-1", b"+5", b"5, 5", b"0x10", b"18446744073709551616"))
    return text.replace(b"Content-Length: ", b"Content-Length: " + size + b"\r\nX: ", 1)


def _swap(rng: random.Random, text: bytes) -> bytes:
    lines = text.split(b"\r\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\r\n".join(lines)


_POISON = (
    b"\x00",
    b"\n",
    b"\r",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b": ",
    b"PRI * HTTP/2.0",
)
_INJURIES: tuple[Callable[[random.Random, bytes], bytes], ...] = (_flip, _cut, _truncate, _double, _insert, _lie, _swap)


def _send_mutations(
    victim: Victim, rng: random.Random, count: int, findings: Findings, note: Callable[[str], None]
) -> None:
    """Each on a connection of its own; every second one behind a good request on the same connection."""
    good = samples(victim.token)
    for number in range(count):
        text = mutate(rng, rng.choice(good))
        if number % 2:
            text = good[0] + text
        with contextlib.suppress(OSError), _connect(victim) as stranger:
            stranger.sendall(text)
            if rng.random() < 0.3:
                stranger.shutdown(socket.SHUT_WR)
            if rng.random() < 0.7:
                stranger.settimeout(READ)
                while stranger.recv(65536):
                    pass
        findings.connections += 1
        if not victim.alive:
            findings.complaints.append(f"the server ended after mutation {number}: {text!r}")
            return
        if number % 100 == 99:
            note(f"{number + 1} of {count} mutated connections")


# Slowness


def _slow(rng: random.Random, count: int, token: str) -> Iterator[tuple[bytes, bool]]:
    """(what is sent, whether it drips on): heads and bodies that stop, or come byte by byte."""
    whole = samples(token)[0]
    body_at = whole.index(b"\r\n\r\n") + 4
    for number in range(count):
        limit = rng.randrange(1, body_at) if number % 2 else rng.randrange(body_at, len(whole))
        yield whole[:limit], number % 4 < 2


def _drip(victim: Victim, requests: Sequence[tuple[bytes, bool]], stop: threading.Event) -> None:
    """Holds all of them open: the stalled have sent their part, the dripping go on byte by byte."""
    with contextlib.ExitStack() as stack:
        held = [(stack.enter_context(_connect(victim)), text, drips) for text, drips in requests]
        for stranger, text, drips in held:
            with contextlib.suppress(OSError):
                stranger.sendall(text[:1] if drips else text)
        at = 1
        while not stop.wait(DRIP):
            for stranger, text, drips in held:
                if drips and at < len(text):
                    with contextlib.suppress(OSError):  # the server may have had enough of it
                        stranger.sendall(text[at : at + 1])
            at += 1


def _connect(victim: Victim) -> socket.socket:
    return socket.create_connection(("127.0.0.1", victim.port), timeout=10)


# Afterwards


@dataclass(frozen=True)
class Vitals:
    descriptors: int
    resident_mib: float

    @classmethod
    def of(cls, victim: Victim) -> Vitals:
        descriptors = len(os.listdir(f"/proc/{victim.pid}/fd"))
        pages = int(Path(f"/proc/{victim.pid}/statm").read_text().split()[1])
        return cls(descriptors, pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20))


def _check_vitals(victim: Victim, before: Vitals, findings: Findings) -> None:
    if not victim.alive:
        findings.complaints.append("the server is gone")
        return
    until = time.monotonic() + SETTLE
    while (now := Vitals.of(victim)).descriptors > before.descriptors and time.monotonic() < until:
        time.sleep(0.1)
    if now.descriptors > before.descriptors:
        findings.complaints.append(f"{before.descriptors} descriptors before, {now.descriptors} after")
    if now.resident_mib > before.resident_mib + GROWTH_MIB:
        findings.complaints.append(f"{before.resident_mib:.0f} MiB before, {now.resident_mib:.0f} MiB after")
