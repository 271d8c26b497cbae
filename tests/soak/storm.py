"""A restart under a crowd: everybody is cut off at once, comes back within seconds, and has missed nothing.

A third of the events is written before the restart, a third while the crowd is coming back, a third afterwards. The
server keeps its port; the crowd resumes by position.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from tests.load import fanservers
from tests.load.crowd import EVENT, Crowd, Tally, command, tally
from tests.load.endpoints import ENDPOINTS
from tests.load.machine import GENERATOR_CORE, Started, free_port
from tests.soak.chaos import BUG, Findings
from tests.soak.victim import Caller

__all__ = ["restarting"]

FIRST = 1_000_000_000  # the generator's numbers begin there
PATIENCE = 120.0  # seconds for the whole


def restarting(folder: Path, *, clients: int, events: int, spread: float, most: float, seed: int) -> Findings:
    """The crowd returns at random within `spread` seconds and must be back after `most`, the restart included."""
    port = free_port()
    crowd = Crowd(clients, spread=spread, from_origin=True, until=events, patience=PATIENCE)
    third = events // 3
    with _serving(folder, port) as server:
        words = command(server, ENDPOINTS["appliance"](server), crowd, seconds=PATIENCE, seed=seed, core=GENERATOR_CORE)
        generator = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            _wait_for(clients, server, generator)
            _write(server, 0, third)
        except BaseException:
            _end(generator)
            raise
    try:
        with _serving(folder, port) as server:
            _write(server, third, 2 * third)
            _wait_for(clients, server, generator)
            _write(server, 2 * third, events)
            out, err = generator.communicate(timeout=PATIENCE)
    finally:
        _end(generator)
    if generator.returncode != 0:
        return Findings("a restart", [err.strip()])
    return _judge(tally(out, crowd), clients, events, most)


def _judge(seen: Tally, clients: int, events: int, most: float) -> Findings:
    codes = ", ".join(f"{count} times {code}" for code, count in sorted(seen.codes.items()))
    findings = Findings(
        f"{clients} readers, {events} events around a restart: all back after {seen.back_s:.1f} s, {codes or 'no'} "
        f"close codes, {seen.refused} refused tries; {seen.gaps} gaps, {seen.doubles} doubles, {seen.missing} missing"
    )
    findings.must(seen.cut_by_server >= clients, f"the restart cut off {seen.cut_by_server} of {clients}")
    findings.must(0 <= seen.back_s <= most, f"all back after {seen.back_s:.1f} s (negative: never), not {most:g} s")
    findings.must(seen.gaps == seen.doubles == seen.missing == 0, "the crowd has not seen each event once")
    findings.must(BUG not in seen.codes, f"{seen.codes.get(BUG)} times {BUG}")
    return findings


def _serving(folder: Path, port: int) -> AbstractContextManager[Started]:
    return fanservers.appliance(folder, arguments=("--port", str(port)))


def _wait_for(clients: int, server: Started, generator: subprocess.Popen[str]) -> None:
    """Until the crowd is in: each is a descriptor of the server."""
    until = time.monotonic() + PATIENCE
    while len(os.listdir(f"/proc/{server.pid}/fd")) < clients:
        if generator.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the crowd did not come: {generator.communicate()[1].strip()}")
        time.sleep(0.05)


def _write(server: Started, first: int, last: int) -> None:
    """Events as the generator numbers them, one by one."""
    caller = Caller(server.port, server.token)
    for number in range(first, last):
        text = EVENT.replace("{n}", str(FIRST + number)).replace("{t}", "1" + "0" * 15)
        caller.call("stream.write", "fan0-1", {"type": "Fan0", "data": json.loads(text)})
    caller.close()


def _end(generator: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        generator.kill()
    generator.communicate()
