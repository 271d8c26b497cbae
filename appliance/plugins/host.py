"""The service named "plugins": runs every enabled plugin, and shows how each one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
import trio

from appliance.api import Misdeclared, NotFound, PanelDoor
from appliance.clock import stamp
from appliance.model.catalog import Catalog
from appliance.model.event import Event, Namespace
from appliance.model.http import Route
from appliance.model.jobs import Jobs
from appliance.model.letters import Shelf
from appliance.plugins.asking import Asked
from appliance.plugins.border import Crash, PanelView
from appliance.plugins.guest import Guest
from appliance.plugins.outside import Outside
from appliance.plugins.ports import Mount, Ports, Records, Write
from appliance.plugins.registry import Found
from appliance.plugins.stall import Stall, StallWatch
from appliance.supervise.restarts import Limits
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import Node, State
from appliance.world import World

__all__ = ["Host", "PluginStatus", "Retain"]

log = structlog.get_logger("plugins")

Retain = Callable[
    [str, float], None
]  # (category, seconds): the log keeps the category that long, unless told otherwise

# A plugin ends only after its services have spent their own budgets, or because it cannot be loaded:
# trying again would change nothing, so there is no second budget on top.
AT_ONCE = Limits(budget=0)


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A plugin at one moment, as `status` and the dashboard show it."""

    name: str
    version: str
    summary: str
    bundled: bool
    state: str  # "disabled", or a supervisor's: ready, parked, …
    since: str  # RFC 3339; empty for a disabled one
    restarts: int  # of its services
    stalls: int  # how often it was interrupted
    reason: str  # of the last crash, in a line; why it is parked, if it is
    hint: str
    traceback: str
    events: tuple[str, ...]
    services: tuple[str, ...]
    panels: tuple[str, ...]


class Host:
    """Runs plugins side by side, each behind its own wall."""

    name = "plugins"

    def __init__(
        self,
        found: Sequence[Found],
        *,
        log: Records,
        write: Write,
        announce: Callable[[Event], None],
        spaces: Callable[[], Sequence[Namespace]],
        catalog: Catalog,
        retain: Retain,
        mount: Mount,
        outside: Outside,
        world: World,
        jobs: Jobs | None = None,
        shelf: Shelf | None = None,
        watch: StallWatch | None = None,
        limits: Limits | None = None,
    ) -> None:
        """
        Args:
            found: what `registry.discover` gave.
            log, write, announce: reading, the door, and telling of what is not stored.
            spaces: the namespaces there are; the first is `default`.
            retain: is told each category's declared retention before its plugin starts.
            mount: takes routes out of the front's table and brings others; raises ValueError: one is taken.
            outside: where plugins may send requests.
            watch: interrupts plugins that hold the loop.
            limits: how often a crashing service comes back before its plugin is parked.
        """
        self._found = found
        self._retain = retain
        self._keepers: dict[str, tuple[str, float]] = {}  # category -> (plugin, seconds)
        self._watch = watch or StallWatch()
        ports = Ports(
            world,
            self._watch,
            log,
            write,
            announce,
            spaces,
            catalog,
            self._keep,
            mount,
            outside,
            jobs,
            shelf,
            limits or Limits(),
        )
        self._guests = {one.name: Guest(one, ports) for one in found if one.enabled or one.problem}
        self._supervisor = Supervisor(
            self.name, [Child(guest, OnCrash.PARK, limits=AT_ONCE) for guest in self._guests.values()], world=world
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self._watch.watching(self._stalled):
            await self._supervisor.run(task_status=task_status)

    async def drain(self) -> None:
        await self._supervisor.drain()

    def branches(self) -> tuple[Node, ...]:
        return self._supervisor.branches()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Of all plugins, as they are in the front's table."""
        return tuple(route for guest in self._guests.values() for route in guest.routes)

    def restart(self, name: str) -> None:
        """Load a plugin afresh, config and code, and start it.

        Raises:
            NotFound: there is none of this name that is on.
        """
        guest = self._guests.get(name)
        if guest is None:
            raise NotFound(f"no plugin {name!r} is on", hint="appliance plugin list")
        if guest.desk is not None:
            guest.restart()
        else:
            self._supervisor.restart(name)

    def snapshot(self) -> tuple[PluginStatus, ...]:
        """Every plugin that was found, running or not, by name."""
        nodes = {node.name: node for node in self.branches()}
        return tuple(_status(one, self._guests.get(one.name), nodes.get(one.name)) for one in self._found)

    async def panels(self) -> tuple[PanelView, ...]:
        """The cards of all running plugins. A slow or broken one costs its own card, and nobody else's time."""
        ready = [self._guests[node.name] for node in self.branches() if node.state is State.READY]
        wanted = [(guest, *shown) for guest in ready for shown in guest.panels()]
        views: dict[int, PanelView] = {}

        async def look(place: int, guest: Guest, door: PanelDoor, ask: Asked) -> None:
            views[place] = await guest.show(door, ask)

        async with trio.open_nursery() as nursery:
            for place, (guest, door, ask) in enumerate(wanted):
                nursery.start_soon(look, place, guest, door, ask)
        return tuple(views[place] for place in range(len(wanted)))

    def _stalled(self, stall: Stall) -> None:
        self._guests[stall.plugin].stalled(stall)

    def _keep(self, plugin: str, retention: Mapping[str, float]) -> None:
        for category, seconds in retention.items():
            keeper, kept = self._keepers.setdefault(category, (plugin, seconds))
            if keeper != plugin and kept != seconds:
                raise Misdeclared(
                    f"plugin {keeper} keeps category {category} for {kept:g} s, plugin {plugin} for {seconds:g} s",
                    hint="events of two plugins belong in two categories",
                )
            self._keepers[category] = (keeper, seconds)
            self._retain(category, seconds)


def _status(found: Found, guest: Guest | None, node: Node | None) -> PluginStatus:
    declared = None if guest is None else guest.declared
    plugin = None if declared is None else declared.plugin
    services = () if node is None else node.children
    crash = Crash() if guest is None else guest.crash
    return PluginStatus(
        name=found.name,
        version=found.manifest.version if found.manifest else "",
        summary=found.manifest.summary if found.manifest else "",
        bundled=found.bundled,
        state="disabled" if node is None else node.state.value,
        since="" if node is None else stamp(node.since_us),
        restarts=sum(one.restarts for one in services),
        stalls=0 if guest is None else guest.stalls,
        reason=crash.reason,
        hint=crash.hint,
        traceback=crash.traceback,
        events=tuple(event.__name__ for event in plugin.events) if plugin else (),
        services=tuple(plugin.services) if plugin else (),
        panels=tuple(plugin.panels) if plugin else (),
    )
