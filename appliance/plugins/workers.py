"""Jobs of a plugin, as the queue runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from appliance.api import Conflict, Unavailable
from appliance.model.event import Namespace
from appliance.model.jobs import JobOrder, JobRun, JobType
from appliance.model.tracing import label_of
from appliance.plugins.border import contained
from appliance.plugins.cause import Cause
from appliance.plugins.context import PluginContext
from appliance.plugins.declared import Work
from appliance.plugins.desk import Desk
from appliance.plugins.process import in_process

__all__ = ["again_on_conflict", "job_type"]

TRIES = 20  # of a handler that met a conflict, before it counts as an error
PAUSE = 0.05  # seconds between them, at most, times the number of the try


def job_type(work: Work, desk: Desk[Any], failed: Callable[[str, Exception], None]) -> JobType:
    """What the queue is offered.

    Args:
        failed: is told of an attempt that went wrong, and of which job.
    """
    door = work.door

    async def run(run: JobRun) -> Any:
        try:
            context = PluginContext(desk, await _cause(desk, run))
            given = dict(run.arguments)
            work.ask.check(given)
            if door.process:
                wanted = {"note_id": run.note_id} if "note_id" in work.ask.offered else {}
                return await in_process(desk, door.type, given | wanted)
            offers = context.offers(job=run, note_id=run.note_id)
            aside = desk.threads if door.blocking else None
            return await again_on_conflict(desk, lambda: contained(work.ask, offers, given, aside=aside))
        except Exception as error:
            failed(work.ask.what, error)
            raise

    async def check(order: JobOrder) -> None:
        work.ask.check(order.arguments)
        if work.check is not None:
            context = PluginContext(desk, Cause(_space(desk, order.namespace), order.memory))
            given = {name: order.arguments[name] for name in work.check.arguments if name in order.arguments}
            await contained(work.check, context.offers(note_id=order.note_id), given)

    return JobType(
        door.type, desk.name, run, check, door.priority, work.waits, door.timeout, door.concurrency, door.scope
    )


async def again_on_conflict(desk: Desk[Any], call: Callable[[], Any]) -> Any:
    """What `call` gives; while what it read changes under its hands, it is called again."""
    for tried in range(1, TRIES):
        try:
            return await call()
        except Conflict:
            await trio.sleep(desk.ports.world.rng.uniform(0, PAUSE * tried))
    return await call()


async def _cause(desk: Desk[Any], run: JobRun) -> Cause:
    """On whose behalf a job runs: that of the event it was asked for by."""
    space = _space(desk, run.namespace)
    event = await desk.ports.log.find(run.namespace, run.cause) if run.cause else None
    if event is None:
        return Cause(space, run.memory, fingerprint=run.id.encode())
    view = desk.ports.catalog.view(event)
    correlation, trace = view.correlation or event.id, label_of(event.metadata)
    return Cause(space, run.memory, view.actor, correlation, event.id, trace, run.id.encode())


def _space(desk: Desk[Any], key: int) -> Namespace:
    for space in desk.ports.spaces():
        if space.key == key:
            return space
    raise Unavailable("the namespace does not exist any more")
