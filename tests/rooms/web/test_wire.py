"""The line of one connection: whole frames, whoever sends."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable

import pytest
import trio
import trustme

from appliance.web.secure import SecureWire
from appliance.web.wire import Wire

BIG = bytes(range(256)) * 16_384  # 4 MiB: more than any socket buffer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Pair:
    """A wire and the plain socket at its other end."""

    def __init__(self, *, deadline: float = 20.0, buffer: int = 4096, behind: Callable[[Wire], object] | None = None):
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.wire = Wire(ours, write_deadline=deadline, behind=behind)
        self.far = trio.socket.from_stdlib_socket(theirs)

    async def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = await self.far.recv(size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.kill()
        self.far.close()


async def test_offer_takes_whole_and_what_the_socket_refuses_goes_first():
    behind: list[Wire] = []
    with Pair(behind=behind.append) as pair:
        taken = [pair.wire.offer(BIG), pair.wire.offer(b"refused")]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.send_all, b"after")
            data = await pair.read(len(BIG) + 5)

        assert taken == [True, False]
        assert data == BIG + b"after"
        assert behind == [pair.wire]
        assert pair.wire.offer(b"again")


async def test_drained_means_that_offers_are_taken_again():
    with Pair() as pair:
        pair.wire.offer(BIG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.drained)
            nursery.start_soon(pair.wire.wait_send_all_might_not_block)
            await pair.read(len(BIG))

        assert pair.wire.offer(b"x")


async def test_write_yields_only_when_the_socket_is_full():
    with Pair() as pair:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await pair.wire.write(b"small")
            quick = turns
            nursery.start_soon(pair.read, len(BIG) + 5)
            await pair.wire.write(BIG)
            nursery.cancel_scope.cancel()

        assert quick == 0
        assert turns > 1


async def test_write_behind_a_remainder_waits_for_it():
    with Pair() as pair:
        pair.wire.offer(BIG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.write, b"tail")

            assert (await pair.read(len(BIG) + 4))[-8:] == BIG[-4:] + b"tail"


@pytest.mark.parametrize("way", ["send_all", "write", "drained"])
async def test_peer_that_reads_nothing_is_dropped_after_the_deadline(way: str, mock_clock: trio.testing.MockClock):
    with Pair(deadline=5.0) as pair:
        if way == "drained":
            pair.wire.offer(BIG)
        start = trio.current_time()

        async def send() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await (pair.wire.drained() if way == "drained" else getattr(pair.wire, way)(BIG))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(4.9)
            await trio.testing.wait_all_tasks_blocked()
            alive = not pair.wire.killed
            mock_clock.jump(0.2)

        assert (alive, pair.wire.killed) == (True, True)
        assert trio.current_time() - start == pytest.approx(5.1)


async def test_deadline_begins_anew_with_every_byte_the_peer_takes(mock_clock: trio.testing.MockClock):
    with Pair(deadline=5.0) as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.send_all, BIG)
            left = len(BIG)
            while left:
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(4.0)
                left -= len(await pair.read(min(left, 256 * 1024)))

        assert not pair.wire.killed


async def test_cancelled_send_kills_the_stream():
    with Pair() as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.send_all, BIG)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

        assert pair.wire.killed
        with pytest.raises(trio.BrokenResourceError):
            pair.wire.offer(b"x")


async def test_send_cancelled_while_it_waits_its_turn_harms_nobody():
    with Pair() as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.send_all, BIG)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as second:
                second.start_soon(pair.wire.send_all, b"never")
                await trio.testing.wait_all_tasks_blocked()
                second.cancel_scope.cancel()

            assert await pair.read(len(BIG)) == BIG

        assert not pair.wire.killed


async def test_kill_wakes_whoever_waits():
    with Pair() as pair:

        async def broken(wait: Callable[[], object]) -> None:
            with pytest.raises(trio.BrokenResourceError):
                await wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(broken, pair.wire.receive_some)
            nursery.start_soon(broken, lambda: pair.wire.send_all(BIG))
            await trio.testing.wait_all_tasks_blocked()
            pair.wire.kill()

        pair.wire.kill()
        await pair.wire.aclose()
        for call in (pair.wire.receive_some, pair.wire.send_eof, lambda: pair.wire.send_all(b"x")):
            await broken(call)


async def test_receiving_takes_what_is_there_and_ends_with_the_peer():
    with Pair() as pair:
        await pair.far.send(b"hello")

        pieces = [await pair.wire.receive_some(2), await pair.wire.receive_some()]
        pair.far.close()

        assert pieces == [b"he", b"llo"]
        assert await pair.wire.receive_some() == b""
        with pytest.raises(ValueError, match="max_bytes"):
            await pair.wire.receive_some(0)


async def test_peer_that_is_gone_is_broken_for_a_sender():
    with Pair() as pair:
        pair.far.close()

        with pytest.raises(trio.BrokenResourceError):
            pair.wire.offer(b"x")

        assert pair.wire.killed


async def test_finish_sends_the_rest_says_so_and_reads_on():
    with Pair() as pair:
        pair.wire.offer(BIG)
        await pair.far.send(b"never read by anyone")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.finish, 5.0)
            data = await pair.read(len(BIG) + 1)
            pair.far.close()

        assert data == BIG
        assert pair.wire.killed


async def test_finish_has_patience_for_its_grace_only(mock_clock: trio.testing.MockClock):
    with Pair() as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.wire.finish, 5.0)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(5.1)

        assert pair.wire.killed


@pytest.mark.parametrize("seed", range(12))
async def test_frames_of_flushers_and_waiters_are_never_torn(seed: int):
    """Five senders over a tiny buffer to a moody reader: all frames whole, and in each sender's order."""
    dice = random.Random(seed)
    sent: dict[int, list[bytes]] = {n: [] for n in range(5)}
    with Pair(buffer=2048) as pair:

        def frame(sender: int) -> bytes:
            body = bytes([sender]) + dice.randbytes(dice.choice([1, 30, 3000, 50_000]))
            return len(body).to_bytes(4, "big") + body

        async def flusher(sender: int) -> None:
            while len(sent[sender]) < 20:
                data = frame(sender)
                if pair.wire.offer(data):
                    sent[sender].append(data[4:])
                elif dice.random() < 0.3:
                    await pair.wire.drained()
                await trio.lowlevel.checkpoint()

        async def waiter(sender: int) -> None:
            for _ in range(20):
                data = frame(sender)
                sent[sender].append(data[4:])
                await (pair.wire.send_all(data) if dice.random() < 0.5 else pair.wire.write(data))
                await trio.lowlevel.checkpoint()

        async def reader(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            task_status.started()
            while head := await pair.read(4):
                body = await pair.read(int.from_bytes(head, "big"))
                got[body[0]].append(body)
                for _ in range(dice.randrange(3)):
                    await trio.lowlevel.checkpoint()

        got: dict[int, list[bytes]] = {n: [] for n in range(5)}
        async with trio.open_nursery() as nursery:
            await nursery.start(reader)
            async with trio.open_nursery() as senders:
                for n in range(3):
                    senders.start_soon(flusher, n)
                for n in range(3, 5):
                    senders.start_soon(waiter, n)
            await pair.wire.send_eof()

    assert got == sent
    assert [len(frames) for frames in got.values()] == [20] * 5


# -- the same through TLS ---------------------------------------------------------------------


class Tunnel:
    """A secure line over loopback TCP and the TLS client at its other end."""

    def __init__(self, authority: trustme.CA, nursery: trio.Nursery) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            far, _ = listener.accept()
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        authority.issue_cert("here.test").configure_cert(server)
        authority.configure_trust(client)
        self.line = SecureWire(far, server, write_deadline=5.0, behind=lambda line: nursery.start_soon(line.drained))
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(near))
        self.client = trio.SSLStream(stream, client, server_hostname="here.test", https_compatible=True)

    async def shake_hands(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.line.handshake)
            nursery.start_soon(self.client.do_handshake)

    async def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            data += await self.client.receive_some()
        return bytes(data)

    async def close(self) -> None:
        self.line.kill()
        await trio.aclose_forcefully(self.client)


