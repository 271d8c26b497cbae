"""How a streaming answer ends: event streams politely, bodies that have an end of their own never before it."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trio
import trustme

from appliance.model.closecodes import Close
from appliance.model.frames import chunk
from appliance.model.http import Exchange, Lane, Route, SocketRoute, Stream
from tests.rooms.web.house import LIMITS, House, Peer, a_house, echo_socket, get, upgrade

BLOCK = chunk(b"data: " + b"x" * 65536 + b"\n\n")


@dataclass
class Guests:
    """What produces the streams."""

    exchanges: list[Exchange] = field(default_factory=list)
    left: int = 0
    go_on: trio.Event = field(default_factory=trio.Event)

    async def follow(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        try:
            await exchange.write(b": ready\n\n")
            await exchange.closed()
        finally:
            self.left += 1

    async def export(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        await exchange.write(b"half ")
        await self.go_on.wait()
        await exchange.write(b"whole")

    def routes(self, _: list[str]) -> list[Route]:
        def farewell(pause: int) -> bytes:
            return b"event: closing\ndata: %d\n\n" % pause

        answers = {
            "/events": lambda _: Stream(self.follow, farewell=farewell),
            "/pokes": lambda _: Stream(self.follow),
            "/export": lambda _: Stream(self.export, content_type="application/x-ndjson"),
        }
        routes = [Route("GET", path, answer, "x", lane=Lane.FAST) for path, answer in answers.items()]
        return [*routes, Route("GET", "/rest", answers["/events"], "x")]


@asynccontextmanager
async def a_party(path: str, **limits: float) -> AsyncIterator[tuple[House, Peer, Guests]]:
    guests = Guests()
    sockets = [SocketRoute("/ws", echo_socket, "x")]
    async with a_house(guests.routes, sockets, limits=replace(LIMITS, **limits)) as house:
        peer = await house.peer()
        await peer.send(get(path))
        assert (await peer.reply(to_head=True)).status == 200
        assert await peer.chunk() in (b": ready\n\n", b"half ")
        await trio.testing.wait_all_tasks_blocked()
        yield house, peer, guests


def closes(house: House) -> dict[int, int]:
    return dict(house.front._shared.meter.ended)


@pytest.mark.parametrize("path", ["/events", "/pokes", "/rest"])
async def test_ended_event_stream_is_a_whole_body_and_counted(path: str):
    async with a_party(path) as (house, peer, guests):
        guests.exchanges[0].outlet.end(Close.EXPIRED, "Token expired")
        with pytest.raises(trio.BrokenResourceError):
            guests.exchanges[0].outlet.offer(BLOCK)

        assert await peer.rest() == b"0\r\n\r\n"
        await trio.aclose_forcefully(peer.stream)
        await house.settled()
        assert (guests.left, closes(house), house.front.counts["bugs"]) == (1, {4401: 1}, 0)


async def test_event_stream_that_is_behind_is_dropped():
    async with a_party("/events") as (house, peer, guests):
        outlet = guests.exchanges[0].outlet
        while outlet.offer(BLOCK):
            pass
        outlet.end(Close.SLOW)

        data = await peer.rest()

        assert not data.endswith(b"0\r\n\r\n")
        await house.settled()
        assert (guests.left, closes(house), house.front.counts["bugs"]) == (1, {4008: 1}, 0)


async def test_peer_cut_for_the_write_deadline_counts_as_slow():
    async with a_party("/events", write_deadline=0.1) as (house, _, guests):
        while guests.exchanges[0].outlet.offer(BLOCK):
            pass

        await house.settled()

        assert closes(house) == {4008: 1}


async def test_peer_that_leaves_its_stream_is_no_end_of_ours():
    async with a_party("/events") as (house, peer, guests):
        await trio.aclose_forcefully(peer.stream)

        await house.settled()

        assert (guests.left, closes(house)) == (1, {})


async def test_export_that_is_ended_does_not_look_whole():
    async with a_party("/export") as (house, peer, guests):
        guests.exchanges[0].outlet.end(Close.EXPIRED)

        assert await peer.rest() == b""
        await house.settled()
        assert closes(house) == {4401: 1}


async def test_event_stream_through_tls_ends_as_a_whole_body():
    guests, authority = Guests(), trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("here.test").configure_cert(server)
    authority.configure_trust(client)
    async with a_house(guests.routes, [], tls=server) as house:

        async def expire() -> None:
            guests.exchanges[-1].outlet.end(Close.EXPIRED)

        for end in (expire, house.front.drain):
            tcp = await trio.open_tcp_stream("127.0.0.1", house.front.port)
            peer = Peer(trio.SSLStream(tcp, client, server_hostname="here.test", https_compatible=True))
            await peer.send(get("/pokes"))
            await peer.reply(to_head=True)
            assert await peer.chunk() == b": ready\n\n"
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(end)
                assert await peer.rest() == b"0\r\n\r\n"
                await trio.aclose_forcefully(peer.stream)

        await house.settled()
        assert (closes(house), house.front.counts["bugs"]) == ({4401: 1, 1001: 1}, 0)


# -- the appliance stops ----------------------------------------------------------------------


async def test_drain_tells_event_streams_when_to_come_back():
    """SSE `retry`, drained within the grace (2.1d)"""
    async with a_party("/events") as (house, peer, guests):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.front.drain)
            said = re.fullmatch(rb"event: closing\ndata: (\d+)\n\n", await peer.chunk())
            assert await peer.rest() == b"0\r\n\r\n"
            await trio.aclose_forcefully(peer.stream)

        assert said is not None
        assert 500 <= int(said[1]) <= 5000
        assert (guests.left, closes(house), house.front.counts["connections"]) == (1, {1001: 1}, 0)


async def test_drain_ends_a_stream_that_has_no_farewell():
    async with a_party("/pokes") as (house, peer, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.front.drain)
            assert await peer.rest() == b"0\r\n\r\n"
            await trio.aclose_forcefully(peer.stream)

        assert house.front.counts["connections"] == 0


async def test_farewell_stands_behind_what_is_unsent():
    async with a_party("/events", goodbye=5.0) as (house, peer, guests):
        taken = 0
        while guests.exchanges[0].outlet.offer(BLOCK):
            taken += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.front.drain)
            blocks = [await peer.chunk() for _ in range(taken)]
            farewell = await peer.chunk()
            assert await peer.chunk() == b""
            await trio.aclose_forcefully(peer.stream)

        assert {len(block) for block in blocks} == {65536 + 8}
        assert farewell.startswith(b"event: closing\n")


async def test_drain_lets_an_export_finish():
    async with a_party("/export") as (house, peer, guests), trio.open_nursery() as nursery:
        nursery.start_soon(house.front.drain)
        await trio.testing.wait_all_tasks_blocked()
        guests.go_on.set()

        assert await peer.rest() == b"5\r\nwhole\r\n0\r\n\r\n"


async def test_export_that_is_not_done_within_the_drain_does_not_look_whole(autojump_clock: trio.testing.MockClock):
    async with a_party("/export", drain=2.0) as (house, peer, _):
        await house.front.drain()
        house.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            rest = await peer.rest()

        assert rest == b""


async def test_nobody_may_stay_while_the_appliance_stops():
    """503 with Retry-After for upgrades and event streams of connections that are still answered."""
    async with a_house(Guests().routes, [SocketRoute("/ws", echo_socket, "x")]) as house:
        late = {}
        for name, request in {"upgrade": upgrade(), "events": get("/events")}.items():
            late[name] = await house.peer()
            await late[name].send(request[:-2])  # all but its last line
        await trio.testing.wait_all_tasks_blocked(0.01)
        house.front._shared.draining = True
        replies = {}
        for name, peer in late.items():
            replies[name] = await peer.ask(b"\r\n")

        assert {name: reply.status for name, reply in replies.items()} == {"upgrade": 503, "events": 503}
        assert {reply.headers["retry-after"] for reply in replies.values()} == {"5"}
        assert {reply.headers["connection"] for reply in replies.values()} == {"close"}
