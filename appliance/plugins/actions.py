"""Actions of plugins: what can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import trio

from appliance.api import NotFound, Unavailable
from appliance.config.strict import closest
from appliance.errors import ApplianceError
from appliance.plugins.border import contained
from appliance.plugins.cause import Cause
from appliance.plugins.context import PluginContext
from appliance.plugins.desk import Desk
from appliance.plugins.reception import PluginFailed

__all__ = ["acted"]

TIMEOUT = 30.0  # seconds of one


async def acted(
    desk: Desk[Any],
    action: str,
    arguments: Mapping[str, Any],
    cause: Cause,
    failed: Callable[[str, Exception], None],
    event: Any = None,
) -> Any:
    """Carry out an action of a running plugin; what it gives, as JSON can hold it.

    Args:
        failed: is told when it goes wrong, and which.
        event: that is the reason; None: somebody asks.

    Raises:
        NotFound: there is no such action.
        Rejected: it does not take these arguments.
        Unavailable: it took too long.
        PluginFailed: it went wrong.
    """
    known = desk.declared.actions
    if action not in known:
        raise NotFound(f"plugin {desk.name} has no action {action!r}", hint=closest(action, known))
    _, ask = known[action]
    ask.check(arguments)
    offers = PluginContext(desk, cause).offers(event=event)
    try:
        with trio.move_on_after(TIMEOUT):
            return msgspec.to_builtins(await contained(ask, offers, arguments), str_keys=True)
    except ApplianceError as error:
        if error.status < 500 or isinstance(error, Unavailable):
            raise
        failed(ask.what, error)
        raise PluginFailed(f"{ask.what} of plugin {desk.name} went wrong: {error.message}") from error
    except Exception as error:
        failed(ask.what, error)
        raise PluginFailed(f"{ask.what} of plugin {desk.name} went wrong") from error
    raise Unavailable(f"{ask.what} of plugin {desk.name} took longer than {TIMEOUT:g} s")
