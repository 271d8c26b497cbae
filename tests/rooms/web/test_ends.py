"""How a WebSocket ends: once, with a close frame behind everything unsent, whoever ends it."""

from __future__ import annotations

import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trio
import trustme

from appliance.model.closecodes import Close
from appliance.model.frames import text_frame, timed_ping
from appliance.model.http import Socket, SocketClosed, SocketRoute
from tests.rooms.web.house import LIMITS, House, Peer, a_house, get, masked, upgrade

BLOCK = text_frame(b"0123456789abcdef" * 4096)
FILLING = 200  # blocks that no pair of socket buffers holds


@dataclass
class Guests:
    """What the handler of the one endpoint has seen."""

    sockets: list[Socket] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)

    async def listen(self, socket: Socket) -> None:
        self.sockets.append(socket)
        try:
            while True:
                await socket.receive()
        except SocketClosed as closed:
            self.closed.append((closed.code, closed.reason))
            raise

    async def stare(self, socket: Socket) -> None:
        """A handler that never asks for a message."""
        self.sockets.append(socket)
        await trio.sleep_forever()

    async def guest(self) -> Socket:
        """The socket, once its handler waits."""
        while not self.sockets:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        return self.sockets[-1]


@asynccontextmanager
async def a_party(
    guests: Guests, serve: Callable[[Socket], object] | None = None, **options: object
) -> AsyncIterator[tuple[House, Peer]]:
    route = SocketRoute("/ws", serve or guests.listen, "x")  # type: ignore[arg-type]
    async with a_house(sockets=[route], **options) as house:  # type: ignore[arg-type]
        yield house, await opened(house)


async def opened(house: House) -> Peer:
    peer = await house.peer()
    assert (await peer.ask(upgrade())).status == 101
    return peer


async def goodbye(peer: Peer) -> tuple[int, bytes]:
    """(code, reason) of a close frame that is the last thing said. Answered late, so someone must wait for it."""
    opcode, payload = await peer.frame()
    await trio.testing.wait_all_tasks_blocked()
    assert opcode == 8
    await peer.send(masked(payload[:2], 8))
    assert await peer.rest() == b""
    return struct.unpack("!H", payload[:2])[0], payload[2:]


def closes(house: House) -> dict[int, int]:
    return dict(house.front._shared.meter.closes)


async def fill(socket: Socket) -> int:
    """Offer until the peer is behind; how many blocks were taken."""
    for taken in range(FILLING):
        if not socket.outlet.offer(BLOCK):
            return taken
    raise AssertionError("the sockets hold too much")


async def test_end_from_outside_reaches_the_peer_the_handler_and_the_meter():
    """The reader waits on the socket that the end must read on: two at once were refused by the loop."""
    guests = Guests()
    async with a_party(guests) as (house, peer):
        (await guests.guest()).outlet.end(Close.EXPIRED, "Token revoked")

        assert await goodbye(peer) == (4401, b"Token revoked")
        await house.settled()
        assert guests.closed == [(4401, "Token revoked")]
        assert closes(house) == {4401: 1}
        assert house.front.counts["bugs"] == 0


async def test_the_same_through_tls():
    guests, authority = Guests(), trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("here.test").configure_cert(server)
    authority.configure_trust(client)
    async with a_house(sockets=[SocketRoute("/ws", guests.listen, "x")], tls=server) as house:
        tcp = await trio.open_tcp_stream("127.0.0.1", house.front.port)
        peer = Peer(trio.SSLStream(tcp, client, server_hostname="here.test", https_compatible=True))
        house.peers.append(peer)
        assert (await peer.ask(upgrade())).status == 101
        socket = await guests.guest()
        socket.outlet.offer(BLOCK)

        socket.outlet.end(Close.SLOW, "behind")

        assert await peer.frame() == (1, BLOCK[-65536:])
        assert await goodbye(peer) == (4008, b"behind")
        await house.settled()
        assert (guests.closed, closes(house), house.front.counts["bugs"]) == ([(4008, "behind")], {4008: 1}, 0)


