"""Signals to our own process, which Trio turns into items of a loop."""

from __future__ import annotations

import os
import signal

import pytest
import trio
import trio.testing

from appliance.supervise import signals
from appliance.supervise.signals import obey


async def sent(*numbers: signal.Signals, terminals: tuple[bool, ...] = ()) -> list[str]:
    """What `obey` did about these signals, delivered one after the other.

    `terminals`: whether there is one, each time it asks.
    """
    did: list[str] = []
    there = iter(terminals)

    async def reload() -> None:
        did.append("reload")

    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: obey(
                stop=lambda: did.append("stop"),
                hurry=lambda: did.append("hurry"),
                reload=reload,
                terminal=lambda: next(there, False),
                task_status=task_status,
            )
        )
        for number in numbers:
            os.kill(os.getpid(), number)
            await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    return did


async def test_term_and_int_stop():
    assert await sent(signal.SIGTERM) == ["stop"]
    assert await sent(signal.SIGINT) == ["stop"]


async def test_the_second_request_to_stop_hurries():
    assert await sent(signal.SIGTERM, signal.SIGINT) == ["stop", "hurry"]


async def test_hup_reloads_as_often_as_asked_and_stops_nothing():
    assert await sent(signal.SIGHUP, signal.SIGHUP, signal.SIGTERM) == ["reload", "reload", "stop"]


async def test_after_hurrying_signals_do_again_what_they_do_to_any_program():
    before = signal.getsignal(signal.SIGTERM)

    await sent(signal.SIGTERM, signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is before


async def test_closing_the_terminal_it_was_started_from_stops(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(signals, "MOMENT", 0.0)
    assert await sent(signal.SIGHUP, terminals=(True, False)) == ["stop"]


async def test_hup_reloads_while_the_terminal_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(signals, "MOMENT", 0.0)
    assert await sent(signal.SIGHUP, terminals=(True, True)) == ["reload"]
