"""The canary flies, and what does not come back is a miss."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
import structlog
import trio
import trio.testing

from appliance.errors import PeerFailed, Unavailable
from appliance.model.event import Draft
from appliance.model.http import Request
from appliance.telemetry.canary.readers import arrival
from appliance.telemetry.canary.service import CATEGORY, Canary, Way
from appliance.world import RealWorld


@dataclass
class FakeCage:
    """A house whose legs take as long as they are told, or fail."""

    append_takes: float = 0.004
    push_takes: float = 0.01
    webhook_takes: float = 0.02
    refuses: bytes = b""  # how streams answer instead
    trouble: Exception | None = None  # of the append
    deaf: bool = False  # nothing is ever pushed
    canary: Canary | None = None
    written: list[Draft] = field(default_factory=list)
    pushing: trio.Event = field(default_factory=trio.Event)
    open_now: int = 0
    nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Way]:
        self.open_now += 1
        try:
            async with trio.open_nursery() as self.nursery:
                yield Way("house", "secret")
                self.nursery.cancel_scope.cancel()
        finally:
            self.open_now -= 1

    async def append(self, draft: Draft) -> None:
        await trio.sleep(self.append_takes)
        if self.trouble is not None:
            raise self.trouble
        self.written.append(draft)
        if not self.deaf:
            self.pushing.set()

    async def flushed(self) -> None:
        await trio.sleep(0.001)

    async def connect(self) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        assert self.nursery is not None
        self.nursery.start_soon(self._stream, theirs)
        return ours

    async def _stream(self, stream: trio.abc.Stream) -> None:
        request = bytes(await stream.receive_some())
        upgrade = b"Upgrade: websocket" in request
        status = self.refuses or (b"101 Switching Protocols" if upgrade else b"200 OK")
        await stream.send_all(b"HTTP/1.1 " + status + b"\r\nX: y\r\n\r\n")
        if self.refuses:
            return
        await stream.send_all(b'..{"type":"QueueStatus"}' if upgrade else b"event: connected\ndata: {}\n\n")
        await self.pushing.wait()
        await trio.sleep(self.push_takes)
        with contextlib.suppress(trio.BrokenResourceError):  # it has seen enough
            await stream.send_all(b'{"event_id":"' + self.written[-1].id.encode() + b'"}')

    async def post(self, path: str, token: str, body: bytes) -> str:
        await trio.sleep(self.webhook_takes)
        assert self.canary is not None
        [route] = [route for route in self.canary.routes() if route.method == "POST"]
        route.handler(Request("POST", path, params={"event_id": path.rpartition("/")[2]}))
        return ""


def a_canary(cage: FakeCage, every: float | None = 60.0) -> Canary:
    cage.canary = Canary(cage, RealWorld(), every=every)
    return cage.canary


def shown(canary: Canary) -> dict[str, object]:
    [route] = [route for route in canary.routes() if route.method == "GET"]
    answer = route.handler(Request("GET", route.path))
    found: dict[str, object] = msgspec.json.decode(answer.body)  # type: ignore[union-attr]
    return found


async def test_each_leg_is_timed_from_the_moment_of_writing(autojump_clock):
    cage = FakeCage()
    canary = a_canary(cage)

    await canary.fly()

    times = canary.ledger.last
    assert canary.state == "ok"
    assert times["append"] == pytest.approx(0.004, abs=0.001)
    assert times["bus"] == pytest.approx(0.005, abs=0.001)
    assert times["sse"] == times["websocket"] == pytest.approx(0.015, abs=0.003)
    assert times["webhook"] == pytest.approx(0.024, abs=0.001)
    assert (cage.written[0].stream, cage.open_now) == (f"{CATEGORY}-{cage.written[0].id}", 0)
    assert (shown(canary)["state"], shown(canary)["trouble"]) == ("ok", "")


async def test_it_flies_every_so_often(autojump_clock):
    canary = a_canary(FakeCage(), every=60.0)

    async with trio.open_nursery() as nursery:
        await nursery.start(canary.run)
        before = canary.state
        await trio.sleep(10 + 2 * 60 + 30)
        nursery.cancel_scope.cancel()

    assert (before, canary.ledger.runs) == ("waiting", 3)


async def test_turned_off_it_stays_at_home(autojump_clock):
    cage = FakeCage()
    canary = a_canary(cage, every=None)

    async with trio.open_nursery() as nursery:
        await nursery.start(canary.run)
        await trio.sleep(10_000)
        nursery.cancel_scope.cancel()

    assert (canary.state, shown(canary)["every_s"], cage.written) == ("off", None, [])


async def test_streams_that_refuse_are_misses_and_the_rest_is_measured(autojump_clock):
    canary = a_canary(FakeCage(refuses=b"503 Service Unavailable"))

    await canary.fly()

    assert set(canary.ledger.last) == {"append", "bus", "webhook"}
    assert (canary.state, shown(canary)["trouble"]) == ("failed", "peer_failed")


async def test_what_never_comes_is_given_up(autojump_clock):
    cage = FakeCage(deaf=True)
    canary = a_canary(cage)
    began = trio.current_time()

    await canary.fly()

    assert trio.current_time() - began == pytest.approx(5.0, abs=0.1)
    assert set(canary.ledger.last) == {"append", "bus", "webhook"}
    assert cage.open_now == 0


async def test_a_full_disk_is_told_once_and_its_end_once(autojump_clock):
    cage = FakeCage(trouble=Unavailable("the disk is full"))
    canary = a_canary(cage)

    with structlog.testing.capture_logs() as lines:
        for trouble in (cage.trouble, cage.trouble, None, None):
            cage.trouble = trouble
            await canary.fly()

    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("canary did not come back", "unavailable"),
        ("canary is back", None),
    ]
    assert canary.ledger.misses["append"] == 2


async def test_a_webhook_for_nobody_is_no_trouble():
    canary = a_canary(FakeCage())
    [route] = [route for route in canary.routes() if route.method == "POST"]

    answer = route.handler(Request("POST", "/api/v1/canary/x", params={"event_id": "x"}))

    assert answer.status == 204  # type: ignore[union-attr]


@pytest.mark.parametrize("said", [b"HTTP/1.1 401 Unauthorized\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense"])
async def test_a_stream_that_ends_or_refuses_is_the_peers_failure(said):
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(said)
    await theirs.send_eof()

    with pytest.raises(PeerFailed):
        await arrival(ours, "sse", host="h", token="t", types="X", id="i", ready=trio.Event())
