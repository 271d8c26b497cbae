"""A simulated day with a dead receiver, four bad ones, and a healthy one that must not notice.

Couriers, senders and httpcore are the real ones; the clock is virtual and the network is made of functions, so that
a day takes seconds and every run is the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import httpcore
import trio
import trio.testing

from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.sender import Sender
from appliance.resilience.breaker import State
from tests.load.machine import resident_mib
from tests.rooms.egress.courier_room import Receiver, Room, a_room

__all__ = ["Findings", "simulate"]

DAY = 24 * 3600.0
TIMEOUT = 30.0
ALONE = 500  # events that are enough to see how fast the healthy one is by itself
RECOVERY = 2 * 3600.0  # seconds after the day until everything has arrived
GROWTH = 48.0  # MiB that the process may grow after the first tenth of the day; the events themselves are among them
NOTE = re.compile(rb'"n":(\d+)')
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LARGE = 5 * 1024 * 1024
CHUNK = b"x" * 65536

Step = tuple[float, bytes]  # seconds, and what is sent then
Answer = Callable[[], Iterator[Step]]


@dataclass
class Findings:
    events: int
    p95_alone: float = 0.0  # seconds from writing to arriving, of the healthy one by itself
    p95: float = 0.0  # the same beside the others
    arrived: dict[str, int] = field(default_factory=dict)  # events, by receiver
    shelved: dict[str, int] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)  # whose circuit was open at some time
    recovered_after: float = 0.0  # seconds from the dead one's return to its last event
    most_waiting: int = 0  # deliveries of one endpoint held at once
    growth: float = 0.0  # MiB of the process in the last nine tenths of the day
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.events} events; healthy p95 {self.p95_alone:.3f} s alone, {self.p95:.3f} s beside the others; "
            f"arrived {self.arrived}, shelved {self.shelved}; circuits opened: {', '.join(sorted(self.opened))}; "
            f"the dead one was level {self.recovered_after:.0f} s after its return; "
            f"{self.most_waiting} deliveries held at most, {self.growth:+.1f} MiB"
        )


class Post:
    """Where a receiver lives: answers whole requests, and keeps when each event came first."""

    def __init__(self, answer: Answer, *, down_until: float = 0.0) -> None:
        self.answer = answer
        self.down_until = down_until
        self.came: dict[int, float] = {}
        self.doubles = 0

    def took(self, request: bytes) -> None:
        found = NOTE.search(request)
        assert found is not None
        note = int(found[1])
        self.doubles += note in self.came
        self.came.setdefault(note, trio.current_time())


class Network(httpcore.AsyncNetworkBackend):
    """Connects to one receiver."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        await trio.sleep(0.001)
        if trio.current_time() < self._post.down_until:
            raise httpcore.ConnectError("connection refused")
        return Line(self._post)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class Line(httpcore.AsyncNetworkStream):
    """One connection. A request that has come whole is answered step by step."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._request = b""
        self._answer: Iterator[Step] = iter(())
        self._asked = b""  # the request that is being answered
        self._left = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await trio.lowlevel.checkpoint()
        if not buffer:
            return
        self._request += buffer
        head, _, body = self._request.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._answer, self._asked, self._request = self._post.answer(), self._request, b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._left:
            pause, self._left = next(self._answer, (0.0, b""))
            await trio.sleep(pause)
            self._begin()
        found, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return found

    def _begin(self) -> None:
        if self._asked:
            self._post.took(self._asked)
        self._asked = b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    def get_extra_info(self, info: str) -> object:
        return None


def healthy() -> Iterator[Step]:
    yield 0.02, OK


def slow() -> Iterator[Step]:
    yield 100, OK


def dripping() -> Iterator[Step]:
    yield 0, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    while True:
        yield 5, b"x"


def huge() -> Iterator[Step]:
    yield 0, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE
    for _ in range(LARGE // len(CHUNK)):
        yield 0, CHUNK


def leaving() -> Iterator[Step]:
    yield 0.02, b"HTTP/1.1 200 O"


ANSWERS: dict[str, Answer] = {"slow": slow, "dripping": dripping, "huge": huge, "leaving": leaving}


def simulate(events: int) -> Findings:
    """The healthy one alone, then everybody together; what must hold and does not is a complaint."""
    findings = Findings(events)
    trio.run(_alone, findings, clock=trio.testing.MockClock(autojump_threshold=0))
    trio.run(_together, findings, clock=trio.testing.MockClock(autojump_threshold=0))
    _judge(findings)
    return findings


async def _alone(findings: Findings) -> None:
    post = Post(healthy)
    async with a_room() as room:
        _begin(room, "healthy", post)
        written = await _write(room, findings, min(findings.events, ALONE))
        await trio.sleep(60)
        findings.p95_alone = _p95(written, post)


async def _together(findings: Findings) -> None:
    posts = {"healthy": Post(healthy), "dead": Post(healthy, down_until=DAY)}
    posts |= {name: Post(answer) for name, answer in ANSWERS.items()}
    async with a_room() as room:
        for name, post in posts.items():
            _begin(room, name, post)
        written = await _write(room, findings, findings.events)
        await trio.sleep_until(DAY)
        dead = next(courier for courier in room.couriers if courier.endpoint.id == "dead")
        while dead.cursor.position < findings.events and trio.current_time() < DAY + RECOVERY:  # noqa: ASYNC110
            await trio.sleep(1)  # virtual seconds cost nothing
        findings.recovered_after = trio.current_time() - DAY
        findings.p95 = _p95(written, posts["healthy"])
        findings.arrived = {name: len(post.came) for name, post in posts.items()}
        for letter in room.letters():
            findings.shelved[letter["source"]] = findings.shelved.get(letter["source"], 0) + 1
        for name in ("healthy", "dead", "huge"):
            if posts[name].doubles:
                findings.complaints.append(f"{name} had {posts[name].doubles} events twice")
        if dead.breaker.state is not State.CLOSED:
            findings.complaints.append("the dead one's circuit is not closed again")


def _begin(room: Room, name: str, post: Post) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        return ["93.184.215.14"]

    sender = Sender(Guard(), resolve, connections=4, timeout=TIMEOUT, network=Network(post))
    room.begin(cast(Receiver, sender), name)


async def _write(room: Room, findings: Findings, events: int) -> list[float]:
    """Events over the day; when each was written."""
    written, begun = [], 0.0
    for n in range(events):
        await trio.sleep_until(DAY * n / events)
        if n == events // 10:
            begun = resident_mib(os.getpid())
        room.write(1, first=n)
        written.append(trio.current_time())
        for courier in room.couriers:
            findings.most_waiting = max(findings.most_waiting, courier.waiting)
            if courier.breaker.state is not State.CLOSED:
                findings.opened.add(courier.endpoint.id)
    findings.growth = max(findings.growth, resident_mib(os.getpid()) - begun)
    return written


def _p95(written: list[float], post: Post) -> float:
    took = sorted(post.came[n] - at for n, at in enumerate(written))
    return took[int(len(took) * 0.95)]


def _judge(findings: Findings) -> None:
    complain, arrived, shelved = findings.complaints.append, findings.arrived, findings.shelved
    if findings.p95 > findings.p95_alone * 1.05:
        complain("the healthy one waits longer beside the others")
    for name in ("healthy", "huge"):
        if arrived[name] != findings.events:
            complain(f"{name} was told of {arrived[name]} events")
    if arrived["dead"] + shelved.get("dead", 0) != findings.events:
        complain(f"of the dead one's events {arrived['dead']} arrived and {shelved.get('dead', 0)} are on the shelf")
    if shelved.get("dead", 0) > 10:
        complain("an open circuit has burnt deliveries")
    if not {"dead", "slow", "dripping", "leaving"} <= findings.opened or "healthy" in findings.opened:
        complain(f"circuits opened: {findings.opened}")
    if findings.recovered_after >= RECOVERY:
        complain("the dead one did not recover by itself")
    if findings.most_waiting > 256:
        complain(f"{findings.most_waiting} deliveries were held for one endpoint")
    if findings.growth > GROWTH:
        complain(f"the process grew by {findings.growth:.0f} MiB")
