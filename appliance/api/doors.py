"""How a plugin says what it brings: `Plugin`, and what each of its seven doors remembers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, TypeVar, dataclass_transform

from appliance.api.values import Misdeclared, NoConfig

__all__ = [
    "ActionDoor",
    "EventDoor",
    "JobDoor",
    "OnDoor",
    "PanelDoor",
    "Plugin",
    "Priority",
    "RouteDoor",
    "Scope",
    "ServiceDoor",
    "pascal",
]

E = TypeVar("E", bound=type)
H = TypeVar("H", bound=Callable[..., Any])
ServiceHandler = TypeVar("ServiceHandler", bound=Callable[..., Awaitable[None]])
PanelHandler = TypeVar("PanelHandler", bound=Callable[..., Awaitable[Mapping[str, Any]]])

Scope = Literal["read", "write", "delete", "admin"]
Priority = Literal["critical", "normal", "low"]
Start = Literal["now", "first"]

RETRY = "1s 5s 25s"  # of an `on` handler
JOB_RETRY = "5s 10s 20s"


@dataclass(frozen=True, slots=True)
class EventDoor:
    """A declared event type."""

    type: type
    stream: str  # a template: "order-{order_id}"
    retention: str  # "2d"; empty: as the log's configuration says
    dotted: str = ""  # "order.placed"; empty: from the class's name
    stored: bool = True
    priority: Priority = "critical"
    entity: str | None = None  # the kind of thing it is about; None: the stream's category
    about: str | None = None  # the field with that thing's id; None: as the stream tells
    merge: str = ""


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


@dataclass(frozen=True, slots=True)
class RouteDoor:
    """A declared route."""

    method: str
    path: str  # "/api/v1/notes/{note_id}"
    handler: Callable[..., Any]
    scope: Scope | None
    summary: str
    answer: Any  # type of what it gives, for OpenAPI; None: not said
    request: Any  # type of the body, for OpenAPI; None: not said
    status: int  # of an answer that is a plain value
    blocking: bool


@dataclass(frozen=True, slots=True)
class OnDoor:
    """A declared consumer."""

    name: str
    handler: Callable[..., Any]
    events: tuple[type | str, ...]
    when: str
    start: Start
    retry: str
    blocking: bool


@dataclass(frozen=True, slots=True)
class JobDoor:
    """A declared type of job."""

    type: str  # "TitleGeneration"
    handler: Callable[..., Any]
    retry: str
    timeout: float  # seconds of one attempt
    priority: int
    concurrency: int
    check: Callable[..., Awaitable[None]] | None
    blocking: bool
    process: bool
    scope: Scope  # what a token must allow that asks for it over HTTP


@dataclass(frozen=True, slots=True)
class ActionDoor:
    """A declared action."""

    name: str
    handler: Callable[..., Awaitable[Any]]
    summary: str


class Plugin:
    """One plugin's declarations. The host reads them; nothing here runs anything."""

    def __init__(self, name: str, *, summary: str = "", config: type = NoConfig) -> None:
        """`config` is a dataclass whose fields all have defaults; its table is `[plugins.NAME]`."""
        self.name = name
        self.summary = summary
        self.config = config
        self.events: dict[type, EventDoor] = {}
        self.routes: dict[tuple[str, str], RouteDoor] = {}
        self.consumers: dict[str, OnDoor] = {}
        self.jobs: dict[str, JobDoor] = {}
        self.actions: dict[str, ActionDoor] = {}
        self.services: dict[str, ServiceDoor] = {}
        self.panels: dict[str, PanelDoor] = {}

    @dataclass_transform(frozen_default=True)
    def event(
        self,
        *,
        stream: str,
        retention: str = "",
        dotted: str = "",
        stored: bool = True,
        priority: Priority = "critical",
        entity: str | None = None,
        about: str | None = None,
        merge: str = "",
    ) -> Callable[[E], E]:
        """Declare a class as an event type of the class's name; it becomes a frozen dataclass.

        A field that is `UNSET` is left out of what is stored; `title: str | UnsetType = UNSET` may be.

        Args:
            stream: where instances go; `{field}` is replaced by that field. The category, all before the
                first dash, is literal.
            retention: how long events of this category are kept, "36h" or "2d". The operator's own
                setting for the category comes first.
            dotted: its second name; `OrderPlaced` is also `order.placed` unless another is given.
            stored: False: told to whoever listens now, and forgotten.
            priority: "low" when the newest of a moment is enough, "critical" when none may be merged away.
            entity: the kind of thing it is about, if that is not the stream's category.
            about: the field that holds that thing's id, if it is not the one in the stream's name; "": none.
            merge: events that have the same of these replace each other for slow readers; `{id}` is that id.
        """

        def declare(cls: E) -> E:
            if any(known.__name__ == cls.__name__ for known in self.events):
                raise Misdeclared(f"plugin {self.name} declares event {cls.__name__} twice")
            if not is_dataclass(cls):
                dataclass(frozen=True)(cls)  # in place: the class itself comes back
            self.events[cls] = EventDoor(cls, stream, retention, dotted, stored, priority, entity, about, merge)
            return cls

        return declare

    def route(
        self,
        method: str,
        path: str,
        *,
        scope: Scope | None,
        summary: str = "",
        request: Any = None,
        answer: Any = None,
        status: int = 200,
        blocking: bool = False,
    ) -> Callable[[H], H]:
        """Declare a handler of HTTP requests.

        It asks by name for `ctx`, `request`, `config`, `log` and the path's parameters, which may be annotated
        `str`, `int` or `UUID`. What it returns is answered as JSON; None as 204; a `Response` as it says.

        Args:
            path: "/api/v1/notes/{note_id}"; a parameter is one segment, `{name:path}` all the rest.
            scope: what the caller's token must allow; None: anybody may ask.
            request: type of the body, for the documents; `await request.json(Type)` checks it.
            answer: type of the answer, for the documents.
            status: of an answer that is a plain value.
            blocking: a plain function, called in a thread.
        """

        def declare(handler: H) -> H:
            key = method.upper(), path
            if key in self.routes:
                raise Misdeclared(f"plugin {self.name} declares {key[0]} {path} twice")
            said = summary or _first_line(handler)
            self.routes[key] = RouteDoor(key[0], path, handler, scope, said, answer, request, status, blocking)
            return handler

        return declare

    def on(
        self,
        *events: type | str,
        when: str = "",
        start: Start = "now",
        retry: str = RETRY,
        blocking: bool = False,
    ) -> Callable[[H], H]:
        """Declare a consumer: called for every event of these types, at least once, and in order within a stream.

        It asks by name for `ctx`, `event`, `config`, `log`. How far it has come is stored: after a restart it goes
        on there. One event that it cannot handle, after all retries, is put aside as a dead letter.

        Args:
            events: classes this plugin declares, or names of any types ("JobCompleted", "order.created").
            when: a condition; the handler is not called for events it does not hold for.
            start: where a new consumer begins: at what comes from now on, or at the first event stored.
            retry: pauses before each further try.
            blocking: a plain function, called in a thread.
        """

        def declare(handler: H) -> H:
            name = handler.__name__
            if name in self.consumers:
                raise Misdeclared(f"plugin {self.name} declares consumer {name} twice")
            self.consumers[name] = OnDoor(name, handler, events, when, start, retry, blocking)
            return handler

        return declare

    def job(
        self,
        type: str = "",
        *,
        retry: str = JOB_RETRY,
        timeout: float = 1800.0,
        priority: int = 0,
        concurrency: int = 1,
        check: Callable[..., Awaitable[None]] | None = None,
        blocking: bool = False,
        process: bool = False,
        scope: Scope = "write",
    ) -> Callable[[H], H]:
        """Declare a type of job, which `ctx.enqueue` and `POST /api/v1/jobs` queue.

        The handler asks by name for `ctx`, `job`, `config`, `log`, `note_id` and the job's own arguments; what it
        returns is the job's result.

        Args:
            type: "TitleGeneration"; the function's name in this spelling unless given.
            retry: pauses before each further try.
            timeout: seconds of one attempt.
            priority: higher runs first.
            concurrency: of this type at once.
            check: asked before one is queued; raises NotFound or Rejected to refuse it.
            blocking: a plain function, called in a thread.
            process: the same in a process of its own, which is killed when its time is over; it may ask for
                `config`, `note_id` and arguments.
            scope: what a token must allow that asks for it over HTTP; the plugin itself may always.
        """

        def declare(handler: H) -> H:
            name = type or pascal(handler.__name__)
            if name in self.jobs:
                raise Misdeclared(f"plugin {self.name} declares job {name} twice")
            self.jobs[name] = JobDoor(
                name, handler, retry, timeout, priority, concurrency, check, blocking or process, process, scope
            )
            return handler

        return declare

    def action(self, name: str, *, summary: str = "") -> Callable[[H], H]:
        """Declare something that can be asked for by name, by a person or an observer.

        The handler asks by name for `ctx`, `config`, `log`, `event` (None unless one is the reason) and arguments.
        """

        def declare(handler: H) -> H:
            if name in self.actions:
                raise Misdeclared(f"plugin {self.name} declares action {name!r} twice")
            self.actions[name] = ActionDoor(name, handler, summary or _first_line(handler))
            return handler

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


def pascal(name: str) -> str:
    """title_generation → TitleGeneration."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _first_line(handler: Callable[..., Any]) -> str:
    return (handler.__doc__ or "").strip().partition("\n")[0].strip()
