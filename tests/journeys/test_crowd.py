"""The judge of crowds, judged: against servers that lie in a known way, and against the real one."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.load import fanservers
from tests.load.crowd import Crowd, Endpoint, Tally, gather
from tests.load.endpoints import ENDPOINTS, http_head, websocket_head
from tests.load.machine import Started

pytestmark = pytest.mark.timeout(120)

READERS, EVENTS = 3, 20
NUMBER = re.compile(rb'\{"n":(\d{10}),[^}]*\}')
Lie = Callable[[int, bytes], list[bytes]]  # an event's number and text -> what one reader gets of it


def lying_endpoint(framing: str) -> Endpoint:
    subscribe = websocket_head("/sub") if framing == "ws" else http_head("GET /sub")
    return Endpoint(framing=framing, subscribe=subscribe, head=http_head("POST /pub", "", "Content-Length: {length}"))


@contextlib.contextmanager
def a_liar(framing: str, lie: Lie) -> Iterator[Started]:
    """Hands every event to all readers; the first gets what `lie` makes of it, a close frame as it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, framing, lie), daemon=True)
        thread.start()
        yield Started("liar", listener.getsockname()[1], os.getpid())
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _serve(listener: socket.socket, framing: str, lie: Lie) -> None:
    readers: list[socket.socket] = []
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        while True:  # until the test ends
            peer = stack.enter_context(listener.accept()[0])
            if len(readers) < READERS:  # the publisher comes last
                readers.append(peer)
            threading.Thread(target=_pump, args=(peer, readers, framing, lie), daemon=True).start()


def _pump(peer: socket.socket, readers: list[socket.socket], framing: str, lie: Lie) -> None:
    text = b""
    with contextlib.suppress(OSError):
        while data := peer.recv(65536):
            text += data
            if text.startswith(b"GET"):
                peer.sendall(_welcome(framing))
                return
            while found := NUMBER.search(text):
                text = text[found.end() :]
                number = int(found[1]) - 1_000_000_000
                for place, reader in enumerate(readers):
                    for event in lie(number, found[0]) if place == 0 else [found[0]]:
                        reader.sendall(_framed(framing, event))
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _welcome(framing: str) -> bytes:
    if framing == "ws":
        return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _framed(framing: str, event: bytes) -> bytes:
    if event[:1] == b"\x88":
        return event
    if framing == "ws":
        return b"\x81\x7e" + len(event).to_bytes(2, "big") + event
    block = b"data: " + event + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(block), block)


def drive(framing: str, lie: Lie) -> Tally:
    with a_liar(framing, lie) as server:
        crowd = Crowd(READERS, rate=EVENTS / 0.2, warmup=0.0, patience=1.0)
        return gather(server, lying_endpoint(framing), crowd, seconds=0.2)


def test_an_honest_server_gets_a_clean_sheet():
    for framing in ("ws", "sse"):
        tally = drive(framing, lambda number, event: [event])

        assert (tally.gaps, tally.doubles, tally.missing) == (0, 0, 0)
        assert tally.delivered == READERS * tally.events
        assert tally.events >= EVENTS - 1


def test_an_event_left_out_is_a_gap():
    tally = drive("ws", lambda number, event: [] if number == 5 else [event])

    assert (tally.gaps, tally.doubles, tally.missing, tally.lost) == (1, 0, 0, 1)


def test_an_event_sent_twice_is_a_double():
    tally = drive("sse", lambda number, event: [event, event] if number in (3, 7) else [event])

    assert (tally.gaps, tally.doubles, tally.missing) == (0, 2, 0)


def test_two_events_in_the_wrong_order_are_a_gap_and_a_double():
    held: list[bytes] = []

    def swap(number: int, event: bytes) -> list[bytes]:
        if number == 4:
            held.append(event)
            return []
        return [event, held.pop()] if held else [event]

    tally = drive("ws", swap)

    assert (tally.gaps, tally.doubles, tally.missing) == (1, 1, 0)


def test_an_end_that_never_comes_is_missing():
    tally = drive("ws", lambda number, event: [] if number >= 10 else [event])

    assert (tally.gaps, tally.doubles) == (0, 0)
    assert tally.missing == tally.events - 10 == tally.lost


def test_a_close_by_the_server_ends_the_run_with_a_word_about_whom_it_hit():
    close = b"\x88\x02\x03\xf3"  # 1011

    with pytest.raises(RuntimeError, match="client 0: closed by the server"):
        drive("ws", lambda number, event: [close])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with fanservers.appliance(tmp_path_factory.mktemp("crowd")) as started:
        yield started


@pytest.mark.parametrize("who", [name for name in ENDPOINTS if name.split()[0] == "appliance" and "tls" not in name])
@pytest.mark.parametrize(
    "pace", [{"window": 64}, {"window": 1}, {"rate": 100}], ids=["saturated", "lockstep", "steady"]
)
def test_every_contest_of_ours_delivers_each_event_once_to_everybody(server: Started, who: str, pace: dict[str, int]):
    crowd = Crowd(20, **pace, warmup=0.0)

    tally = gather(server, ENDPOINTS[who](server), crowd, seconds=0.3)

    print(f"{tally.rate:,.0f} deliveries/s, p50 {tally.p50_ms:.2f} ms, p99 {tally.p99_ms:.2f} ms")
    assert (tally.gaps, tally.doubles, tally.missing) == (0, 0, 0)
    assert tally.delivered == tally.events * crowd.clients > 0
    assert 0 < tally.p50_ms <= tally.p95_ms <= tally.p99_ms


def test_channels_reach_their_own_readers_only(server: Started):
    """The generator ends the run when a reader gets a number of another channel."""
    tally = gather(server, ENDPOINTS["appliance"](server), Crowd(20, channels=10, window=64), seconds=0.3)

    assert (tally.gaps, tally.doubles, tally.missing) == (0, 0, 0)
    assert tally.delivered == tally.events * 2


def test_readers_over_tls_are_counted_alike(tmp_path: Path):
    with fanservers.encrypted(tmp_path) as server:
        tally = gather(server, ENDPOINTS["appliance tls"](server), Crowd(20, window=64), seconds=0.3)

    assert (tally.gaps, tally.doubles, tally.missing) == (0, 0, 0)
    assert tally.delivered == tally.events * 20 > 0
