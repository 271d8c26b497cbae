"""Flies the canary: every so often one event is written, and awaited at the end of each leg.

    append ─→ bus ─→ a WebSocket and an event stream of our own, over the real port ─→ a webhook to ourselves

It lives in a namespace of its own, so that nobody who listens to everything of theirs ever meets it, and its events are
kept for an hour. The readers come and go with each run, with a token that nobody else ever sees: so it is also noticed
when connecting itself is what fails.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import structlog
import trio

from appliance.clock import stamp
from appliance.errors import ApplianceError
from appliance.model.event import Draft
from appliance.model.http import Lane, Request, Response, Route, json_response
from appliance.model.principal import READ, WRITE
from appliance.telemetry.canary.ledger import CanaryJson, Ledger
from appliance.telemetry.canary.readers import DIALECTS, arrival
from appliance.world import World

__all__ = ["CATEGORY", "NAMESPACE", "RETENTION", "TYPE", "Cage", "Canary", "Way"]

log = structlog.get_logger("canary")

NAMESPACE = "appliance-canary"
CATEGORY = "appliance:canary"  # no name that anybody would give to streams of their own
TYPE = "CanaryFlown"
RETENTION = 3600.0  # seconds
FIRST = 10.0  # seconds until the first run: the start is over by then
PATIENCE = 5.0  # seconds for a whole run
PATH = "/api/v1/canary"

_TROUBLE = (ApplianceError, OSError, trio.BrokenResourceError, trio.TooSlowError)


@dataclass(frozen=True, slots=True)
class Way:
    """How a run reaches the appliance from outside."""

    host: str  # as requests name it
    token: str  # good for this run


class Cage(Protocol):
    """What the canary needs of the house."""

    def open(self) -> AbstractAsyncContextManager[Way]:
        """The namespace, made if it is not there, and a token for it until the block ends."""
        ...

    async def append(self, draft: Draft) -> None:
        """Write into that namespace; returns when it is acknowledged."""
        ...

    async def flushed(self) -> None:
        """Wait until what was written is offered to all readers that keep up."""
        ...

    async def connect(self) -> trio.abc.Stream:
        """A connection to our own port."""
        ...

    async def post(self, path: str, token: str, body: bytes) -> str:
        """Send as webhooks are sent, to ourselves. Returns why it failed; empty: it arrived."""
        ...


@dataclass(slots=True)
class _Run:
    """One flight."""

    id: str  # of its event
    began: float = 0.0
    times: dict[str, float] = field(default_factory=dict)  # seconds, by leg
    trouble: str = ""  # the first there was

    def arrived(self, leg: str) -> None:
        self.times.setdefault(leg, trio.current_time() - self.began)

    def failed(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        what = error.code if isinstance(error, ApplianceError) else type(error).__name__
        self.trouble = self.trouble or what


class Canary:
    """A supervised service.

    Args:
        every: seconds between two runs; None: it does not fly.
    """

    name: ClassVar[str] = "canary"

    def __init__(self, cage: Cage, world: World, *, every: float | None) -> None:
        self._cage = cage
        self._world = world
        self._every = every
        self._flown: int | None = None  # microseconds since 1970
        self._trouble = ""
        self._awaited: dict[str, _Run] = {}  # by the id of the event whose webhook is on its way
        self.ledger = Ledger()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        if self._every is None:
            await trio.sleep_forever()
            return
        await trio.sleep(min(FIRST, self._every))
        while True:
            next_run = trio.current_time() + self._every
            await self.fly()
            await trio.sleep_until(next_run)

    async def drain(self) -> None:
        """A run that is cut short counts for nothing."""

    @property
    def state(self) -> str:
        """One word; see `CanaryJson`."""
        return "off" if self._every is None else self.ledger.state

    def routes(self) -> tuple[Route, ...]:
        tags = ("operations",)
        return (
            Route(
                "GET", PATH, self._show, "How long a test event took on each leg", READ, answer=CanaryJson, tags=tags
            ),
            Route(
                "POST",
                PATH + "/{event_id}",
                self._take,
                "Where the canary's own webhook arrives",
                scope=WRITE,
                lane=Lane.FAST,
                tags=tags,
            ),
        )

    async def fly(self) -> None:
        """One run. A leg the event does not arrive on is entered as a miss, and told once until all is well again."""
        run = _Run(self._world.new_id())
        try:
            with trio.fail_after(PATIENCE):
                async with self._cage.open() as way:
                    await self._travel(run, way)
        except* _TROUBLE as group:
            run.failed(group)
        self._flown = self._world.wall_us()
        if run.trouble and not self._trouble:
            log.warning("canary did not come back", reason=run.trouble, arrived=sorted(run.times))
        elif self._trouble and not run.trouble:
            log.info("canary is back")
        self._trouble = run.trouble
        self.ledger.enter(run.times)

    # -- inside -------------------------------------------------------------------------------

    async def _travel(self, run: _Run, way: Way) -> None:
        async with trio.open_nursery() as nursery:
            standing = {leg: trio.Event() for leg in DIALECTS}
            for leg, ready in standing.items():
                nursery.start_soon(self._read, run, way, leg, ready)
            for ready in standing.values():
                await ready.wait()
            run.began = trio.current_time()
            await self._cage.append(Draft(f"{CATEGORY}-{run.id}", TYPE, "{}", id=run.id))
            run.arrived("append")
            nursery.start_soon(self._deliver, run, way)
            await self._cage.flushed()
            run.arrived("bus")

    async def _read(self, run: _Run, way: Way, leg: str, ready: trio.Event) -> None:
        try:
            async with await self._cage.connect() as stream:
                await arrival(stream, leg, host=way.host, token=way.token, types=TYPE, id=run.id, ready=ready)
                run.arrived(leg)
                await trio.aclose_forcefully(stream)
        except _TROUBLE as error:
            run.failed(error)
        finally:
            ready.set()  # the others fly without it

    async def _deliver(self, run: _Run, way: Way) -> None:
        self._awaited[run.id] = run
        try:
            if trouble := await self._cage.post(f"{PATH}/{run.id}", way.token, b"{}"):
                run.trouble = run.trouble or trouble
        finally:
            del self._awaited[run.id]

    def _show(self, request: Request) -> Response:
        told = CanaryJson(
            state=self.state,
            every_s=self._every,
            flown_at=None if self._flown is None else stamp(self._flown),
            trouble=self._trouble,
            legs=self.ledger.rows(),
        )
        return json_response(told, headers=(("cache-control", "no-store"),))

    def _take(self, request: Request) -> Response:
        if run := self._awaited.get(request.params["event_id"]):
            run.arrived("webhook")
        return Response(204)
