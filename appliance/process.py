"""A process: configuration in, exit code out.

What must be had is had before anything runs: the lock on the folder, the sockets, the log. Then the house is
built, its services start, and a signal ends them.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial

import structlog
import trio

from appliance import ground
from appliance.app import Banner, House
from appliance.config.load import Loaded
from appliance.config.reload import when_saved
from appliance.errors import ApplianceError, Broken
from appliance.storage.ports import Engine
from appliance.supervise.calm import calm_collector
from appliance.supervise.place import Place, hold
from appliance.supervise.signals import obey
from appliance.supervise.tree import first_cause
from appliance.supervise.watchdog import Notifier
from appliance.telemetry.logs import Logs
from appliance.telemetry.outlet import Outlet
from appliance.world import RealWorld

__all__ = ["run", "serve"]

log = structlog.get_logger("app")


def run(loaded: Loaded, banner: Banner = lambda _: ()) -> int:
    """Serve until told to stop; the exit code of the process.

    Args:
        banner: lines for whoever started us, printed after `Listening on :PORT`.

    Raises:
        ApplianceError: it cannot start, or go on, and why.
    """
    settings = loaded.settings
    shape = settings.telemetry
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    os.umask(0o077)  # whatever we write is for our own user: it holds other people's events
    logs = Logs(Outlet(sys.stdout.fileno()), form=shape.log, level=shape.level, colours=colours)
    try:
        with ExitStack() as held:
            place = held.enter_context(hold(None if loaded.throwaway else settings.data))
            listeners = ground.listeners(settings, held)
            notifier = Notifier.from_environment(os.environ)
            engine = ground.engine(loaded, place, notifier)
            return _live(partial(serve, loaded, place, engine, listeners, logs=logs, notifier=notifier, banner=banner))
    finally:
        logs.close()


def _live(serving: Callable[[], Awaitable[None]]) -> int:
    """The outermost border of the running process."""
    try:
        trio.run(serving)
    except Exception as crash:
        cause = first_cause(crash)
        if isinstance(cause, ApplianceError) and not isinstance(cause, Broken):
            raise cause from None  # the world's fault: one clear message, no traceback
        log.critical("crashed", exc_info=cause)
        return 1
    return 0


async def serve(
    loaded: Loaded,
    place: Place,
    engine: Engine,
    listeners: Sequence[socket.socket],
    *,
    logs: Logs,
    notifier: Notifier | None = None,
    banner: Banner = lambda _: (),
) -> None:
    """Run everything until a signal stops it. Engine and listeners are ours from here on."""
    house = House(loaded, place, engine, listeners, logs=logs, world=RealWorld(), notifier=notifier or Notifier(""))
    stopping = trio.Event()

    async def end() -> None:
        await stopping.wait()
        await house.supervisor.drain()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(obey, stop=stopping.set, hurry=house.supervisor.hurry, reload=house.reload))
        nursery.start_soon(end)
        await nursery.start(house.supervisor.run)
        calm_collector()
        if loaded.settings.dev and loaded.file is not None:
            await nursery.start(partial(when_saved, loaded.file, house.reload))
        if loaded.settings.dev:
            nursery.start_soon(house.plugins.watch, loaded.file)
        await house.naming.recall()
        house.welcome(banner)
