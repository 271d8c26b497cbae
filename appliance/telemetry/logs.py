"""Log lines: structlog in front, one thread behind, and a level that changes while running.

Rooms call `structlog.get_logger("room")` and know nothing of this. The libraries below us use the
standard `logging`; their warnings come out the same way.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from appliance.model.tracing import REQUEST, TRACE, trace_id
from appliance.telemetry.crashes import crash_text
from appliance.telemetry.outlet import Outlet
from appliance.telemetry.redact import redact

__all__ = ["VETTED", "Logs"]

VETTED = "_vetted"  # a field: whoever writes the line has looked at each of its others; searching costs most of a line

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Logs:
    """Sets logging up for the process. `close` puts the last lines out."""

    def __init__(self, outlet: Outlet, *, form: str = "text", level: str = "info", colours: bool = False) -> None:
        """`form`: "text" for people, "json" for machines."""
        self._outlet = outlet
        self._colours = colours
        self.form, self.level = form, level
        self._bridge = _Bridge()
        structlog.configure(
            processors=[self._pass, _placed, _stamped, _with_traceback, _redacted, self._rendered],
            logger_factory=lambda *names: _Room(outlet, *names),
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS["debug"]),
            cache_logger_on_first_use=True,
        )
        logging.root.addHandler(self._bridge)
        logging.root.setLevel(logging.WARNING)

    @property
    def level(self) -> str:
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        self._level, self._least = level, LEVELS[level]

    @property
    def form(self) -> str:
        return self._form

    @form.setter
    def form(self, form: str) -> None:
        self._form = form
        self._render: Processor = _json if form == "json" else _text(colours=self._colours)

    @property
    def dropped(self) -> int:
        """Lines that nobody read."""
        return self._outlet.dropped

    def announce(self, line: str) -> None:
        """A line for whoever started us, in order with the log lines and as patient as they are."""
        self._outlet.write(line.encode())

    def close(self, patience: float = 1.0) -> None:
        logging.root.removeHandler(self._bridge)
        self._outlet.flush(patience)

    def _pass(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Drops what is below the level; here, because bound loggers are cached and the level is not."""
        if LEVELS[method] < self._least:
            raise structlog.DropEvent
        event["level"] = method
        event.setdefault("logger", logger.name)
        return event

    def _rendered(self, logger: WrappedLogger, method: str, event: EventDict) -> str | bytes | Any:
        return self._render(logger, method, event)


class _Room:
    """What structlog ends in: a place for finished lines, under the name of a room."""

    def __init__(self, outlet: Outlet, name: str = "") -> None:
        self.name = name
        self._outlet = outlet

    def _write(self, line: str | bytes) -> None:
        self._outlet.write(line.encode() if isinstance(line, str) else line)

    debug = info = warning = error = critical = _write


class _Bridge(logging.Handler):
    """Warnings of libraries that use the standard `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a library that cannot fill its own message
            text = str(record.msg)
        method = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(structlog.get_logger(record.name), method)(text, exc_info=record.exc_info or None)


_stamped = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


def _placed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A line that is written while a request is served names it, and the trace it belongs to."""
    if request := REQUEST.get():
        event.setdefault("request_id", request)
    if trace := TRACE.get():
        event.setdefault("trace_id", trace_id(trace))
    return event


def _with_traceback(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """`exc_info` becomes text: the one exception given, or the one being handled."""
    found = event.pop("exc_info", None)
    crash = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(crash, BaseException):
        event["exception"] = crash_text(crash)
    return event


def _redacted(_: WrappedLogger, __: str, event: EventDict) -> MutableMapping[str, Any]:
    return event if event.pop(VETTED, False) else redact(event)


def _text(*, colours: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colours, timestamp_key="time", pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )


def _json(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)