async def test_slow_member_that_begins_to_read_again_sees_4008_behind_whole_frames():
    guests = Guests()
    async with a_party(guests, limits=replace(LIMITS, goodbye=5.0)) as (house, peer):
        socket = await guests.guest()
        taken = await fill(socket)
        socket.outlet.end(Close.SLOW, "resume")
        with pytest.raises(trio.BrokenResourceError):
            socket.outlet.offer(BLOCK)
        with pytest.raises(trio.BrokenResourceError):
            await socket.outlet.send_all(BLOCK)

        blocks = [await peer.frame() for _ in range(taken)]

        assert set(blocks) == {(1, BLOCK[-65536:])}
        assert await goodbye(peer) == (4008, b"resume")
        await house.settled()
        assert closes(house) == {4008: 1}


async def test_slow_member_that_never_reads_is_dropped_when_the_goodbye_is_over(mock_clock: trio.testing.MockClock):
    guests = Guests()
    async with a_party(guests, limits=replace(LIMITS, goodbye=2.0)) as (house, _):
        socket = await guests.guest()
        await fill(socket)
        socket.outlet.end(Close.SLOW)
        await trio.testing.wait_all_tasks_blocked(0.01)
        heard = list(guests.closed)
        mock_clock.jump(1.9)
        await trio.testing.wait_all_tasks_blocked(0.01)
        still = house.front.counts["sockets"]
        mock_clock.jump(0.2)

        await house.settled()

        assert (heard, still, closes(house)) == ([(4008, "")], 1, {4008: 1})


async def test_write_deadline_counts_as_slow():
    async def pour(socket: Socket) -> None:
        while True:
            await socket.outlet.send_all(BLOCK)

    async with a_party(Guests(), pour, limits=replace(LIMITS, write_deadline=0.1)) as (house, _):
        await house.settled()

        assert closes(house) == {4008: 1}


async def test_idle_handler_hears_that_its_peer_was_cut_for_the_write_deadline():
    guests = Guests()
    async with a_party(guests, limits=replace(LIMITS, write_deadline=0.1)) as (house, _):
        await fill(await guests.guest())

        await house.settled()

        assert (guests.closed, closes(house)) == ([(4008, "")], {4008: 1})


async def test_first_end_counts_and_later_ones_say_nothing():
    guests = Guests()
    async with a_party(guests) as (house, peer):
        socket = await guests.guest()
        socket.outlet.end(Close.DEAD_PEER, "first")
        socket.outlet.end(Close.SLOW, "second")
        await house.front.drain()

        assert await goodbye(peer) == (4003, b"first")
        assert closes(house) == {4003: 1}


async def test_handler_that_does_not_listen_is_ended_after_the_goodbye():
    guests = Guests()
    async with a_party(guests, guests.stare, limits=replace(LIMITS, goodbye=0.05)) as (house, peer):
        (await guests.guest()).outlet.end(Close.POLICY, "closed by an admin")

        assert await goodbye(peer) == (1008, b"closed by an admin")
        await house.settled()
        assert (closes(house), house.front.counts["bugs"]) == ({1008: 1}, 0)


async def test_kill_while_a_handler_reads_is_an_end_without_a_word():
    guests = Guests()
    async with a_party(guests) as (house, peer):
        (await guests.guest()).outlet.kill()

        assert await peer.rest() == b""
        await house.settled()
        assert (guests.closed, closes(house), house.front.counts["bugs"]) == ([(1006, "")], {1006: 1}, 0)


@pytest.mark.parametrize("how", ["end", "drain", "kill"])
@pytest.mark.parametrize("turns", range(4))
async def test_end_may_meet_a_handler_that_is_just_ending(how: str, turns: int):
    async def ends(socket: Socket) -> None:
        guests.sockets.append(socket)
        await socket.receive()
        for _ in range(turns):
            await trio.lowlevel.checkpoint()

    guests = Guests()
    async with a_party(guests, ends) as (house, peer):
        socket = await guests.guest()
        await peer.send(masked(b"go"))
        async with trio.open_nursery() as nursery:
            if how == "drain":
                nursery.start_soon(house.front.drain)
            else:
                await trio.lowlevel.checkpoint()
                socket.outlet.end(1008) if how == "end" else socket.outlet.kill()
            await peer.rest()
            await trio.aclose_forcefully(peer.stream)

        await house.settled()
        assert house.front.counts["bugs"] == 0
        assert sum(closes(house).values()) == 1


