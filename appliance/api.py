"""What a plugin may use of the appliance. Nothing else is promised.

A plugin is a folder with a `plugin.toml` and a module that builds one `Plugin`. It declares what it
brings through doors (`event`, `service`, `panel`); the host calls the handlers and gives them what
they ask for by name:

    ctx      the `Context`: config, emit, log, time, randomness, threads
    config   the decoded config, the same as `ctx.config`
    log      the plugin's logger, the same as `ctx.log`

A field of an event that is `UNSET` is left out of what is stored, where `None` is stored as null.

Declaring has no effect of its own: importing a plugin starts nothing, so a test can import it too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, is_dataclass
from random import Random
from typing import Any, Protocol, TypeVar

from msgspec import UNSET, UnsetType

from appliance.errors import (
    ApplianceError,
    Conflict,
    Forbidden,
    LimitReached,
    NotFound,
    PeerFailed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "API",
    "UNSET",
    "Conflict",
    "Context",
    "EventDoor",
    "Forbidden",
    "LimitReached",
    "Log",
    "Misdeclared",
    "NoConfig",
    "NotFound",
    "PanelDoor",
    "PeerFailed",
    "Plugin",
    "Receipt",
    "Rejected",
    "ServiceDoor",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnsetType",
]

API = 1  # the number a manifest names; it changes when plugins written for the old one would break

C_co = TypeVar("C_co", covariant=True)
T = TypeVar("T")
E = TypeVar("E", bound=type)
ServiceHandler = TypeVar("ServiceHandler", bound=Callable[..., Awaitable[None]])
PanelHandler = TypeVar("PanelHandler", bound=Callable[..., Awaitable[Mapping[str, Any]]])


class Misdeclared(ApplianceError):
    """A plugin says something about itself that cannot be: its author has to change it."""

    code = "plugin_misdeclared"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an event is stored, synced, and visible to everyone."""

    id: str
    stream: str
    position: int  # in its stream, from 0
    global_position: int  # in the log, from 1

    def __str__(self) -> str:
        return f"{self.stream} @ {self.position}"


class Log(Protocol):
    """Structured lines: the text is a constant, everything variable is a field."""

    def debug(self, event: str, **fields: Any) -> Any: ...

    def info(self, event: str, **fields: Any) -> Any: ...

    def warning(self, event: str, **fields: Any) -> Any: ...

    def error(self, event: str, **fields: Any) -> Any: ...


class Context(Protocol[C_co]):
    """The appliance as one plugin sees it."""

    @property
    def config(self) -> C_co:
        """`[plugins.NAME]` of the configuration, decoded and checked."""
        ...

    @property
    def log(self) -> Log: ...

    @property
    def rng(self) -> Random:
        """For jitter and sampling; never for secrets."""
        ...

    async def emit(self, event: object) -> Receipt:
        """Append an instance of a declared event; returns once it is on disk.

        Raises:
            Rejected: a field cannot be part of a stream name, or is nothing JSON can hold.
            Unavailable: the log takes no writes now (disk full, stopping). A service may let it pass: it is
                begun again when there is hope, and it does not count as a crash.
        """
        ...

    def now(self) -> float:
        """Monotonic seconds, for durations and deadlines; tests drive it with a mock clock."""
        ...

    def wall(self) -> str:
        """The time of day as RFC 3339 text in UTC, for what is stored or shown."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def run_in_thread(self, work: Callable[[], T]) -> T:
        """Do blocking work aside. On the loop a handler that blocks for 250 ms is interrupted."""
        ...


@dataclass(frozen=True, slots=True)
class NoConfig:
    """The config of a plugin that has nothing to configure."""


@dataclass(frozen=True, slots=True)
class EventDoor:
    """A declared event type."""

    type: type
    stream: str  # a template: "order-{order_id}"
    retention: str  # "2d"; empty: as the log's configuration says


@dataclass(frozen=True, slots=True)
class ServiceDoor:
    """A declared service."""

    name: str
    handler: Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PanelDoor:
    """A declared panel."""

    title: str
    handler: Callable[..., Awaitable[Mapping[str, Any]]]


class Plugin:
    """One plugin's declarations. The host reads them; nothing here runs anything."""

    def __init__(self, name: str, *, summary: str = "", config: type = NoConfig) -> None:
        """`config` is a dataclass whose fields all have defaults; its table is `[plugins.NAME]`."""
        self.name = name
        self.summary = summary
        self.config = config
        self.events: dict[type, EventDoor] = {}
        self.services: dict[str, ServiceDoor] = {}
        self.panels: dict[str, PanelDoor] = {}

    def event(self, *, stream: str, retention: str = "") -> Callable[[E], E]:
        """Declare a class as an event type of the class's name; it becomes a frozen dataclass.

        Args:
            stream: where instances go; `{field}` is replaced by that field. The category, all before the
                first dash, is literal.
            retention: how long events of this category are kept, "36h" or "2d". The operator's own
                setting for the category comes first.
        """

        def declare(cls: E) -> E:
            if any(known.__name__ == cls.__name__ for known in self.events):
                raise Misdeclared(f"plugin {self.name} declares event {cls.__name__} twice")
            if not is_dataclass(cls):
                dataclass(frozen=True)(cls)  # in place: the class itself comes back
            self.events[cls] = EventDoor(cls, stream, retention)
            return cls

        return declare

    def service(self, handler: ServiceHandler) -> ServiceHandler:
        """Declare work that lasts as long as the plugin. If it crashes or returns, it begins again after a pause."""
        name = handler.__name__
        if name in self.services:
            raise Misdeclared(f"plugin {self.name} declares service {name} twice")
        self.services[name] = ServiceDoor(name, handler)
        return handler

    def panel(self, title: str) -> Callable[[PanelHandler], PanelHandler]:
        """Declare a card for status and dashboard: the handler returns labels and values when somebody looks."""

        def declare(handler: PanelHandler) -> PanelHandler:
            if title in self.panels:
                raise Misdeclared(f"plugin {self.name} declares panel {title!r} twice")
            self.panels[title] = PanelDoor(title, handler)
            return handler

        return declare
