"""The service itself: accepting, ending, counting."""

from __future__ import annotations

import errno
import ipaddress
import json
import socket
from dataclasses import replace

import pytest
import trio
from prometheus_client import CollectorRegistry, generate_latest

from appliance.errors import ConfigError
from appliance.model.http import Request, Response, Route
from appliance.web.front import Front
from appliance.web.listen import listen, url_host
from appliance.web.metrics import metrics_route
from appliance.web.rest import QuartLane
from appliance.world import RealWorld
from tests.rooms.web.house import LIMITS, House, a_house, authenticate, get, post, stock_routes, upgrade


class ShortOfDescriptors:
    """A listening socket that cannot accept for a while."""

    def __init__(self, inner: socket.socket, failures: list[int]) -> None:
        self._inner = inner
        self._failures = failures

    def accept(self) -> object:
        if self._failures:
            code = self._failures.pop()
            raise OSError(code, errno.errorcode[code])
        return self._inner.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


async def test_accepting_survives_what_the_kernel_says():
    [listener] = listen("127.0.0.1:0")
    flaky = ShortOfDescriptors(listener, [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED])
    front = Front([flaky], stock_routes([]), authenticate=authenticate, limits=LIMITS, world=RealWorld())  # type: ignore[list-item]
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        house = House(front, nursery, [])
        peer = await house.peer()

        reply = await peer.ask(get("/fast"))

        assert reply.status == 200
        assert front._shared.meter.refusals["descriptors"] == 3
        await trio.aclose_forcefully(peer.stream)
        nursery.cancel_scope.cancel()


async def test_one_address_may_open_only_its_share(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ipaddress.IPv4Address, "is_loopback", False)
    async with a_house(limits=replace(LIMITS, per_address=2)) as house:
        first, second, third = [await house.peer() for _ in range(3)]
        statuses = [(await peer.ask(get("/fast"))).status for peer in (first, second, third)]
        await trio.aclose_forcefully(first.stream)
        await house.settled(1)
        fourth = await house.peer()

        assert statuses == [200, 200, 503]
        assert (await fourth.ask(get("/fast"))).status == 200


async def test_drain_closes_the_idle_finishes_the_busy_and_takes_no_one_new():
    entered, leave = trio.Event(), trio.Event()

    async def slow(_: Request) -> Response:
        entered.set()
        await leave.wait()
        return Response(200, b"done")

    def routes(seen: list[str]) -> list[Route]:
        return [*stock_routes(seen), Route("GET", "/slow", slow, "slow")]

    async with a_house(routes) as house:
        idle, busy, following = [await house.peer() for _ in range(3)]
        await idle.ask(get("/fast"))
        await busy.send(get("/slow"))
        await following.send(get("/follow"))
        await following.head()
        await entered.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.front.drain)
            await trio.testing.wait_all_tasks_blocked()
            gone = await idle.rest()
            stream_end = await following.rest()
            with pytest.raises(OSError, match="connect"):
                await house.peer()
            leave.set()
            reply = await busy.reply()

        assert gone == b""
        assert stream_end.endswith(b": ready\n\n\r\n0\r\n\r\n")
        assert (reply.body, reply.headers["connection"].lower()) == (b"done", "close")
        assert house.front.counts["connections"] == 0


async def test_drain_gives_up_after_its_time(mock_clock: trio.testing.MockClock):
    async def never(_: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    async with a_house(lambda _: [Route("GET", "/never", never, "never")]) as house:
        peer = await house.peer()
        await peer.send(get("/never"))
        while house.front.counts["connections"] == 0:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked(0.02)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.front.drain)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(LIMITS.drain + 0.1)

        assert house.front.counts["connections"] == 1


async def test_drain_without_connections_is_quick():
    async with a_house() as house:
        await house.front.drain()

        assert house.front.counts["connections"] == 0


