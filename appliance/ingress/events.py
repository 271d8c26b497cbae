"""/api/v1/events: events in by REST, and what became of one.

    POST /api/v1/events             one event or an array of up to 1,000, written together or not at all
    GET  /api/v1/events/ID          the event in its envelope
    GET  /api/v1/events/ID/trace    when it was accepted, what it belongs to, and where it went
    GET  /api/v1/events/ID/why      the same, and where it did not go, and why not

A type that is not stored (`JobProgress`, `QueueStatus`) is told to whoever listens, and answered with 202.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from appliance.auth.rights import memories_for
from appliance.errors import NotFound
from appliance.ids import canonical_uuid
from appliance.ingress.door import Door
from appliance.ingress.passages import Passage
from appliance.ingress.trace import Trace, TraceLog, traced
from appliance.ingress.wanted import wanted
from appliance.ingress.why import all_legs, happened
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event
from appliance.model.http import Lane, Request, Response, Route, json_response
from appliance.model.legs import Why
from appliance.model.principal import READ, WRITE, Principal
from appliance.world import World

__all__ = ["Accepted", "Events", "EventsLog"]

PATH = "/api/v1/events"

Find = Callable[[int, str], Awaitable[Event | None]]  # a namespace's stored event by its id


class EventsLog(TraceLog, Protocol):
    """What this room needs of the log."""

    def head_position(self, namespace: int) -> int: ...


class Accepted(msgspec.Struct, omit_defaults=True):
    """The receipt of one event."""

    id: str
    type: str
    stream: str
    seq: int  # global position; of an ephemeral event that of the newest stored one
    position: int | None = None  # in its stream; None: stored nowhere
    ephemeral: bool = False


class Batch(msgspec.Struct):
    events: list[Accepted]


class Events:
    """The routes.

    Args:
        find: a stored event by its id.
        announce: shows an ephemeral event to those who listen.
        render: an event's envelope.
        whys: what each room knows of an event's way.
        passage: when it went over the bus.
    """

    def __init__(
        self,
        door: Door,
        catalog: Catalog,
        log: EventsLog,
        world: World,
        *,
        find: Find,
        announce: Callable[[Event], None],
        render: Callable[[Event], str],
        whys: Sequence[Why],
        passage: Callable[[Event], Passage | None],
    ) -> None:
        self._door = door
        self._catalog = catalog
        self._log = log
        self._world = world
        self._find = find
        self._announce = announce
        self._render = render
        self._whys = whys
        self._passage = passage

    def routes(self) -> tuple[Route, ...]:
        tags = ("events",)
        return (
            Route(
                "POST",
                PATH,
                self.post,
                "Write one event or an array of them",
                scope=WRITE,
                lane=Lane.FAST,
                answer=Accepted,
                tags=tags,
            ),
            Route("GET", f"{PATH}/{{event_id}}", self.show, "One event in its envelope", scope=READ, tags=tags),
            Route(
                "GET",
                f"{PATH}/{{event_id}}/trace",
                self.trace,
                "The way of an event: its chain, and where it went",
                scope=READ,
                answer=Trace,
                tags=tags,
            ),
            Route(
                "GET",
                f"{PATH}/{{event_id}}/why",
                self.why,
                "The way of an event, where it did not go, and why not",
                scope=READ,
                answer=Trace,
                tags=tags,
            ),
        )

    async def post(self, request: Request) -> Response:
        """Raises what `wanted` and `Door.write` raise; nothing is written or told then."""
        who = _caller(request)
        entries, many = wanted(self._catalog, who, request.body)
        passing = [self._door.checked(one.draft) for one in entries if not one.type.stored]
        lasting = [one.draft for one in entries if one.type.stored]
        stored: Sequence[Event] = ()
        if lasting:
            key = request.headers.get("idempotency-key", "")
            fingerprint = hashlib.sha256(request.body).digest() if key else b""
            stored = await self._door.write(who, lasting, key=key, fingerprint=fingerprint)
        written, told = iter(stored), iter([self._told(who, draft) for draft in passing])
        rows = [_accepted(next(written if one.type.stored else told)) for one in entries]
        return json_response(Batch(rows) if many else rows[0], 201 if lasting else 202)

    async def show(self, request: Request) -> Response:
        """Raises NotFound."""
        return Response(200, self._render(await self._visible(request)).encode())

    async def trace(self, request: Request) -> Response:
        """Raises NotFound."""
        return await self._way(request, whole=False)

    async def why(self, request: Request) -> Response:
        """Raises NotFound."""
        return await self._way(request, whole=True)

    async def _way(self, request: Request, *, whole: bool) -> Response:
        who, event = _caller(request), await self._visible(request)
        seen = memories_for(who, request.memory)

        async def find(id: str) -> Event | None:
            return await self._find(event.namespace, id)

        legs = await all_legs(self._whys, who, event)
        shown = legs if whole else happened(legs)
        found = await traced(event, self._catalog, self._log, find, seen, shown, self._passage(event))
        return json_response(found, headers=(("cache-control", "no-store"),))

    def _told(self, who: Principal, draft: Draft) -> Event:
        space = who.namespace.key
        event = Event(
            namespace=space,
            stream=draft.stream,
            type=draft.type,
            position=-1,
            global_position=self._log.head_position(space),
            id=draft.id or self._world.new_id(),
            data=draft.data,
            metadata=draft.metadata,
            time=self._world.wall_us(),
        )
        self._announce(event)
        return event

    async def _visible(self, request: Request) -> Event:
        """The event of the path, if the caller may know of it; else it is as if there were none."""
        who, text = _caller(request), request.params["event_id"]
        seen = memories_for(who, request.memory)
        try:
            event = await self._find(who.namespace.key, canonical_uuid(text))
        except ValueError:
            event = None
        if event is None or (seen is not None and self._catalog.view(event).memory not in seen):
            raise NotFound("there is no such event", hint="the event_id of a message names it")
        return event


def _caller(request: Request) -> Principal:
    assert request.principal is not None  # the routes have a scope
    return request.principal


def _accepted(event: Event) -> Accepted:
    position = None if event.ephemeral else event.position
    return Accepted(event.id, event.type, event.stream, event.global_position, position, event.ephemeral)
