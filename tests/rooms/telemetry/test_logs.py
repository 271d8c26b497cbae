"""Log lines through a real pipe."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import msgspec
import pytest
import structlog

from appliance.telemetry.logs import VETTED, Logs
from appliance.telemetry.outlet import Outlet


class Pipe:
    """Both ends of a pipe, and what came out of it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def text(self) -> str:
        parts = []
        try:
            while part := os.read(self.reading, 65_536):
                parts.append(part)
        except BlockingIOError:
            pass
        return b"".join(parts).decode()

    def close(self) -> None:
        for end in (self.reading, self.writing):
            try:
                os.close(end)
            except OSError:
                continue


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def logs(pipe) -> Iterator[Logs]:
    logs = Logs(Outlet(pipe.writing))
    yield logs
    logs.close()
    structlog.reset_defaults()


def lines(pipe: Pipe, logs: Logs) -> list[str]:
    assert logs._outlet.flush(5.0)
    return pipe.text().splitlines()


def test_a_line_for_people_has_time_level_text_room_and_fields(pipe, logs):
    structlog.get_logger("web").warning("peer refused", reason="bad_host", count=3)

    (line,) = lines(pipe, logs)
    time, rest = line.split(" ", 1)
    assert time.endswith("Z")
    assert rest == "[warning  ] peer refused [web] count=3 reason=bad_host"


def test_a_line_for_machines_is_one_json_object(pipe, logs):
    logs.form = "json"
    structlog.get_logger("web").error("peer refused", reason="bad_host", at=os)

    (line,) = lines(pipe, logs)
    fields = msgspec.json.decode(line)
    assert fields.pop("time").endswith("Z")
    assert fields.pop("at").startswith("<module")
    assert fields == {"event": "peer refused", "level": "error", "logger": "web", "reason": "bad_host"}


def test_the_level_changes_for_loggers_that_are_in_use(pipe, logs):
    room = structlog.get_logger("web")
    room.debug("one")
    logs.level = "debug"
    room.debug("two")
    logs.level = "error"
    room.warning("three")
    room.error("four")

    assert [line.split("] ")[1].split()[0] for line in lines(pipe, logs)] == ["two", "four"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_crash_comes_with_its_traceback_however_it_is_given(pipe, logs, form):
    logs.form = form
    room = structlog.get_logger("web")
    try:
        raise KeyError("run_id")
    except KeyError as crash:
        room.exception("handled")
        kept = crash
    room.error("kept", exc_info=kept)
    room.error("none", exc_info=None)

    text = "\n".join(lines(pipe, logs))
    assert text.count("KeyError: 'run_id'") == 2
    assert text.count("in telemetry/test_logs.py:") == 2


def test_secrets_do_not_get_out(pipe, logs):
    structlog.get_logger("web").info("hello", token="abc", url="/x?token=abc")

    (line,) = lines(pipe, logs)
    assert "abc" not in line


def test_warnings_of_libraries_come_out_the_same_way_and_their_chatter_does_not(pipe, logs, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [logs._bridge])  # pytest's own raise on the broken one
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("careful: %s", "ice")
    library.error("broken %d", "not a number")

    warned, broken = lines(pipe, logs)
    assert warned.endswith("[warning  ] careful: ice [some.library]")
    assert broken.endswith("[error    ] broken %d [some.library]")


def test_announced_lines_come_bare_and_in_order_with_the_others(pipe, logs):
    structlog.get_logger("web").info("first")
    logs.announce("Listening on :8420")
    structlog.get_logger("web").info("last")

    assert lines(pipe, logs)[1] == "Listening on :8420"


def test_closing_takes_the_bridge_away(pipe, logs):
    before = list(logging.root.handlers)
    logs.close()

    assert len(logging.root.handlers) == len(before) - 1


def test_a_pipe_that_nobody_reads_costs_lines_and_never_time(pipe):
    outlet = Outlet(pipe.writing, capacity=100)
    line = b"x" * 1000

    for _ in range(2000):  # far more than a pipe holds
        outlet.write(line)

    assert outlet.flush(0.05) is False
    assert outlet.dropped >= 1500
    kept = 2000 - outlet.dropped
    got = ""
    while got.count("x" * 1000) < kept:
        got += pipe.text()
    outlet.write(b"again")
    assert outlet.flush(5.0)
    got += pipe.text()
    assert f"[{outlet.dropped} lines were dropped: nobody read them]" in got
    assert "again\n" in got


def test_a_pipe_whose_reader_is_gone_drops_everything_from_then_on(pipe):
    outlet = Outlet(pipe.writing)
    os.close(pipe.reading)
    outlet.write(b"into the void")
    assert outlet.flush(5.0)

    outlet.write(b"and again")

    assert outlet.dropped == 1


def test_a_descriptor_that_somebody_made_non_blocking_is_waited_for(pipe):
    os.set_blocking(pipe.writing, False)
    outlet = Outlet(pipe.writing)
    for number in range(200):
        outlet.write(b"%d " % number + b"x" * 1000)

    got = ""
    while "199 x" not in got:
        got += pipe.text()

    assert outlet.dropped == 0


def test_a_line_whose_writer_has_looked_at_it_is_not_searched_again(pipe, logs):
    logs.form = "json"
    room = structlog.get_logger("events")

    room.info("event", said="Bearer abcdefgh", **{VETTED: True})
    room.info("event", said="Bearer abcdefgh")

    first, second = map(msgspec.json.decode, lines(pipe, logs))
    assert (first["said"], second["said"]) == ("Bearer abcdefgh", "(hidden)")
    assert VETTED not in first
