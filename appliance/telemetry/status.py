"""How the appliance is, in one value that costs microseconds to build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from appliance.clock import stamp
from appliance.errors import Forbidden
from appliance.model.http import Lane, Request, Response, Route
from appliance.model.principal import ADMIN
from appliance.supervise.tree import Node, NodeJson, State
from appliance.world import World

__all__ = ["About", "Status", "StatusJson", "Storage", "overall"]


class Storage(msgspec.Struct, frozen=True):
    """What opening the log found."""

    kind: str
    events: int  # stored when it was opened
    verified: int
    lost: int
    notes: list[str]


class About(msgspec.Struct, frozen=True):
    """What does not change while the process lives."""

    name: str
    version: str
    pid: int
    data: str
    test_mode: bool
    storage: Storage


class StatusJson(msgspec.Struct, frozen=True):
    """The answer of `GET /status`."""

    name: str
    version: str
    state: str  # "well"; "degraded": something is paused or parked; "starting", "stopping"
    pid: int
    started: str  # RFC 3339
    uptime_s: float
    urls: list[str]
    data: str
    test_mode: bool
    storage: Storage
    counts: dict[str, int]
    tree: list[NodeJson]
    plugins: list[dict[str, Any]]  # as the plugin host shows them
    canary: str = "off"  # "ok", "late", "failed", "waiting", "off"


class Status:
    """Puts the answer together from what does not change and a few cheap questions."""

    def __init__(
        self,
        about: About,
        world: World,
        *,
        counts: Callable[[], Mapping[str, int]],
        tree: Callable[[], Sequence[Node]],
        plugins: Callable[[], Sequence[dict[str, Any]]],
    ) -> None:
        self._about = about
        self._world = world
        self._began, self._started = world.now(), stamp(world.wall_us())
        self._counts, self._tree, self._plugins = counts, tree, plugins
        self.urls: Sequence[str] = ()
        self.canary: Callable[[], str] = lambda: "off"
        self.name: Callable[[], str] = lambda: about.name

    @property
    def state(self) -> str:
        """One word for all services."""
        return overall(self._tree())

    def snapshot(self) -> StatusJson:
        about, tree = self._about, self._tree()
        return StatusJson(
            name=self.name(),
            version=about.version,
            state=overall(tree),
            pid=about.pid,
            started=self._started,
            uptime_s=round(self._world.now() - self._began, 3),
            urls=list(self.urls),
            data=about.data,
            test_mode=about.test_mode,
            storage=about.storage,
            counts=dict(self._counts()),
            tree=[node.json() for node in tree],
            plugins=list(self._plugins()),
            canary=self.canary(),
        )

    def route(self) -> Route:
        return Route(
            "GET",
            "/status",
            self._answer,
            "What runs here, and how: the tree of services with restarts and last crashes.",
            scope=ADMIN,
            lane=Lane.FAST,
            answer=StatusJson,
            tags=("operations",),
        )

    def _answer(self, request: Request) -> Response:
        if request.principal is None or not request.principal.operator:
            raise Forbidden("the status tells of all namespaces", hint="ask with a token of namespace default")
        return Response(200, msgspec.json.encode(self.snapshot()), headers=(("cache-control", "no-store"),))


def overall(tree: Iterable[Node]) -> str:
    """One word for all services."""
    states = set(_states(tree))
    if states & {State.DRAINING, State.STOPPED, State.CRASHED}:
        return "stopping"
    if states & {State.PAUSED, State.PARKED}:
        return "degraded"
    return "well" if states <= {State.READY} else "starting"


def _states(tree: Iterable[Node]) -> Iterator[State]:
    """Of every service; below a parked one nothing is expected to run."""
    for node in tree:
        yield node.state
        if node.state is not State.PARKED:
            yield from _states(node.children)
