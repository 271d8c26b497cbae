"""The requests that kill or fool stock servers: refused, as first and as second of a connection; ours lives on."""

from __future__ import annotations

import random
import socket

import pytest
import trio

from tests.rooms.web.house import KEY, a_house, get, masked, post, upgrade

SMUGGLED = b"GET /fast?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
WS = (
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
)
CHUNKS = get("/echo", "Transfer-Encoding: chunked", method="POST")
LENGTH, CODING = "Content-Length: 6", "Transfer-Encoding: chunked"

HOSTILE = {
    # reliability 0.1: an upgrade with a body ends the stock server
    "upgrade with a length": (WS.encode() + b"Content-Length: 5\r\n\r\nhello" + SMUGGLED, 400),
    "upgrade with length zero": (WS.encode() + b"Content-Length: 0\r\n\r\n" + SMUGGLED, 400),
    "upgrade with chunks": (WS.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + SMUGGLED, 400),
    "upgrade of a POST": (WS.replace("GET", "POST").encode() + b"\r\n" + SMUGGLED, 400),
    # libraries, trap 1: bytes beyond ASCII in an upgrade end the listener
    "subprotocol beyond ASCII": (WS.encode() + b"Sec-WebSocket-Protocol: \xff\xfe\r\n\r\n", 400),
    "extension beyond ASCII": (WS.encode() + b"Sec-WebSocket-Extensions: \xc3\xa4\r\n\r\n", 400),
    "host beyond ASCII": (WS.encode().replace(b"Host: a", b"Host: \xe4") + b"\r\n", 400),
    "extension malformed": (WS.encode() + b"Sec-WebSocket-Protocol: ;;,=\r\n\r\n", 400),
    # reliability 0.6: keys and versions
    "empty key": (WS.replace(KEY, "").encode() + b"\r\n", 400),
    "short key": (WS.replace(KEY, "c2hvcnQ=").encode() + b"\r\n", 400),
    "key that is not base64": (WS.replace(KEY, "!!!!!!!!!!!!!!!!!!!!!!==").encode() + b"\r\n", 400),
    "two keys": (WS.encode() + f"Sec-WebSocket-Key: {KEY}\r\n\r\n".encode(), 400),
    "no key": (WS.replace(f"Sec-WebSocket-Key: {KEY}\r\n", "").encode() + b"\r\n", 400),
    "upgrade in HTTP/1.0": (WS.replace("HTTP/1.1", "HTTP/1.0").encode() + b"\r\n", 400),
    "upgrade in HTTP/9.9": (WS.replace("HTTP/1.1", "HTTP/9.9").encode() + b"\r\n", 505),
    "old version": (WS.replace(": 13", ": 8").encode() + b"\r\n", 426),
    "upgrade nowhere": (WS.replace("/ws", "/nowhere").encode() + b"\r\n", 404),
    # reliability 0.7: framing
    "length and chunks": (get("/echo", LENGTH, CODING, method="POST") + b"0\r\n\r\n" + SMUGGLED, 400),
    "chunks and length": (get("/echo", CODING, LENGTH, method="POST") + b"0\r\n\r\n" + SMUGGLED, 400),
    "two lengths": (get("/echo", "Content-Length: 0", "Content-Length: 43", method="POST") + SMUGGLED, 400),
    "list of lengths": (get("/echo", "Content-Length: 0, 43", method="POST") + SMUGGLED, 400),
    "gzip, chunked": (get("/echo", "Transfer-Encoding: gzip, chunked", method="POST") + b"0\r\n\r\n" + SMUGGLED, 400),
    "almost chunked": (get("/echo", "Transfer-Encoding: xchunked", method="POST") + b"0\r\n\r\n" + SMUGGLED, 400),
    "space before colon": (get("/echo", "Content-Length : 43", method="POST") + SMUGGLED, 400),
    "folded field": (get("/echo", "X: a", " Content-Length: 43", method="POST") + SMUGGLED, 400),
    "bare LF": (b"POST /echo HTTP/1.1\r\nHost: a\nContent-Length: 43\r\n\r\n" + SMUGGLED, 400),
    "bare CR": (b"POST /echo HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 43\r\n\r\n" + SMUGGLED, 400),
    "chunk with bare LF": (CHUNKS + b"0\n\n" + SMUGGLED, 400),
    "chunk longer than said": (CHUNKS + b"1\r\naa\r\n0\r\n\r\n" + SMUGGLED, 400),
    "two hosts": (get("/fast", "Host: b") + SMUGGLED, 400),
    "no host": (b"GET /fast HTTP/1.1\r\n\r\n" + SMUGGLED, 400),
    "lower-case method": (get("/fast", method="get") + SMUGGLED, 400),
    "HTTP/2.0 line": (b"GET /fast HTTP/2.0\r\nHost: a\r\n\r\n" + SMUGGLED, 505),
    "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /fast\r\n\r\n", 400),
    "TLS on the plain port": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(64), 400),
    "NUL in a field": (get("/fast", "X: a\x00b") + SMUGGLED, 400),
    "compressed body": (post("/echo", b"\x1f\x8b", "Content-Encoding: gzip") + SMUGGLED, 415),
    "declared terabyte": (get("/echo", "Content-Length: 1000000000000", method="POST"), 413),
    "head of a megabyte": (get("/fast", "X: " + "a" * 1_000_000), 431),
    "thousand fields": (get("/fast", *(f"X-{n}: a" for n in range(1000))), 431),
    "long target": (get("/" + "a" * 9000), 414),
    "unknown expectation": (get("/fast", "Expect: a-miracle") + SMUGGLED, 417),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_request_is_refused_first_and_second_and_the_server_goes_on(name: str):
    data, status = HOSTILE[name]
    async with a_house() as house:
        witness = await house.peer()
        for before in (b"", get("/fast?first")):
            peer = await house.peer()
            with_it = before + data

            await peer.send(with_it)
            answers = await peer.rest()

            assert answers.count(b"HTTP/1.1 200") == (1 if before else 0)
            assert f"HTTP/1.1 {status} ".encode() in answers
            assert b"Connection: close\r\n" in answers
        assert (await witness.ask(get("/fast?good"))).body == b"fast good"
        assert "fast smuggled" not in house.seen
        assert house.front.counts["bugs"] == 0


