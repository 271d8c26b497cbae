"""One event for one consumer: whether it is one for it, its tries, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
import trio

from appliance.api import Event as Shown
from appliance.api import Misdeclared, Rejected, Unavailable
from appliance.clock import stamp
from appliance.conditions import Condition, EvaluationError, compile, facts_of
from appliance.model.event import Event, Namespace
from appliance.model.legs import Leg, Outcome
from appliance.model.letters import Letter
from appliance.plugins.border import Crash, contained
from appliance.plugins.cause import Cause
from appliance.plugins.context import PluginContext
from appliance.plugins.declared import Consumer
from appliance.plugins.desk import Desk
from appliance.plugins.encoding import viewed
from appliance.plugins.workers import again_on_conflict
from appliance.supervise.tree import first_cause

__all__ = ["KIND", "Handling", "Result"]

log = structlog.get_logger("plugins")

KIND = "plugin"  # of its dead letters
TIMEOUT = 300.0  # seconds of one try
REMEMBERED = 1000  # results, for whoever asks what became of an event


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one event."""

    outcome: Outcome
    detail: str
    at: int  # microseconds since 1970


class Handling:
    """One consumer's.

    Args:
        failed: is told of a try that went wrong, and of whose.

    Raises:
        Misdeclared: its condition is none.
    """

    def __init__(self, consumer: Consumer, desk: Desk[Any], failed: Callable[[str, Exception], None]) -> None:
        self.consumer = consumer
        self.source = f"{desk.name}: {consumer.door.name}"
        self.tally: Counter[str] = Counter()  # outcomes since it began
        self._desk = desk
        self._failed = failed
        self._condition = _compiled(consumer)
        self._wanted: dict[str, bool] = {}
        self._results: dict[str, Result] = {}  # by event

    def wants(self, type: str) -> bool:
        """Whether events of this type are for it, its condition aside."""
        known = self._wanted.get(type)
        if known is None:
            if len(self._wanted) >= REMEMBERED:
                self._wanted.clear()  # names of types come from outside
            meant = self._desk.ports.catalog.of(type)
            known = not self.consumer.names.isdisjoint((type, meant.name, meant.dotted))
            self._wanted[type] = known
        return known

    async def handle(self, space: Namespace, event: Event, turns: trio.CapacityLimiter) -> None:
        """All tries, and the dead letter if none went well."""
        why_not = self._why_not(event)
        if why_not:
            self._note(event, "skipped", why_not)
            return
        for tried, wait in enumerate((*self.consumer.waits, None), 1):
            error = await self._try(space, event, turns)
            if error is None:
                self._note(event, "done", "" if tried == 1 else f"at the {tried}th try")
                return
            self._failed(self.consumer.ask.what, error)
            if wait is None or isinstance(error, _Unreadable):
                await self._give_up(space, event, error, tried)
                return
            self._note(event, "waiting", f"{Crash.of(error).reason}; next try in {wait:g} s")
            await trio.sleep(wait)

    def leg(self, event: Event, *, in_hand: bool) -> Leg | None:
        """What became of an event; None: events of its type are not for it."""
        if not self.wants(event.type):
            return None
        result = self._results.get(event.id)
        if result is None and (why_not := self._why_not(event)):
            return Leg("plugin", self.source, "skipped", why_not)
        if result is None:
            return Leg("plugin", self.source, "waiting" if in_hand else "done")
        return Leg(
            "plugin",
            self.source,
            result.outcome,
            result.detail,
            stamp(result.at),
            round((result.at - event.time) / 1000, 3),
        )

    # -- inside -----------------------------------------------------------------------------

    def _why_not(self, event: Event) -> str:
        """Why the condition does not hold; empty: it does."""
        if self._condition is None:
            return ""
        facts = facts_of(event, self._desk.ports.catalog.view(event))
        try:
            holds = self._condition.holds(facts)
        except EvaluationError as error:
            self.tally["condition errors"] += 1
            return error.message
        return "" if holds else self._condition.explain(facts)

    async def _try(self, space: Namespace, event: Event, turns: trio.CapacityLimiter) -> Exception | None:
        """One try; while the log takes no writes, as many as it needs."""
        while True:
            try:
                async with turns:
                    await self._call(space, event)
            except Unavailable as trouble:
                self._note(event, "waiting", trouble.message)
                await trio.sleep(trouble.retry_after)
            except Exception as error:
                log.warning("consumer failed", consumer=self.source, event_id=event.id, exc_info=error)
                return first_cause(error)
            else:
                return None

    async def _call(self, space: Namespace, event: Event) -> None:
        desk, consumer = self._desk, self.consumer
        view = desk.ports.catalog.view(event)
        shown: Shown[Any] = Shown(
            event.id,
            event.type,
            event.stream,
            event.position,
            event.global_position,
            stamp(event.time),
            self._data(event),
            view.memory,
            view.correlation,
            view.causation,
            view.actor,
        )
        context = PluginContext(desk, Cause.of_event(space, event, view))
        offers = context.offers(event=shown)
        aside = desk.threads if consumer.door.blocking else None
        with trio.move_on_after(TIMEOUT) as limit:
            await again_on_conflict(desk, lambda: contained(consumer.ask, offers, aside=aside))
        if limit.cancelled_caught:
            raise TimeoutError(f"{consumer.ask.what} took longer than {TIMEOUT:g} s")

    def _data(self, event: Event) -> Any:
        kind = self.consumer.classes.get(event.type)
        try:
            return viewed(msgspec.json.decode(event.data)) if kind is None else kind.decode(event.data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _Unreadable(f"this is no {event.type}: {error}") from error

    async def _give_up(self, space: Namespace, event: Event, error: Exception, tries: int) -> None:
        crash, world = Crash.of(error), self._desk.ports.world
        letter = Letter(
            id=world.new_id(),
            kind=KIND,
            source=self.source,
            event=event.id,
            type=event.type,
            position=event.global_position,
            reason=getattr(error, "code", type(error).__name__),
            at=world.wall_us(),
            attempts=tries,
            detail=crash.traceback,
        )
        log.error("event given up", consumer=self.source, event_id=event.id, tries=tries, reason=letter.reason)
        while True:
            try:
                await self._desk.ports.shelf.put(space.key, letter)
                break
            except Unavailable as trouble:
                await trio.sleep(trouble.retry_after)
        self._note(event, "failed", f"{crash.reason}; dead letter {letter.id}")

    def _note(self, event: Event, outcome: Outcome, detail: str) -> None:
        self.tally[outcome] += 1
        self._results.pop(event.id, None)
        self._results[event.id] = Result(outcome, detail, self._desk.ports.world.wall_us())
        if len(self._results) > REMEMBERED:
            del self._results[next(iter(self._results))]


class _Unreadable(Rejected):
    """The event's data is not what was declared: trying again would change nothing."""


def _compiled(consumer: Consumer) -> Condition | None:
    if not consumer.door.when:
        return None
    try:
        return compile(consumer.door.when)
    except Rejected as error:
        raise Misdeclared(f"{consumer.ask.what}: its condition: {error.message}", hint=error.hint) from error
