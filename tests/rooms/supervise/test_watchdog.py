"""The watchdog on a real datagram socket; nothing here waits for the other side, so the clock may jump."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from appliance.supervise.watchdog import Notifier, Watchdog


@contextlib.contextmanager
def manager(address: str | Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(address))
        yield listening


def received(listening: socket.socket) -> list[bytes]:
    heard = []
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.append(listening.recv(4096))
    return heard


@pytest.fixture
def systemd(tmp_path):
    with manager(tmp_path / "notify") as listening:
        yield listening


@pytest.fixture
def notifier(systemd):
    notifier = Notifier(systemd.getsockname())
    yield notifier
    notifier.close()


async def yes() -> bool:
    return True


async def test_ready_is_said_when_it_starts_and_stopping_when_it_drains(systemd, notifier):
    watchdog = Watchdog(notifier, interval=None, alive=yes, status="on port 8420")

    async with trio.open_nursery() as nursery:
        await nursery.start(watchdog.run)
        await watchdog.drain()
        nursery.cancel_scope.cancel()

    assert received(systemd) == [b"READY=1\nSTATUS=on port 8420", b"STOPPING=1\nSTATUS=stopping"]


async def test_it_pings_at_every_interval(systemd, notifier, autojump_clock):
    watchdog = Watchdog(notifier, interval=10.0, alive=yes, status="")

    with trio.move_on_after(35.0):
        await watchdog.run()

    assert received(systemd)[1:] == [b"WATCHDOG=1"] * 4


async def test_pings_stop_while_the_writer_does_not_answer_and_go_on_after(systemd, notifier, autojump_clock):
    stuck = True

    async def alive() -> bool:
        if stuck:
            await trio.sleep_forever()
        return True

    watchdog = Watchdog(notifier, interval=10.0, alive=alive, status="")

    async with trio.open_nursery() as nursery:
        await nursery.start(watchdog.run)
        await trio.sleep(55.0)
        silent, shown = received(systemd)[1:], watchdog.waits_for()
        stuck = False
        await trio.sleep(40.0)
        nursery.cancel_scope.cancel()

    assert (silent, shown) == ([], "the log's writer to answer")
    assert received(systemd).count(b"WATCHDOG=1") >= 2
    assert watchdog.waits_for() == ""


async def test_a_manager_that_never_reads_does_not_hold_us_up(systemd, notifier):
    sent = [notifier.send(WATCHDOG=1) for _ in range(5000)]

    assert sent[0] is True
    assert sent[-1] is False


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    notifier = Notifier(str(tmp_path / "nobody"))

    sent = notifier.send(READY=1)
    notifier.close()

    assert sent is False


def test_without_an_address_nothing_is_said():
    environ = {"HOME": "/"}
    notifier = Notifier.from_environment(environ)

    assert notifier.send(READY=1) is False
    notifier.close()


def test_an_abstract_address_is_reached_and_its_variable_is_taken():
    name = f"appliance-test-{os.getpid()}"
    environ = {"NOTIFY_SOCKET": f"@{name}"}

    with manager(f"\0{name}") as listening:
        notifier = Notifier.from_environment(environ)
        sent = notifier.send(READY=1)
        notifier.close()
        heard = received(listening)

    assert (sent, heard, environ) == (True, [b"READY=1"], {})


def test_a_reload_is_announced_with_its_time_and_ends_ready_even_when_it_fails(systemd, notifier):
    with pytest.raises(ValueError, match="bad file"), notifier.reloading():
        raise ValueError("bad file")

    begin, end = received(systemd)
    assert begin.startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert int(begin.rpartition(b"=")[2]) > 0
    assert end == b"READY=1"