async def test_h2c_offer_is_ignored_and_answered_in_http11():
    async with a_house() as house:
        peer = await house.peer()

        replies = [
            await peer.ask(get(path, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"))
            for path in ("/fast?h2c", "/rest")
        ]

        assert [reply.status for reply in replies] == [200, 200]


async def test_thousand_mutated_connections_leave_the_server_serving():
    dice = random.Random(20261121)
    seeds = [data[:4000] for data, _ in HOSTILE.values()]
    seeds += [get("/fast?a"), post("/echo", b"hello"), upgrade() + masked(b"hi"), get("/rest"), get("/count")]
    async with a_house() as house:

        async def attack(data: bytes) -> None:
            peer = await house.peer()
            with trio.move_on_after(0.05):
                try:
                    await peer.send(data)
                    await peer.rest()
                except trio.BrokenResourceError:
                    pass
            await trio.aclose_forcefully(peer.stream)

        witness = await house.peer()
        for _ in range(40):
            async with trio.open_nursery() as crowd:
                for _ in range(25):
                    crowd.start_soon(attack, _mutated(dice, dice.choice(seeds)))
            assert (await witness.ask(get("/fast?good"))).body == b"fast good"
        await house.settled(1)

        assert house.front.counts["bugs"] == 0


def _mutated(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(4):
            case 0:
                changed[at:at] = bytes([dice.randrange(256)])
            case 1:
                del changed[at : at + dice.randint(1, 20)]
            case 2:
                changed[at : at + 1] = bytes([dice.randrange(256)])
            case _:
                changed[at:at] = changed[: dice.randint(1, 60)]
        changed = changed or bytearray(b"\r\n")
    return bytes(changed)


async def test_400_idle_connections_do_not_keep_a_good_client_waiting():
    async with a_house() as house:
        idle = [await house.peer() for _ in range(400)]
        good = await house.peer()
        waits = []

        for n in range(100):
            start = trio.current_time()
            reply = await good.ask(get(f"/fast?{n}"))
            waits.append(trio.current_time() - start)
            assert reply.status == 200

        assert len(idle) == 400
        assert sorted(waits)[50] < 0.1


async def test_reset_in_every_state_is_survived():
    states = [b"", b"GET /fa", get("/echo", "Content-Length: 9", method="POST") + b"h", get("/follow"), upgrade()]
    states += [get("/upload", "Content-Length: 9", method="POST") + b"h", upgrade() + b"\x81", get("/rest")]
    async with a_house() as house:
        for data in states:
            peer = await house.peer()
            assert isinstance(peer.stream, trio.SocketStream)
            await peer.send(data)
            peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close means reset
            await peer.stream.aclose()
        await house.settled()
        witness = await house.peer()

        assert (await witness.ask(get("/fast"))).status == 200
        assert house.front.counts["bugs"] == 0


async def test_peer_that_pipelines_without_reading_is_dropped_and_not_buffered(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        body = bytes(60_000)

        async def flood() -> None:
            with pytest.raises(trio.BrokenResourceError):
                while True:
                    await peer.send(post("/echo", body))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await _stuck(house)
            mock_clock.jump(house.front._limits.write_deadline + 1)
        await house.settled()

        assert house.front.counts["bugs"] == 0


async def _stuck(house: object) -> None:
    """Real sockets need real moments to fill."""
    for _ in range(3000):
        await trio.lowlevel.checkpoint()
