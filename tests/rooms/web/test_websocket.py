"""The WebSocket lane: who may upgrade, and how it ends."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import pytest
import trio

from appliance.errors import Forbidden, Unavailable
from appliance.model.frames import text_frame
from appliance.model.http import Request, Socket, SocketClosed, SocketRoute
from tests.rooms.web.house import LIMITS, House, Peer, a_house, get, masked, upgrade


async def opened(house: House, path: str = "/ws", *fields: str) -> Peer:
    peer = await house.peer()
    reply = await peer.ask(upgrade(path, *fields))
    assert reply.status == 101
    return peer


async def close_code(peer: Peer) -> int:
    """The code of the close frame, which must be the last thing before the end."""
    opcode, payload = await peer.frame()
    assert opcode == 8
    assert await peer.rest() == b""
    return struct.unpack("!H", payload[:2])[0] if payload else 1005


async def test_messages_go_both_ways():
    async with a_house() as house:
        peer = await opened(house)

        await peer.send(masked(b"hello") + masked(b"\x00\xff", 2) + masked(b"he", fin=False) + masked(b"llo", 0))
        echoes = [(await peer.frame())[1] for _ in range(3)]
        await peer.send(masked(b"ping", 9))
        pong = await peer.frame()
        await peer.send(masked(struct.pack("!H", 1000), 8))

        assert echoes == [b"hello", b"\x00\xff", b"hello"]
        assert pong == (10, b"ping")
        assert await close_code(peer) == 1000
        await house.settled()
        assert house.front._shared.meter.closes == {1000: 1}


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (masked(b"x", rsv=4), 1002),
        (masked(b"", 3), 1002),
        (masked(b"", 11), 1002),
        (text_frame(b"unmasked"), 1002),
        (masked(b"", 9, fin=False), 1002),
        (masked(b"x", 0), 1002),
        (masked(b"x", fin=False) + masked(b"y"), 1002),
        (masked(b"p" * 126, 9), 1002),
        (masked(struct.pack("!H", 1005), 8), 1002),
        (masked(struct.pack("!H", 999), 8), 1002),
        (masked(b"\x03", 8), 1002),
        (masked(b"\xff\xfe"), 1007),
        (masked(b"\xce\xba\xe1", fin=False) + masked(b"\xf4\x90\x80\x80", 0), 1007),
        (masked(struct.pack("!H", 1000) + b"\xff", 8), 1007),
        (masked(b"x" * 1001), 1009),
        (masked(b"x" * 600, fin=False) + masked(b"x" * 600, 0), 1009),
        (masked("ä".encode() * 501), 1009),
    ],
)
async def test_broken_frames_get_their_true_close_code_on_the_wire(frames: bytes, code: int):
    async with a_house() as house:
        peer = await opened(house)

        await peer.send(frames)

        assert await close_code(peer) == code
        assert house.front.counts["bugs"] == 0


async def test_peer_that_goes_on_sending_still_reads_why_it_was_closed():
    async with a_house() as house:
        peer = await opened(house)

        await peer.send(masked(b"\xff\xfe") + masked(b"more" * 100) * 500)

        assert await close_code(peer) == 1007


async def test_bug_in_a_handler_is_1011_and_counted():
    async with a_house() as house:
        peer = await opened(house, "/ws-bug")

        await peer.send(masked(b"go"))

        assert await close_code(peer) == 1011
        await house.settled()
        assert house.front.counts["bugs"] == 1
        assert house.front._shared.meter.closes == {1011: 1}


async def test_handler_that_refuses_or_ends_says_so_in_the_close_code():
    async def busy(_: Socket) -> None:
        raise Unavailable("the database is away")

    async def done(_: Socket) -> None: ...

    async def expired(socket: Socket) -> None:
        await socket.close(4401, "Token expired " + "ä" * 100)

    sockets = [
        SocketRoute(path, serve, "x") for path, serve in (("/busy", busy), ("/done", done), ("/expired", expired))
    ]
    async with a_house(sockets=sockets) as house:
        codes = []
        for path in ("/busy", "/done", "/expired"):
            peer = await opened(house, path)
            codes.append(await close_code(peer))

        assert codes == [1013, 1000, 4401]
        assert house.front.counts["bugs"] == 0


async def test_receive_tells_a_handler_how_it_ended():
    ends: list[tuple[int, str]] = []

    async def listen(socket: Socket) -> None:
        try:
            await socket.receive()
        except SocketClosed as closed:
            ends.append((closed.code, closed.reason))
            if closed.code == 4000:
                with pytest.raises(trio.BrokenResourceError):
                    socket.outlet.offer(text_frame(b"late"))

    async with a_house(sockets=[SocketRoute("/ws", listen, "x")]) as house:
        polite, rude = await opened(house), await opened(house)
        await polite.send(masked(struct.pack("!H", 4000) + b"bye", 8))
        await polite.rest()
        await trio.aclose_forcefully(rude.stream)
        await house.settled()

        assert ends == [(4000, "bye"), (1006, "")]


async def test_ready_frames_and_the_librarys_own_never_mix():
    async def pour(socket: Socket) -> None:
        block = text_frame(b"0123456789" * 3000)
        for _ in range(50):
            if not socket.outlet.offer(block):
                await socket.outlet.drained()
            await trio.lowlevel.checkpoint()
        await socket.receive()

    async with a_house(sockets=[SocketRoute("/ws", pour, "x")]) as house:
        peer = await opened(house)
        await peer.send(masked(b"p", 9) * 300)
        await trio.testing.wait_all_tasks_blocked(0.02)
        pongs = blocks = 0
        while pongs < 300:
            opcode, payload = await peer.frame()
            pongs += (opcode, payload) == (10, b"p")
            blocks += (opcode, payload) == (1, b"0123456789" * 3000)

        assert (pongs, blocks > 0) == (300, True)


async def test_subprotocol_is_the_first_offer_that_is_spoken():
    async with a_house() as house:
        peer = await house.peer()

        reply = await peer.ask(upgrade("/ws", "Sec-WebSocket-Protocol: v9, v2, v1"))

        assert reply.headers["sec-websocket-protocol"] == "v2"
        assert "sec-websocket-extensions" not in reply.headers


async def test_refused_upgrade_is_an_http_answer():
    async with a_house() as house:
        answers = {}
        for name, fields in {
            "nobody": (),
            "somebody": ("Authorization: Bearer reader",),
            "stranger": ("Authorization: Bearer reader", "Origin: http://evil.test"),
        }.items():
            peer = await house.peer()
            answers[name] = (await peer.ask(upgrade("/ws-secret", *fields))).status

        assert answers == {"nobody": 401, "somebody": 101, "stranger": 403}


async def test_own_origin_and_no_origin_may_open_a_websocket():
    async with a_house() as house:
        for fields, status in [
            ((), 101),
            (("Origin: http://a",), 101),
            (("Origin: https://a",), 403),
            (("Origin: null",), 403),
        ]:
            peer = await house.peer()
            assert (await peer.ask(upgrade("/ws", *fields))).status == status


async def test_endpoint_may_refuse_and_may_fail_to_decide():
    def refuse(request: Request) -> None:
        if "bug" in request.raw_query:
            raise KeyError("a bug")
        raise Forbidden(f"room {request.params['room']} is full")

    async def never(_: Socket) -> None: ...

    async with a_house(sockets=[SocketRoute("/ws/{room}", never, "x", admit=refuse)]) as house:
        peer = await house.peer()
        refused = await peer.ask(upgrade("/ws/7"))
        peer = await house.peer()
        failed = await peer.ask(upgrade("/ws/7?bug"))

        assert (refused.status, b"room 7 is full" in refused.body) == (403, True)
        assert failed.status == 500


async def test_old_version_is_told_which_one_we_speak():
    async with a_house() as house:
        peer = await house.peer()

        reply = await peer.ask(upgrade().replace(b": 13", b": 8"))

        assert (reply.status, reply.headers["sec-websocket-version"]) == (426, "13")


async def test_drain_says_goodbye_with_the_endpoints_own_code():
    async with a_house() as house:
        common, dialect = await opened(house), await opened(house, "/ws-dialect/7")
        codes = {}

        async def watch(name: str, peer: Peer) -> None:
            opcode, payload = await peer.frame()
            codes[name] = (opcode, payload)
            await peer.send(masked(payload[:2], 8))
            await peer.rest()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, "common", common)
            nursery.start_soon(watch, "dialect", dialect)
            await house.front.drain()

        for name, code in (("common", 1001), ("dialect", 1012)):
            opcode, payload = codes[name]
            assert (opcode, payload[:2]) == (8, struct.pack("!H", code))
            assert (said := re.fullmatch(rb"Server restarting, retry in (\d+) ms", payload[2:]))
            assert 500 <= int(said[1]) <= 5000
        assert house.front.counts["connections"] == 0


async def test_drain_does_not_wait_for_a_peer_that_never_answers():
    stuck = trio.Event()

    async def deaf(_: Socket) -> None:
        await stuck.wait()

    async with a_house(sockets=[SocketRoute("/ws", deaf, "x")], limits=replace(LIMITS, goodbye=0.05)) as house:
        peer = await opened(house)

        await house.front.drain()

        assert house.front.counts["connections"] == 0
        assert (await peer.frame())[0] == 8


async def test_peer_that_stops_reading_is_dropped_after_the_write_deadline():
    async def pour(socket: Socket) -> None:
        while True:
            await socket.outlet.send_all(text_frame(bytes(100_000)))

    async with a_house(sockets=[SocketRoute("/ws", pour, "x")], limits=replace(LIMITS, write_deadline=0.1)) as house:
        peer = await opened(house)

        await house.settled()

        assert house.front.counts["bugs"] == 0
        assert len(await peer.rest()) > 100_000


async def test_upgrade_may_stand_behind_pipelined_requests():
    async with a_house() as house:
        peer = await house.peer()

        await peer.send(get("/fast?1") + get("/rest") + upgrade() + masked(b"x"))
        replies = [await peer.reply() for _ in range(3)]

        assert [reply.status for reply in replies] == [200, 200, 101]
        assert await peer.frame() == (1, b"x")