async def test_secure_offers_and_writes_arrive_in_order(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await tunnel.shake_hands()

    taken = [tunnel.line.offer(b"one "), tunnel.line.offer(b"two ")]
    await tunnel.line.write(b"three")

    assert taken == [True, True]
    assert await tunnel.read(13) == b"one two three"
    await tunnel.close()


async def test_secure_offers_are_refused_while_the_peer_is_behind(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await tunnel.shake_hands()
    taken = 0
    while tunnel.line.offer(BIG[:50_000]):
        taken += 1
        assert taken < 1000, "a peer that reads nothing takes for ever"
    nursery.start_soon(tunnel.line.send_all, b"waits")

    got = await tunnel.read(taken * 50_000 + 5)
    tunnel.line.offer(b"again")

    assert got == BIG[:50_000] * taken + b"waits"
    assert await tunnel.read(5) == b"again"
    await tunnel.close()


async def test_secure_line_drops_a_peer_that_speaks_something_else(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await tunnel.client.transport_stream.send_all(b"GET / HTTP/1.1\r\n\r\n")

    with pytest.raises(trio.BrokenResourceError):
        await tunnel.line.handshake()

    assert tunnel.line.killed
    await tunnel.close()


async def test_secure_line_drops_a_peer_whose_records_are_forged(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await tunnel.shake_hands()
    await tunnel.client.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))

    with pytest.raises(trio.BrokenResourceError):
        await tunnel.line.receive_some()

    assert tunnel.line.killed
    await tunnel.close()


async def test_secure_handshake_ends_with_a_peer_that_leaves(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await trio.aclose_forcefully(tunnel.client)

    with pytest.raises(trio.BrokenResourceError):
        await tunnel.line.handshake()

    await tunnel.close()


async def test_secure_line_receives_and_finishes_politely(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await tunnel.shake_hands()
    await tunnel.client.send_all(b"hello")
    heard = await tunnel.line.receive_some()
    tunnel.line.offer(BIG[:100_000])

    nursery.start_soon(tunnel.line.finish, 5.0)

    assert heard == b"hello"
    assert await tunnel.read(100_000) == BIG[:100_000]
    assert await tunnel.client.receive_some() == b""
    await tunnel.close()


async def test_secure_send_that_is_cancelled_kills_the_line(authority: trustme.CA, nursery: trio.Nursery):
    tunnel = Tunnel(authority, nursery)
    await tunnel.shake_hands()
    async with trio.open_nursery() as senders:
        senders.start_soon(tunnel.line.send_all, BIG * 4)
        await trio.testing.wait_all_tasks_blocked(0.01)
        senders.cancel_scope.cancel()

    assert tunnel.line.killed
    with pytest.raises(trio.BrokenResourceError):
        tunnel.line.offer(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await tunnel.line.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await tunnel.line.receive_some()
    await tunnel.line.finish(1.0)
    await tunnel.line.aclose()
    await tunnel.close()
