"""Interrupts plugin code that holds the loop: `time.sleep(30)`, `while True`, a blocking download.

A thread looks at the main thread's stack every 50 ms. Nothing is asked of the code it watches and
nothing is paid per event; only when a look finds a plugin on the stack does it ask the loop for a sign
of life. If the same plugin is there look after look and the loop has not turned, a signal is sent, and
its handler, which runs on the main thread, raises `Stalled` in the frame that is executing - but only
if that frame is the plugin's, or was called by it without any of ours or Trio's in between. Our frames
are never torn: with one of them on top the handler does nothing, and the next look tries again.

The budget is counted in looks, not in seconds, so that a suspended machine or a process that got no
CPU is not held against a plugin. What a signal cannot interrupt (a C call that ignores it) stops the
service manager's watchdog pings instead.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from types import FrameType

import structlog
import trio

from appliance.plugins.loader import plugin_of

__all__ = ["Stall", "StallWatch", "Stalled", "interruptible", "plugin_on"]

log = structlog.get_logger("plugins")

BUDGET = 0.25  # seconds a plugin may hold the loop
LOOK = 0.05  # seconds between two looks
# Ignored by default, so a late one does no harm after the handler is gone; nothing else here uses it.
SIGNAL = signal.SIGURG

_OURS = frozenset({"appliance", "trio", "outcome", "structlog"})  # packages whose state an exception could tear


class Stalled(BaseException):
    """The plugin held the loop too long. Not an `Exception`: a handler that catches everything must not keep it."""


@dataclass(frozen=True, slots=True)
class Stall:
    """One interruption."""

    plugin: str
    where: str  # "plugin.py:12 in work"


@dataclass(slots=True)
class StallWatch:
    """Keeps plugins from holding the loop for longer than `budget`."""

    budget: float = BUDGET
    look: float = LOOK
    _patience: dict[str, float] = field(default_factory=dict)
    _suspect: str | None = None
    _looks: int = 0  # in a row that found the suspect, while the loop did not turn
    _turned: bool = True  # the loop has answered the last question
    _verdict: str | None = None
    _main: int = 0
    _token: trio.lowlevel.TrioToken | None = None
    _report: Callable[[Stall], None] = lambda _: None

    @contextmanager
    def watching(self, report: Callable[[Stall], None]) -> Iterator[None]:
        """Watch this thread's loop; `report` is called on it after each interruption.

        Signals reach the main thread only: on another one nothing is watched, and the log says so.
        """
        if threading.current_thread() is not threading.main_thread():
            log.info("plugins are not watched for stalls", reason="the loop does not run in the main thread")
            yield
            return
        self._main, self._token, self._report = threading.get_ident(), trio.lowlevel.current_trio_token(), report
        self._turned, self._suspect, self._verdict = True, None, None
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(stop,), name="stall-watch", daemon=True)
        before = signal.signal(SIGNAL, self._interrupt)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            signal.signal(SIGNAL, before)

    @contextmanager
    def patience(self, plugin: str, seconds: float) -> Iterator[None]:
        """Another budget for one plugin for a while: importing takes longer than handling."""
        self._patience[plugin] = seconds
        try:
            yield
        finally:
            del self._patience[plugin]

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self.look):
            self._take_a_look()

    def _take_a_look(self) -> None:
        plugin = plugin_on(sys._current_frames().get(self._main))
        if plugin is None or plugin != self._suspect or self._turned:
            self._suspect, self._looks = plugin, 0
            if plugin is not None:
                self._ask()
            return
        self._looks += 1
        if self._looks * self.look >= self._patience.get(plugin, self.budget):
            self._verdict = plugin
            signal.pthread_kill(self._main, SIGNAL)

    def _ask(self) -> None:
        assert self._token is not None
        self._turned = False
        self._token.run_sync_soon(self._turn)

    def _turn(self) -> None:
        self._turned, self._verdict = True, None

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        """On the main thread, between two instructions of whatever runs there."""
        plugin = self._verdict
        if plugin is None or self._turned or interruptible(frame) != plugin:
            return
        self._turned, self._verdict = True, None  # counting begins again, also for code that keeps `Stalled`
        stall = Stall(plugin, _where(frame))
        assert self._token is not None
        self._token.run_sync_soon(self._report, stall)  # allowed in a signal handler
        held = self._patience.get(plugin, self.budget)
        raise Stalled(f"plugin {plugin} held the loop for {held:g} s at {stall.where}")


def plugin_on(frame: FrameType | None) -> str | None:
    """The innermost plugin on a stack."""
    while frame is not None:
        plugin = plugin_of(_module(frame))
        if plugin is not None:
            return plugin
        frame = frame.f_back
    return None


def interruptible(frame: FrameType | None) -> str | None:
    """The plugin whose own frame, or a library it called, is executing; None when ours or Trio's comes first."""
    while frame is not None:
        module = _module(frame)
        plugin = plugin_of(module)
        if plugin is not None:
            return plugin
        if module.partition(".")[0] in _OURS:
            return None
        frame = frame.f_back
    return None


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _where(frame: FrameType | None) -> str:
    """The line of the plugin that was executing."""
    while frame is not None and plugin_of(_module(frame)) is None:
        frame = frame.f_back
    assert frame is not None  # only asked when a plugin is on the stack
    return f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
