"""The border between our code and a plugin's: every call of a handler passes here.

What a plugin raises, whatever it is, comes out as an ordinary exception that names the plugin's own
line; Trio's cancellation alone passes as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NoReturn

import msgspec
import trio

from appliance.api import Misdeclared, PanelDoor, ServiceDoor
from appliance.errors import ApplianceError, Unavailable
from appliance.plugins.asking import Asked
from appliance.plugins.threads import InThread
from appliance.supervise.tree import first_cause, one_line
from appliance.telemetry.crashes import crash_text
from appliance.telemetry.redact import anonymous

__all__ = ["Crash", "PanelView", "PluginCrashed", "contained", "serve", "show", "translated"]

LONGEST_WAIT = 30.0  # seconds between two tries of a service that needs what is unavailable
PANEL_TIMEOUT = 2.0  # seconds
LONGEST_TRACEBACK = 8000  # characters kept for `status`


class PluginCrashed(ApplianceError):
    """A plugin raised what would end the process: SystemExit, an interruption, a class of its own."""

    code = "plugin_crashed"


@dataclass(frozen=True, slots=True)
class Crash:
    """What went wrong, for a person."""

    reason: str = ""
    hint: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: Exception) -> Crash:
        text = crash_text(error)[:LONGEST_TRACEBACK]
        if isinstance(error, ApplianceError) and not isinstance(error, PluginCrashed):
            return cls(anonymous(error.message), error.hint, text)  # it says where by itself
        if isinstance(error, SyntaxError) and error.filename:
            where = f"{PurePath(error.filename).name}:{error.lineno}"
            return cls(anonymous(f"{type(error).__name__}: {error.msg} ({where})"), "", text)
        reason = one_line(error).removeprefix(f"{PluginCrashed.__module__}.PluginCrashed: ")
        return cls(anonymous(reason), "", text)


@dataclass(frozen=True, slots=True)
class PanelView:
    """One card: values, or why there are none."""

    plugin: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


async def serve(door: ServiceDoor, ask: Asked, offers: Mapping[str, Any]) -> NoReturn:
    """Run a declared service; only raising ends it.

    `Unavailable` is no crash: whoever lets it pass waits for what is not there now, and begins again.
    """
    pause = 0.0
    while True:
        begun = trio.current_time()
        try:
            await contained(ask, offers)
        except Unavailable as refusal:
            lasted = trio.current_time() - begun
            pause = min(max(2 * pause if lasted < LONGEST_WAIT else 0.0, refusal.retry_after), LONGEST_WAIT)
            offers["log"].warning("service waits", service=door.name, reason=refusal.message, seconds=pause)
            await trio.sleep(pause)
        else:
            hint = "a service lasts: while True, and await ctx.sleep(…) between"
            raise Misdeclared(f"service {door.name} returned", hint=hint)


async def contained(
    ask: Asked, offers: Mapping[str, Any], given: Mapping[str, Any] | None = None, *, aside: InThread | None = None
) -> Any:
    """Call a plugin's handler with what it asks for. Whatever it raises becomes an `Exception`.

    Args:
        given: arguments of its own.
        aside: it is a blocking function, and this runs it.
    """
    with translated():
        if aside is not None:
            return await aside(lambda: ask.call(offers, given))
        return await ask.call(offers, given)


@contextmanager
def translated() -> Iterator[None]:
    """The border: what is neither an ordinary error nor Trio's cancellation must not travel on."""
    try:
        yield
    except BaseException as crash:
        strange = _strange(crash)
        if strange is None:
            raise
        told = PluginCrashed(f"{type(strange).__name__}: {strange}".removesuffix(": "))
        raise told.with_traceback(strange.__traceback__) from crash  # so that the last line told is the plugin's


def _strange(crash: BaseException) -> BaseException | None:
    if isinstance(crash, BaseExceptionGroup):
        return next((odd for inner in crash.exceptions if (odd := _strange(inner)) is not None), None)
    return None if isinstance(crash, Exception | trio.Cancelled) else crash


async def show(plugin: str, door: PanelDoor, ask: Asked, offers: Mapping[str, Any]) -> PanelView:
    """Evaluate a panel within its time. It always gives a view."""
    try:
        with trio.move_on_after(PANEL_TIMEOUT) as limit:
            values = await contained(ask, offers)
            if not isinstance(values, Mapping):
                return PanelView(plugin, door.title, error=f"the panel gave {type(values).__name__}, not a mapping")
            return PanelView(plugin, door.title, msgspec.to_builtins(values, str_keys=True))
    except Exception as crash:  # noqa: BLE001 - the border; the card shows it
        return PanelView(plugin, door.title, error=Crash.of(first_cause(crash)).reason)
    assert limit.cancelled_caught  # nothing else leads here
    return PanelView(plugin, door.title, error=f"no answer within {PANEL_TIMEOUT:g} s")