async def test_counts_reach_the_metrics_page():
    registry = CollectorRegistry()
    world = RealWorld()
    routes = [*stock_routes([]), metrics_route(registry, world)]
    front = Front(
        listen("127.0.0.1:0"), routes, authenticate=authenticate, limits=LIMITS, world=world, registry=registry
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        peer = await House(front, nursery, []).peer()
        await peer.ask(get("/fast"))
        await peer.ask(get("/nothing"))
        await peer.ask(get("/rest"))

        page = (await peer.ask(get("/metrics"))).body.decode()

        assert 'appliance_web_requests_total{lane="fast",status="2xx"} 1.0' in page
        assert 'appliance_web_requests_total{lane="fast",status="4xx"} 1.0' in page
        assert 'appliance_web_requests_total{lane="rest",status="2xx"} 1.0' in page
        assert "appliance_web_connections 1.0" in page
        await peer.ask(get("/fast", "Host: b"))
        await peer.rest()
        assert b'appliance_web_refusals_total{reason="repeated_field"} 1.0' in generate_latest(registry)
        await trio.aclose_forcefully(peer.stream)
        nursery.cancel_scope.cancel()


async def test_framework_that_fails_is_a_500_and_the_connection_goes_on(monkeypatch: pytest.MonkeyPatch):
    async def fails(*_: object) -> bytes:
        raise RuntimeError("quart is gone")

    monkeypatch.setattr(QuartLane, "answer", fails)
    async with a_house() as house:
        peer = await house.peer()

        assert (await peer.ask(get("/rest"))).status == 500
        assert (await peer.ask(get("/fast"))).status == 200


async def test_crash_inside_a_connection_stops_at_the_wall(monkeypatch: pytest.MonkeyPatch):
    async with a_house() as house:
        witness = await house.peer()
        await witness.ask(get("/fast"))
        monkeypatch.setattr("appliance.web.attendant.admit", lambda *_: 1 / 0)
        peer = await house.peer()

        await peer.send(upgrade())

        assert await peer.rest() == b""
        assert (await witness.ask(get("/fast"))).status == 200
        assert house.front.counts["bugs"] == 1


async def test_first_rest_request_may_come_before_the_framework_is_warm():
    lane = QuartLane(RealWorld())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.warm)
        nursery.start_soon(lane.warm)

    assert lane._serve is not None


async def test_rest_handlers_see_plain_requests_and_big_bodies():
    async def echo(request: Request) -> Response:
        return Response(201, request.body, "text/plain", (("x-query", request.query["a"]), ("location", "/x")))

    async with a_house(lambda _: [Route("PUT", "/e//{name}", echo, "e", body_limit=3_000_000)]) as house:
        peer = await house.peer()
        body = b"b" * 2_000_000

        reply = await peer.ask(post("/e//x?a=1%202", body).replace(b"POST", b"PUT", 1))

        assert (reply.status, reply.body == body) == (201, True)
        assert (reply.headers["x-query"], reply.headers["location"]) == ("1 2", "/x")


# -- listening --------------------------------------------------------------------------------


def test_loopback_listens_in_both_families_on_one_port():
    sockets = listen("loopback:0")

    names = [each.getsockname()[:2] for each in sockets]
    for each in sockets:
        each.close()

    assert names[0][0] == "127.0.0.1"
    assert len({port for _, port in names}) == 1
    assert {host for host, _ in names} <= {"127.0.0.1", "::1"}


def test_lan_listens_everywhere():
    sockets = listen("lan:0")

    hosts = {each.getsockname()[0] for each in sockets}
    for each in sockets:
        each.close()

    assert "0.0.0.0" in hosts


@pytest.mark.parametrize(
    "spec", ["8420", "loopback", "loopback:http", "loopback:70000", ":8420", "no such host.invalid:1"]
)
def test_text_that_is_no_address_is_a_config_error_with_a_hint(spec: str):
    with pytest.raises(ConfigError) as error:
        listen(spec)

    assert error.value.facts["key"] == "listen"


def test_taken_and_foreign_addresses_say_what_to_do():
    [taken] = listen("127.0.0.1:0")
    with taken, pytest.raises(ConfigError) as in_use:
        listen(f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(ConfigError) as foreign:
        listen("192.0.2.1:0")

    assert "another program" in in_use.value.hint
    assert "does not have" in foreign.value.hint


def test_family_that_is_missing_is_left_out_and_busy_ports_are_tried_again(monkeypatch: pytest.MonkeyPatch):
    real = socket.socket.bind
    answers = [errno.EADDRINUSE, errno.EADDRNOTAVAIL]

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(answers.pop(0), "no")
        real(self, address)

    monkeypatch.setattr("appliance.web.listen.socket.socket.bind", bind)

    [only] = listen("loopback:0")

    assert only.getsockname()[0] == "127.0.0.1"
    only.close()


def test_port_that_is_never_free_in_both_families_is_said(monkeypatch: pytest.MonkeyPatch):
    def bind(self: socket.socket, _: object) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr("appliance.web.listen.socket.socket.bind", bind)
    with pytest.raises(ConfigError, match="no port is free"):
        listen("loopback:0")


def test_addresses_stand_in_urls_as_they_must():
    assert (url_host("::1"), url_host("127.0.0.1")) == ("[::1]", "127.0.0.1")


async def test_problem_page_is_json_that_tells_what_to_do():
    async with a_house() as house:
        peer = await house.peer()

        body = json.loads((await peer.ask(get("/secret"))).body)

        assert (body["status"], body["code"], body["message"]) == (401, "unauthenticated", "bring a token")
