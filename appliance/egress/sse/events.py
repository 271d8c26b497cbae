"""GET /api/v1/events: the eventing streams as server-sent events.

    /api/v1/events?events=NoteUpdated,JobCompleted        names as they are written
    /api/v1/events?types=note,job.completed               dotted names and their front parts
    Last-Event-ID: 7                                      what comes after 7, then what is new

Both parameters take both spellings; which one is used, or `dialect=pascal|fortemi`, decides how events are named. A
client that names no place gets only what comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

from appliance.bus import Bus
from appliance.egress.filters import BadFilter, Memories, asked, topic_for
from appliance.egress.since import Find, Passing, Start, begin_after, last_seen, nothing_goes_on
from appliance.egress.sse.events_blocks import KEEP_ALIVE, Blocks, farewell
from appliance.errors import LimitReached, Unavailable
from appliance.model.catalog import Catalog
from appliance.model.clients import Clients, Habits
from appliance.model.frames import chunk
from appliance.model.http import Exchange, Lane, Request, Response, Route, Stream, json_response
from appliance.model.principal import READ
from appliance.model.topic import Topic

__all__ = ["EventStream"]

DIALECTS = {"pascal": "pascal", "fortemi": "dotted", "dotted": "dotted"}  # what a client says: how events are named

_HEADERS = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


class EventStream:
    """The endpoint, and what it counts.

    Args:
        clients: looks after whoever has come in.
        memories: what of a namespace a caller may see.
        find: a stored event by its id; `newest` global position of a namespace.
        names: "pascal" or "dotted", for clients that do not say.
        passing: what goes on, told to those who resume.
        coalesce: seconds in which progress and status are merged; 0: never.
        heartbeat: seconds between two comments.
    """

    def __init__(
        self,
        bus: Bus,
        catalog: Catalog,
        clients: Clients,
        memories: Memories,
        find: Find,
        newest: Callable[[int], int],
        *,
        passing: Passing = nothing_goes_on,
        names: str,
        coalesce: float,
        heartbeat: float,
    ) -> None:
        self._bus = bus
        self._catalog = catalog
        self._clients = clients
        self._memories = memories
        self._find = find
        self._newest = newest
        self._passing = passing
        self._names = names
        self._dialects = {names: Blocks(catalog, names, coalesce) for names in ("pascal", "dotted")}
        beat = chunk(KEEP_ALIVE)
        self._habits = Habits("events", "sse", heartbeat, math.inf, lambda now: beat)
        self._came = self._left = self._resumed = 0

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "GET",
                "/api/v1/events",
                self.handle,
                "Events as server-sent events, from the last one seen on",
                scope=READ,
                lane=Lane.FAST,
                tags=("events",),
            ),
            Route(
                "GET",
                "/api/v1/health/streaming",
                self._health,
                "Nine counts of the event streams since the start",
                lane=Lane.FAST,
                tags=("operations",),
            ),
        )

    async def handle(self, request: Request) -> Stream:
        """Raises BadFilter, Forbidden, LimitReached."""
        principal = request.principal
        assert principal is not None  # the route has a scope
        wish, dialect = asked(request, self._catalog), self._dialect(request)
        seen = self._memories(principal, wish.memory)
        topic = topic_for(self._catalog, principal.namespace.key, wish, seen)
        self._clients.check(request)
        last = last_seen(request.headers, request.query)
        start = await begin_after(last, topic.namespace, self._find, self._newest)
        run = partial(self._serve, request, topic, dialect, wish.names, start, last)
        return Stream(run, headers=_HEADERS, farewell=farewell)

    def counts(self) -> Mapping[str, int]:
        """Since the start; `active_connections` now."""
        dialects = self._dialects.values()
        return {
            "connections_total": self._came,
            "disconnections_total": self._left,
            "active_connections": self._came - self._left,
            "events_emitted": self._bus.emitted,
            "events_delivered": self._bus.delivered,
            "events_coalesced": self._bus.coalesced,
            "events_lagged": sum(dialect.lags for dialect in dialects),
            "replays_success": self._resumed,
            "replays_expired": sum(dialect.gaps for dialect in dialects),
        }

    def _health(self, request: Request) -> Response:
        return json_response(self.counts(), headers=(("cache-control", "no-store"),))

    def _dialect(self, request: Request) -> Blocks:
        query = request.query
        said = query.get("dialect")
        if said is not None and said not in DIALECTS:
            raise BadFilter("there is no such dialect", hint=f"one of {', '.join(DIALECTS)}")
        if said is not None:
            return self._dialects[DIALECTS[said]]
        if "events" in query or "types" in query:
            return self._dialects["pascal" if "events" in query else "dotted"]
        return self._dialects[self._names]

    async def _serve(
        self,
        request: Request,
        topic: Topic,
        dialect: Blocks,
        names: tuple[str, ...],
        start: Start,
        last: str,
        exchange: Exchange,
    ) -> None:
        """One client. Thousands wait in here: one frame each, and nothing kept that only the beginning needs."""
        self._came += 1
        try:
            with self._clients.enter(request, exchange.outlet, self._habits) as client:
                client.topics = names
                self._resumed += start.since is not None
                subscription = await self._bus.follow(
                    topic, dialect, exchange.outlet, start.since, greeting=partial(_greeting, dialect, start, last)
                )
                client.readings = (subscription,)
                if start.since is not None:
                    self._tell_what_goes_on(topic, dialect, exchange)
                try:
                    await exchange.closed()
                finally:
                    subscription.leave()
        except (LimitReached, Unavailable) as error:  # the head is out: this can only be said in the stream
            await exchange.write(farewell(error.retry_after * 1000, error.message))
        finally:
            self._left += 1

    def _tell_what_goes_on(self, topic: Topic, dialect: Blocks, exchange: Exchange) -> None:
        """The past has no progress in it; whoever missed some is told where it stands."""
        for event in self._passing(topic.namespace):
            if topic.matches(event):
                exchange.outlet.offer(dialect.join([dialect.encode(event)]))


def _greeting(dialect: Blocks, start: Start, last: str, seq: int) -> bytes:
    place = seq if start.since is None else start.since - 1
    return chunk(dialect.connected(seq, place) + (dialect.resync(start.lost, last) if start.lost else b""))
