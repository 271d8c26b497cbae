"""What a plugin declares, checked as a whole before any of it runs. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

import msgspec

from appliance.api import (
    ActionDoor,
    EventDoor,
    JobDoor,
    Misdeclared,
    OnDoor,
    PanelDoor,
    Plugin,
    Rejected,
    RouteDoor,
    ServiceDoor,
)
from appliance.api.doors import Scope
from appliance.config.strict import closest
from appliance.config.units import duration
from appliance.model.event import Draft
from appliance.model.types import EventType, Priority, derived, tagged
from appliance.plugins.asking import Asked, asked
from appliance.plugins.templates import StreamTemplate

__all__ = ["Consumer", "Declarations", "Kind", "Work", "examine", "seconds"]

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
JOB_OFFERS = frozenset({"job", "note_id"})
PROCESS_OFFERS = frozenset({"config", "note_id"})  # what can go to another process

_PATH = re.compile(r"/(?:[\w.~-]+|\{[a-z_]\w*\})(?:/(?:[\w.~-]+|\{[a-z_]\w*\}))*(?:/\{[a-z_]\w*:path\})?", re.ASCII)
_HOLE = re.compile(r"\{(\w+)")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TYPE = re.compile(r"[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class Kind:
    """A declared type of event."""

    door: EventDoor
    stream: StreamTemplate
    type: EventType
    decode: Callable[[str], Any]  # data as JSON to an instance of the class


@dataclass(frozen=True, slots=True)
class Consumer:
    """A declared consumer."""

    door: OnDoor
    ask: Asked
    classes: Mapping[str, Kind]  # by type: what its data is decoded into
    names: frozenset[str]  # types it wants, as they were named
    waits: tuple[float, ...]  # seconds


@dataclass(frozen=True, slots=True)
class Work:
    """A declared type of job."""

    door: JobDoor
    ask: Asked
    check: Asked | None
    waits: tuple[float, ...]  # seconds


@dataclass(frozen=True, slots=True)
class Declarations:
    """A plugin that may run."""

    plugin: Plugin
    kinds: Mapping[type, Kind]
    retention: Mapping[str, float]  # category -> seconds
    routes: tuple[tuple[RouteDoor, Asked], ...]
    consumers: tuple[Consumer, ...]
    jobs: tuple[Work, ...]
    actions: Mapping[str, tuple[ActionDoor, Asked]]
    services: tuple[tuple[ServiceDoor, Asked], ...]
    panels: tuple[tuple[PanelDoor, Asked], ...]

    @property
    def event_types(self) -> tuple[EventType, ...]:
        """Its events for the catalog."""
        return tuple(kind.type for kind in self.kinds.values())

    def kind(self, event: object) -> Kind:
        """Raises Misdeclared: its class was not declared by this plugin."""
        kind = self.kinds.get(type(event))
        if kind is None:
            name = type(event).__name__
            raise Misdeclared(
                f"plugin {self.plugin.name} emits {name}, which it does not declare",
                hint="put @plugin.event(stream=…) above the class",
            )
        return kind

    def draft(self, event: object, id: str = "") -> Draft:
        """What to append for an instance of a declared event.

        Raises:
            Misdeclared: its class was not declared by this plugin.
            Rejected: its stream cannot be named, JSON cannot hold it, or a field is not of its type.
        """
        kind, name = self.kind(event), type(event).__name__
        try:
            data = msgspec.json.encode(event).decode()
        except (TypeError, ValueError, RecursionError) as error:
            raise Rejected(f"{name} holds something JSON cannot: {error}") from error
        try:
            kind.decode(data)  # the log keeps it for long: who reads it must find what was declared
        except msgspec.ValidationError as error:
            raise Rejected(f"{name}: {error}") from error
        return Draft(kind.stream.fill(event), kind.type.name, data, id=id)

    def job_type(self, job: Callable[..., Any] | str) -> str:
        """The type of a job by its handler, or by its name.

        Raises:
            Misdeclared: the handler is no job's.
        """
        if isinstance(job, str):
            return job
        for work in self.jobs:
            if work.door.handler is job:
                return work.door.type
        name = getattr(job, "__name__", str(job))
        raise Misdeclared(f"plugin {self.plugin.name} queues {name}, which is no job", hint="put @plugin.job above it")


def examine(plugin: Plugin) -> Declarations:
    """The checked declarations of `plugin`.

    Raises:
        Misdeclared: what is wrong, and how it would be right.
    """
    kinds = {cls: _kind(cls, door) for cls, door in plugin.events.items()}
    return Declarations(
        plugin,
        kinds,
        _retention(kinds),
        tuple((door, _route(door)) for door in plugin.routes.values()),
        tuple(_consumer(door, kinds) for door in plugin.consumers.values()),
        tuple(_work(door) for door in plugin.jobs.values()),
        {name: (door, _action(door)) for name, door in plugin.actions.items()},
        tuple((door, asked(door.handler, f"service {door.name}")) for door in plugin.services.values()),
        tuple((door, asked(door.handler, f"panel {door.title!r}")) for door in plugin.panels.values()),
    )


def seconds(retention: str) -> float:
    """Raises Misdeclared: no duration as in "36h" or "2d", or none at all."""
    try:
        kept = duration(retention)
    except ValueError as error:
        raise Misdeclared(str(error)) from error
    if kept <= 0:
        raise Misdeclared(f'retention "{retention}" keeps nothing')
    return kept


def _kind(cls: type, door: EventDoor) -> Kind:
    template = StreamTemplate.of(door.stream, cls)
    _refuse_inexpressible(cls)
    known = [field.name for field in fields(cls)]
    if door.about and door.about not in known:
        raise Misdeclared(f"{cls.__name__} has no field {door.about!r}", hint=closest(door.about, known))
    about = template.subject if door.about is None else door.about
    if not door.stored and door.retention:
        raise Misdeclared(f"{cls.__name__} is not stored, so there is nothing to keep for {door.retention}")
    type = EventType(
        cls.__name__,
        door.dotted or derived(cls.__name__).dotted,
        template.category if door.entity is None else door.entity,
        about,
        priority=Priority(door.priority),
        stored=door.stored,
        merge=door.merge,
        shape=tagged(cls),
    )
    return Kind(door, template, type, msgspec.json.Decoder(cls).decode)


def _retention(kinds: Mapping[type, Kind]) -> dict[str, float]:
    retention: dict[str, float] = {}
    for cls, kind in kinds.items():
        if kind.door.retention:
            category, kept = kind.stream.category, seconds(kind.door.retention)
            if retention.setdefault(category, kept) != kept:
                raise Misdeclared(f"{cls.__name__}: category {category} has two retentions")
    return retention


def _route(door: RouteDoor) -> Asked:
    what = f"route {door.method} {door.path}"
    if door.method not in METHODS:
        raise Misdeclared(f"{what}: there is no such method", hint=f"one of {', '.join(sorted(METHODS))}")
    if not _PATH.fullmatch(door.path):
        raise Misdeclared(f"{what} is no path", hint='write it like "/api/v1/orders/{order_id}"')
    _check_scope(door.scope, what)
    holes = _HOLE.findall(door.path)
    if len(set(holes)) < len(holes):
        raise Misdeclared(f"{what} has two parts of one name")
    for type, of in ((door.request, "request"), (door.answer, "answer")):
        _refuse_undocumentable(type, f"{what}: its {of}")
    return asked(door.handler, what, offers={"request"}, parameters=holes, blocking=door.blocking)


def _check_scope(scope: str | None, what: str) -> None:
    if scope is not None and scope not in (scopes := get_args(Scope)):
        raise Misdeclared(f"{what}: there is no scope {scope!r}", hint=closest(scope, scopes))


def _consumer(door: OnDoor, kinds: Mapping[type, Kind]) -> Consumer:
    what = f"on {door.name}"
    if not door.events:
        raise Misdeclared(f"{what} names no event", hint='write @plugin.on(OrderPlaced) or @plugin.on("order.placed")')
    classes: dict[str, Kind] = {}
    for one in door.events:
        if not isinstance(one, str):
            if one not in kinds:
                raise Misdeclared(
                    f"{what}: {one.__name__} is no event of this plugin",
                    hint='put @plugin.event(…) above the class, or name the type as text: @plugin.on("OrderPlaced")',
                )
            if not kinds[one].door.stored:
                raise Misdeclared(f"{what}: {one.__name__} is not stored, so nobody can be told of it later")
            classes[one.__name__] = kinds[one]
    names = frozenset(one if isinstance(one, str) else one.__name__ for one in door.events)
    ask = asked(door.handler, what, offers={"event"}, blocking=door.blocking)
    return Consumer(door, ask, classes, names, _waits(door.retry, what))


def _work(door: JobDoor) -> Work:
    what = f"job {door.type}"
    if not _TYPE.fullmatch(door.type):
        raise Misdeclared(f"{what}: a type is spelled like TitleGeneration")
    _check_scope(door.scope, what)
    if door.timeout <= 0 or door.concurrency < 1:
        raise Misdeclared(f"{what} never runs: its timeout and its concurrency are at least something")
    ask = asked(door.handler, what, offers=JOB_OFFERS, parameters=None, blocking=door.blocking)
    strange: set[str] | frozenset[str]
    if door.process and (strange := ask.offered - PROCESS_OFFERS):
        raise Misdeclared(
            f"{what} runs in a process of its own and cannot have {', '.join(sorted(strange))}",
            hint="it may ask for config, note_id and its arguments, and return what JSON can hold",
        )
    check = None
    if door.check is not None:
        check = asked(door.check, f"the check of {what}", offers={"note_id"}, parameters=None)
        if strange := check.arguments.keys() - ask.arguments.keys():
            raise Misdeclared(f"the check of {what} asks for {', '.join(sorted(strange))}, which the job does not take")
    return Work(door, ask, check, _waits(door.retry, what))


def _action(door: ActionDoor) -> Asked:
    if not _NAME.fullmatch(door.name):
        raise Misdeclared(f"action {door.name!r}: a name is a word of a-z, 0-9 and _, beginning with a letter")
    return asked(door.handler, f"action {door.name}", offers={"event"}, parameters=None)


def _waits(retry: str, what: str) -> tuple[float, ...]:
    try:
        return tuple(duration(word) for word in retry.split())
    except ValueError as error:
        raise Misdeclared(f"{what}: {error}", hint='write the pauses with blanks between: "1s 5s 25s"') from error


def _refuse_inexpressible(event: type) -> None:
    try:
        msgspec.json.schema(event)
    except (TypeError, NameError) as error:
        reason = str(error).splitlines()[-1]
        raise Misdeclared(f"{event.__name__} has a field that JSON cannot hold: {reason}") from error


def _refuse_undocumentable(type: Any, what: str) -> None:
    if type is None:
        return
    try:
        msgspec.json.schema(type)
    except (TypeError, NameError) as error:
        raise Misdeclared(f"{what} is nothing JSON can hold: {str(error).splitlines()[-1]}") from error