async def test_ends_from_both_sides_may_cross():
    guests = Guests()
    async with a_party(guests) as (house, peer):
        await peer.send(masked(struct.pack("!H", 4000), 8))
        (await guests.guest()).outlet.end(Close.SLOW)

        opcode, payload = await peer.frame()
        assert (opcode, struct.unpack("!H", payload)[0]) in [(8, 4008), (8, 4000)]
        assert await peer.rest() == b""
        await trio.aclose_forcefully(peer.stream)
        await house.settled()
        assert house.front.counts["bugs"] == 0


async def test_close_by_the_handler_discards_what_it_has_not_read():
    async def done(socket: Socket) -> None:
        await socket.receive()
        await socket.close(1013, "later")

    async with a_party(Guests(), done) as (house, peer):
        await peer.send(masked(b"x") * 2000)

        assert await goodbye(peer) == (1013, b"later")
        await house.settled()
        assert (closes(house), house.front.counts["bugs"]) == ({1013: 1}, 0)


# -- signs of life ----------------------------------------------------------------------------


async def test_pong_tells_how_long_a_ping_was_under_way(mock_clock: trio.testing.MockClock):
    """ping/pong with measured latency (#39)"""
    guests = Guests()
    async with a_party(guests) as (_, peer):
        socket = await guests.guest()
        before = socket.latency
        socket.outlet.offer(timed_ping(trio.current_time()))
        opcode, payload = await peer.frame()
        mock_clock.jump(0.25)
        await peer.send(masked(payload, 10))
        await trio.testing.wait_all_tasks_blocked(0.01)

        assert (before, opcode) == (None, 9)
        assert socket.latency == pytest.approx(0.25, abs=0.002)
        assert socket.heard == trio.current_time()


@pytest.mark.parametrize("payload", [b"", b"abc", b"9" * 15, b"1" * 100, "١٢".encode()])
async def test_pong_that_answers_no_ping_of_ours_measures_nothing(payload: bytes):
    guests = Guests()
    async with a_party(guests) as (_, peer):
        socket = await guests.guest()
        await peer.send(masked(payload, 10) + masked(b"p", 9))

        assert await peer.frame() == (10, b"p")
        assert socket.latency is None


async def test_any_byte_of_the_peer_is_heard(mock_clock: trio.testing.MockClock):
    guests = Guests()
    async with a_party(guests) as (_, peer):
        socket = await guests.guest()
        mock_clock.jump(50.0)
        await peer.send(masked(b"half a frame")[:3])
        await trio.testing.wait_all_tasks_blocked(0.01)

        assert socket.heard == trio.current_time()


async def test_flood_of_pings_is_answered_and_holds_nobody_up():
    """reliability, section 6: floods"""
    guests = Guests()
    async with a_party(guests) as (house, peer):
        other = await house.peer()
        await other.ask(get("/"))
        count, answered_at = 20_000, 0

        async def flood() -> None:
            await peer.send(masked(b"p", 9) * count)

        async def ask() -> None:
            nonlocal answered_at
            await other.ask(get("/"))
            answered_at = pongs

        pongs = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            nursery.start_soon(ask)
            while pongs < count:
                assert await peer.frame() == (10, b"p")
                pongs += 1

        assert 0 <= answered_at < count


async def test_peer_that_pings_and_takes_no_pongs_is_not_read_and_then_cut():
    async with a_party(Guests(), limits=replace(LIMITS, write_deadline=0.3)) as (house, peer):
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await peer.send(masked(b"p" * 125, 9) * 500)

        await house.settled()
        assert closes(house) == {4008: 1}
