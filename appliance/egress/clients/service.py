"""The connection manager: lets live clients in, keeps them alive, and ends those who may not stay.

One task looks after all of them. It pings whoever is due, gives up the dead, ends those whose token has expired
or was revoked, and yields every few hundred connections, so that ten thousand of them hold nobody up.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import ClassVar

import structlog
import trio

from appliance.egress.clients.roster import Entry, Roster
from appliance.egress.clients.why import leg_of
from appliance.errors import NotFound
from appliance.model.clients import Habits, Watcher
from appliance.model.closecodes import Close
from appliance.model.event import Event
from appliance.model.http import Outlet, Request, Socket
from appliance.model.legs import Leg
from appliance.model.principal import ADMIN, Principal
from appliance.world import World

__all__ = ["Manager"]

log = structlog.get_logger("clients")

LOOK = 2.5  # seconds between looks at who may still be here
TURN = 300  # connections looked at before others have their turn: under a millisecond


class Manager:
    """A supervised service: `model.clients.Clients`.

    Args:
        limit, per_address, per_subject: live connections at once, see `Roster`.
        verdict: why a caller who was let in may not stay; empty: it may.
        watcher: told of everyone who comes and goes.
    """

    name: ClassVar[str] = "clients"

    def __init__(
        self,
        world: World,
        verdict: Callable[[Principal], str],
        *,
        limit: int,
        per_address: int,
        per_subject: int,
        watcher: Watcher | None = None,
    ) -> None:
        self._world = world
        self._verdict = verdict
        self._roster = Roster(limit, per_address=per_address, per_subject=per_subject)
        self._watcher = watcher
        self._reasons: dict[str, str] = {}  # by client: why it was ended, until it has left
        self._received: Counter[str] = Counter()  # messages by transport, of those who have left
        self._changed = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        look = trio.current_time() + LOOK
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(min(look, self._roster.next_due())):
                await self._changed.wait()
            await self._keep_alive()
            if trio.current_time() >= look:
                await self._look()
                look = trio.current_time() + LOOK

    async def drain(self) -> None:
        """Saying goodbye is the front's work: it knows the words of each endpoint."""

    # -- for the endpoints ------------------------------------------------------------------

    def check(self, request: Request) -> None:
        self._roster.check(request.principal, request.peer)

    @contextlib.contextmanager
    def enter(self, request: Request, outlet: Outlet, habits: Habits, socket: Socket | None = None) -> Iterator[Entry]:
        entry = Entry(
            self._world.new_id(),
            request.principal,
            request.peer,
            habits,
            outlet,
            socket,
            connected=self._world.wall_us(),
            joined=trio.current_time(),
        )
        sooner = entry.joined + habits.every < self._roster.next_due()
        self._roster.enter(entry)
        if sooner:
            self._changed.set()
        if self._watcher is not None:
            self._watcher.opened(entry)
        try:
            yield entry
        finally:
            self._roster.leave(entry)
            self._received[habits.transport] += entry.messages
            reason = self._reasons.pop(entry.id, "")
            if self._watcher is not None:
                self._watcher.closed(entry, trio.current_time() - entry.joined, reason)

    # -- for operators ----------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._roster)

    def received(self, transport: str) -> int:
        """Messages that came over one transport since the start. Safe to ask from another thread."""
        return self._received[transport] + sum(
            one.messages for one in self._roster if one.habits.transport == transport
        )

    def rows(self, viewer: Principal) -> list[dict[str, object]]:
        """Who is connected in the viewer's namespace, longest first; the operator sees all."""
        now = trio.current_time()
        return [entry.row(now) for entry in self._roster if _sees(viewer, entry)]

    async def why(self, viewer: Principal, event: Event, handed: int) -> list[Leg]:
        """What became of an event at each client that is here: those of others are an admin's to see.

        Args:
            handed: when it had been offered to all who keep up, in microseconds since 1970; 0: that is not known.
        """
        every = viewer.may(ADMIN)
        legs: list[Leg] = []
        for number, entry in enumerate(self._roster, 1):
            leg = leg_of(entry, event, handed) if every or entry.is_of(viewer) else None
            if leg is not None:
                legs.append(leg)
            if number % TURN == 0:
                await trio.lowlevel.checkpoint()
        return legs

    def close(self, viewer: Principal, id: str, reason: str) -> None:
        """End one connection; its client may come back.

        Raises:
            NotFound: no such connection, or none the viewer sees.
        """
        entry = self._roster.get(id)
        if entry is None or not _sees(viewer, entry):
            raise NotFound(f"there is no client {id}", hint="appliance clients list shows them", client=id)
        self._end(entry, Close.POLICY, reason)

    # -- inside -----------------------------------------------------------------------------

    async def _keep_alive(self) -> None:
        now = trio.current_time()
        for habits, entries in self._roster.due(now):
            beat = habits.beat(now)
            for number, entry in enumerate(entries, 1):
                silent = entry.silent_for(now)
                if silent >= habits.dead:
                    self._end(entry, Close.DEAD_PEER, f"nothing heard for {silent:.0f} s")
                else:
                    with contextlib.suppress(trio.BrokenResourceError):  # its own task hears of it
                        entry.outlet.offer(beat)  # refused: something is on its way, which is a sign of life too
                if number % TURN == 0:
                    await trio.lowlevel.checkpoint()

    async def _look(self) -> None:
        now = trio.current_time()
        for number, entry in enumerate(self._roster, 1):
            reason = "" if entry.principal is None else self._verdict(entry.principal)
            if reason:
                self._end(entry, Close.EXPIRED, reason)
            elif entry.silent_for(now) >= entry.habits.dead:
                self._end(entry, Close.DEAD_PEER, f"nothing heard for {entry.silent_for(now):.0f} s")
            if number % TURN == 0:
                await trio.lowlevel.checkpoint()

    def _end(self, entry: Entry, code: Close, reason: str) -> None:
        log.info("client ended", client=entry.id, address=entry.address, code=int(code), reason=reason)
        self._reasons[entry.id] = code.name.lower()
        self._roster.leave(entry)
        entry.outlet.end(code, reason)


def _sees(viewer: Principal, entry: Entry) -> bool:
    if viewer.operator:
        return True
    return entry.principal is not None and entry.principal.namespace == viewer.namespace
