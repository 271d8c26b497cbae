"""The service named "plugins": runs every enabled plugin, and shows how each one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog
import trio

from appliance.api import Misdeclared, NotFound, PanelDoor, Rejected, Unavailable
from appliance.config.strict import closest
from appliance.errors import ConfigError
from appliance.model.catalog import Catalog
from appliance.model.event import Event, Namespace
from appliance.model.http import Route
from appliance.model.jobs import Jobs
from appliance.model.legs import Leg
from appliance.model.letters import Letter, Shelf
from appliance.model.principal import Principal
from appliance.model.state import StateRow
from appliance.plugins.actions import acted
from appliance.plugins.asking import Asked
from appliance.plugins.border import PanelView
from appliance.plugins.cause import Cause
from appliance.plugins.consumers import waiting
from appliance.plugins.guest import Guest
from appliance.plugins.handling import KIND
from appliance.plugins.outside import Outside
from appliance.plugins.ports import Mount, Ports, Records, Write
from appliance.plugins.registry import Found
from appliance.plugins.saving import when_plugins_are_saved
from appliance.plugins.stall import Stall, StallWatch
from appliance.plugins.state import owner_of
from appliance.plugins.status import ConfigShown, PluginStatus, config_of, status_of
from appliance.storage.ports import Reader
from appliance.supervise.restarts import Limits
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import Node, State
from appliance.world import World

__all__ = ["Host", "Retain"]

log = structlog.get_logger("plugins")

Retain = Callable[[str, float], None]  # (category, seconds): the log keeps it so long, unless told otherwise

# A plugin ends only after its services have spent their own budgets, or because it cannot be loaded:
# trying again would change nothing, so there is no second budget on top.
AT_ONCE = Limits(budget=0)

RESTART = 10.0  # seconds an admin waits for a plugin to be there again


class Host:
    """Runs plugins side by side, each behind its own wall."""

    name = "plugins"

    def __init__(
        self,
        discover: Callable[[], Sequence[Found]],
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
        jobs: Jobs,
        shelf: Shelf,
        watch: StallWatch | None = None,
        limits: Limits | None = None,
    ) -> None:
        """
        Args:
            discover: finds the plugins, as `registry.discover` does; asked again for each that begins again. It
                raises ConfigError.
            log, write, announce: reading, the door, and telling of what is not stored.
            spaces: the namespaces there are; the first is `default`.
            retain: is told each category's declared retention before its plugin starts.
            mount: takes routes out of the front's table and brings others; raises ValueError: one is taken.
            outside: where plugins may send requests.
            watch: interrupts plugins that hold the loop.
            limits: how often a crashing service comes back before its plugin is parked.
        """
        self._discover = discover
        found = self._found = list(discover())
        self._retain = retain
        self._keepers: dict[str, tuple[str, float]] = {}  # category -> (plugin, seconds)
        self._watch = watch or StallWatch()
        self._ports = Ports(
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
        self._guests = {one.name: Guest(one, self._ports) for one in found if one.enabled or one.problem}
        shelf.serve(KIND, self._again)
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

    def ring(self, events: Sequence[Event]) -> None:
        """These were published. Waits for nobody."""
        following = [guest.consumers for guest in self._guests.values() if guest.consumers is not None]
        if following:
            spaces, types = (
                frozenset([event.namespace for event in events]),
                frozenset([event.type for event in events]),
            )
            for consumers in following:
                consumers.ring(spaces, types)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Of all plugins, as they are in the front's table."""
        return tuple(route for guest in self._guests.values() for route in guest.routes)

    async def restarted(self, name: str) -> str:
        """Load a plugin afresh, and wait until it runs or cannot: why it cannot, "" if it can.

        Raises:
            NotFound: there is none of this name that is on.
        """
        guest = self._guests.get(name)
        begun = 0 if guest is None else guest.lives
        self.restart(name)
        assert guest is not None  # `restart` found it
        with trio.move_on_after(RESTART):
            while guest.lives == begun or guest.loading:  # noqa: ASYNC110 - a look twenty times a second, for an admin
                await trio.sleep(0.05)
        return guest.crash.reason if guest.desk is None else ""

    def restart(self, name: str) -> None:
        """Load a plugin afresh, config and code, and start it.

        Raises:
            NotFound: there is none of this name that is on.
            Rejected: the configuration is wrong now.
        """
        guest = self._guests.get(name)
        if guest is None:
            raise NotFound(f"no plugin {name!r} is on", hint="appliance plugin list")
        self._look_again(guest)
        if guest.desk is not None:
            guest.restart()
        else:
            self._supervisor.restart(name)

    def _look_again(self, guest: Guest) -> None:
        """Its manifest and table may have changed."""
        try:
            now = {one.name: one for one in self._discover()}
        except ConfigError as error:
            raise Rejected(f"the configuration is wrong: {error.message}", hint=error.hint) from error
        if guest.name in now:
            guest.found = now[guest.name]
            self._found = [now[one.name] if one.name == guest.name else one for one in self._found]

    def snapshot(self) -> tuple[PluginStatus, ...]:
        """Every plugin that was found, running or not, by name."""
        nodes = {node.name: node for node in self.branches()}
        return tuple(status_of(one, self._guests.get(one.name), nodes.get(one.name)) for one in self._found)

    def status(self, name: str) -> PluginStatus:
        """Raises NotFound."""
        for one in self.snapshot():
            if one.name == name:
                return one
        raise NotFound(f"there is no plugin {name!r}", hint=closest(name, [one.name for one in self._found]))

    def config(self, name: str) -> tuple[ConfigShown, ...]:
        """The plugin's table as it is in force; empty while it was never loaded. Raises NotFound."""
        self.status(name)
        guest = self._guests.get(name)
        if guest is None or guest.declared is None:
            return ()
        return config_of(guest.found, guest.declared.plugin.config, guest.desk and guest.desk.config)

    async def panels(self, name: str = "") -> tuple[PanelView, ...]:
        """The cards of all running plugins, or of one. A slow or broken one costs its own card, and nobody's time."""
        ready = [self._guests[node.name] for node in self.branches() if node.state is State.READY]
        ready = [guest for guest in ready if name in ("", guest.name)]
        wanted = [(guest, *shown) for guest in ready for shown in guest.panels()]
        views: dict[int, PanelView] = {}

        async def look(place: int, guest: Guest, door: PanelDoor, ask: Asked) -> None:
            views[place] = await guest.show(door, ask)

        async with trio.open_nursery() as nursery:
            for place, (guest, door, ask) in enumerate(wanted):
                nursery.start_soon(look, place, guest, door, ask)
        return tuple(views[place] for place in range(len(wanted)))

    async def kept(self, name: str, namespace: int, prefix: str, after: str, limit: int) -> tuple[list[StateRow], int]:
        """A page of what a plugin keeps, and how much begins so."""
        owner = owner_of(name)

        def read(reader: Reader) -> tuple[list[StateRow], int]:
            rows = reader.states(namespace, owner, prefix=prefix, after=after, limit=limit)
            return rows, reader.count_states(namespace, owner, prefix=prefix)

        return await self._ports.log.reading(read)

    async def act(
        self,
        name: str,
        action: str,
        arguments: Mapping[str, Any],
        space: Namespace,
        *,
        actor: Mapping[str, str] = MappingProxyType({}),
    ) -> Any:
        """Ask a plugin for an action; what it gives, as JSON can hold it.

        Raises:
            NotFound: there is no such plugin or action.
            Rejected: it does not take these arguments.
            Unavailable: the plugin does not run, or took too long.
            PluginFailed: it went wrong.
        """
        self.status(name)  # raises
        guest = self._guests.get(name)
        if guest is None or guest.desk is None:
            raise Unavailable(f"plugin {name} does not run", hint=f"appliance plugin restart {name}")
        return await acted(guest.desk, action, arguments, Cause(space, actor=actor), guest.failed)

    async def why(self, who: Principal, event: Event) -> list[Leg]:
        """What became of an event with every plugin's consumers."""
        return self.legs(event)

    def legs(self, event: Event) -> list[Leg]:
        """The same for whoever may see the event."""
        found: list[Leg] = []
        for guest in self._guests.values():
            if guest.consumers is not None:
                found += guest.consumers.why(event)
            elif guest.declared is not None:
                found += waiting(guest.declared, event, self._ports.catalog)
        return found

    async def _again(self, namespace: int, letter: Letter) -> bool:
        """Bring an event once more to the consumer that gave it up."""
        name, _, consumer = letter.source.partition(": ")
        guest = self._guests.get(name)
        event = await self._ports.log.find(namespace, letter.event)
        space = next((one for one in self._ports.spaces() if one.key == namespace), None)
        if guest is None or guest.consumers is None or event is None or space is None:
            return False
        return guest.consumers.again(consumer, space, event)

    def _stalled(self, stall: Stall) -> None:
        self._guests[stall.plugin].stalled(stall)

    async def watch(self, config: Path | None) -> None:
        """While plugins are written: begin those again that are saved. Lasts until cancelled.

        Args:
            config: the configuration's file.
        """
        await when_plugins_are_saved(self._discover, config, self.restarted)

    def watches(self, key: Sequence[str]) -> bool:
        """Whether saving this key of the configuration is enough, while `watch` runs."""
        table, name, *rest = (*key, "", "")
        guest = self._guests.get(name) if table == "plugins" else None
        return guest is not None and not guest.found.bundled and rest[0] != "enabled"

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
