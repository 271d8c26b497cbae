"""Peers that stall, drip or leave us waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from appliance.web.front import SWEEP
from tests.rooms.web.house import LIMITS, House, Peer, a_house, get, upgrade


async def jump(clock: trio.testing.MockClock, seconds: float) -> None:
    """Let time pass, a sweep at a time. Sockets are real, so the clock moves only here."""
    for _ in range(round(seconds / SWEEP)):
        await settle()
        clock.jump(SWEEP)
    await settle()


async def settle() -> None:
    """Until nobody has anything to do, sockets included."""
    for _ in range(3):
        await trio.testing.wait_all_tasks_blocked()


async def alive(house: House) -> int:
    await settle()
    return house.front.counts["connections"]


@pytest.mark.parametrize("beginning", [b"", b"GET /fast HT", get("/fast")[:-2]])
async def test_head_must_come_within_ten_seconds(beginning: bytes, mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(beginning)
        await jump(mock_clock, 9.5)
        before = await alive(house)
        await jump(mock_clock, 1.5)

        answer = await peer.rest()

        assert (before, await alive(house)) == (1, 0)
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_head_that_drips_does_not_renew_its_time(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/fast")[:-2])
        for n in range(20):
            await peer.send(f"X-{n}: a\r\n".encode())
            await jump(mock_clock, 0.5)
        await jump(mock_clock, 1.0)

        assert (await peer.rest()).startswith(b"HTTP/1.1 408 ")


async def test_second_head_has_ten_seconds_from_its_first_byte(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.ask(get("/fast"))
        await jump(mock_clock, 60.0)
        await peer.send(b"GET /fa")
        await jump(mock_clock, 9.0)
        before = await alive(house)
        await jump(mock_clock, 2.0)

        assert (before, await alive(house)) == (1, 0)


async def test_idle_connection_is_closed_without_a_word_after_two_minutes(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.ask(get("/fast"))
        await jump(mock_clock, 119.0)
        before = await alive(house)
        await jump(mock_clock, 2.0)

        assert (before, await alive(house)) == (1, 0)
        assert await peer.rest() == b""


@pytest.mark.parametrize("path", ["/echo", "/upload", "/upload-rest"])
async def test_body_that_stalls_is_given_up_after_its_grace(path: str, mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.ask(get("/rest"))  # the framework is warm, its thread is not waited for in mock time
        await peer.send(get(path, "Content-Length: 5000", method="POST") + bytes(100))
        await jump(mock_clock, 9.0)
        before = await alive(house)
        await jump(mock_clock, 2.5)

        answer = await peer.rest()

        assert (before, await alive(house)) == (1, 0)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert house.front.counts["bugs"] == 0


async def test_body_that_drips_below_the_rate_is_given_up(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/echo", "Content-Length: 50000", method="POST"))
        for _ in range(24):
            await peer.send(bytes(25))  # 50 bytes/s
            await jump(mock_clock, 0.5)

        assert (await peer.rest()).startswith(b"HTTP/1.1 408 ")


async def test_body_at_the_rate_takes_as_long_as_it_takes(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/upload", "Content-Length: 30000", method="POST"))
        for _ in range(100):
            await peer.send(bytes(300))  # 600 bytes/s
            await jump(mock_clock, 0.5)

        assert (await peer.reply()).body == b'{"size":30000}'


async def test_slow_handler_costs_the_peer_nothing(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/follow"))
        await peer.head()
        await jump(mock_clock, 300.0)

        assert await alive(house) == 1


async def test_silent_tls_handshake_is_given_up(mock_clock: trio.testing.MockClock):
    from tests.rooms.web.test_lanes import secure_contexts

    server, _ = secure_contexts()
    async with a_house(tls=server) as house:
        peer = await house.peer()
        await trio.testing.wait_all_tasks_blocked()
        await jump(mock_clock, 11.0)

        assert await peer.rest() == b""
        assert await alive(house) == 0


async def test_clients_beyond_the_limit_hear_503(mock_clock: trio.testing.MockClock):
    async with a_house(limits=replace(LIMITS, clients=2)) as house:
        first, second = await house.peer(), await house.peer()
        await first.ask(get("/fast"))
        await second.ask(get("/fast"))
        third = await house.peer()

        refused = await third.ask(get("/fast"))
        await trio.aclose_forcefully(third.stream)
        await trio.aclose_forcefully(first.stream)
        await house.settled(1)
        fourth = await house.peer()

        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert (await fourth.ask(get("/fast"))).status == 200


async def test_silent_or_hasty_clients_beyond_the_limit_are_dropped(mock_clock: trio.testing.MockClock):
    async with a_house(limits=replace(LIMITS, clients=0)) as house:
        silent, hasty = await house.peer(), await house.peer()
        await hasty.send(get("/fast"))
        await trio.aclose_forcefully(hasty.stream)
        await jump(mock_clock, 2.0)

        assert await silent.rest() == b""


async def test_crowd_beyond_the_limit_is_closed_without_a_word():
    async with a_house(limits=replace(LIMITS, clients=0, goodbye=5.0)) as house:
        crowd = [await house.peer() for _ in range(70)]
        await trio.testing.wait_all_tasks_blocked(0.01)

        dropped = 0
        for peer in crowd:
            with trio.move_on_after(0.005):
                dropped += await peer.rest() == b""

        assert dropped == 6


async def test_open_websocket_has_no_deadline_of_the_fronts(mock_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer: Peer = await house.peer()
        await peer.ask(upgrade())
        await jump(mock_clock, 300.0)

        assert house.front.counts["sockets"] == 1
