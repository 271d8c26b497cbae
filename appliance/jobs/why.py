"""The jobs that an event is the reason of, and what became of them."""

from __future__ import annotations

from collections.abc import Callable

from appliance.auth.rights import memories_for
from appliance.clock import stamp
from appliance.jobs.job import Job
from appliance.jobs.store import Search, Store
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.legs import Leg, Outcome, Why, since_accepted
from appliance.model.principal import Principal

__all__ = ["jobs_why"]

MOST = 100

_OUTCOMES: dict[str, Outcome] = {"completed": "done", "pending": "waiting", "running": "waiting"}


def jobs_why(store: Store, catalog: Catalog, offered: Callable[[str], bool]) -> Why:
    """The jobs' part of the answer: those in the memories the caller sees, and in that of the event.

    Args:
        offered: whether somebody does work of a type now.
    """

    async def why(who: Principal, event: Event) -> list[Leg]:
        found = await store.page(Search(event.namespace, where=(("cause", event.id),)), limit=MOST)
        seen, own = memories_for(who, None), catalog.view(event).memory
        shown = [job for job in found if seen is None or job.memory in (*seen, own)]
        return [_leg(job, event, offered(job.type)) for job in reversed(shown)]

    return why


def _leg(job: Job, event: Event, offered: bool) -> Leg:
    at = job.completed or job.started
    return Leg(
        "job",
        job.type,
        _OUTCOMES.get(job.status, "failed"),
        _sentence(job, offered),
        stamp(at) if at else "",
        since_accepted(event, at) if at else None,
        job.id,
    )


def _sentence(job: Job, offered: bool) -> str:
    tried = f"attempt {job.retries + 1} of {job.max_retries + 1}"
    match job.status:
        case "completed":
            return f"{tried}, {job.attempts[-1].duration_ms} ms"
        case "running":
            return f"{tried} runs, {job.percent} %"
        case "pending" if not offered:
            return "nobody does this now: its plugin is not running"
        case "pending":
            last = f"{job.code}, " if job.code else ""
            return f"{last}{tried} not before {stamp(job.due)}"
        case "cancelled":
            return "cancelled by a person"
        case _:
            return f"{job.code}, {tried}"
