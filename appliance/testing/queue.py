"""A queue of jobs in memory: they run when the test says so, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import trio

from appliance.errors import Rejected
from appliance.model.event import Draft, Event, Unit
from appliance.model.jobs import JobOrder, JobType, Planned, snake
from appliance.testing.memory_log import MemoryLog
from appliance.world import World

__all__ = ["Queue", "Queued"]


@dataclass(slots=True)
class Queued:
    """One job."""

    id: str
    order: JobOrder
    type: JobType
    number: int  # in the order of queuing
    due: float  # in the loop's time
    attempt: int = 0


@dataclass(slots=True)
class _Run:
    """One attempt: `model.jobs.JobRun`."""

    id: str
    type: str
    namespace: int
    memory: str
    note_id: str
    arguments: Mapping[str, Any]
    attempt: int
    cause: str
    told: list[tuple[int, str]] = field(default_factory=list)

    async def progress(self, percent: int, message: str = "") -> None:
        self.told.append((percent, message))
        await trio.lowlevel.checkpoint()


class Queue:
    """`model.jobs.Jobs`."""

    def __init__(self, log: MemoryLog, world: World) -> None:
        self.waiting: list[Queued] = []
        self.progress: list[tuple[str, int, str]] = []  # (job, percent, message)
        self._log = log
        self._world = world
        self._types: dict[str, JobType] = {}
        self._planned: dict[str, Queued] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._numbers = itertools.count()

    @property
    def names(self) -> list[str]:
        """Types of jobs that are offered."""
        return sorted(self._types)

    def register(self, type: JobType) -> None:
        """Offer work."""
        self._types[type.name] = type

    def forget(self, owner: str) -> None:
        """Offer nothing of this owner's any more."""
        self._types = {name: type for name, type in self._types.items() if type.owner != owner}

    async def plan(self, order: JobOrder) -> Planned:
        """See `model.jobs.Jobs.plan`."""
        type = next((one for one in self._types.values() if order.type in (one.name, snake(one.name))), None)
        if type is None:
            raise Rejected(f"there is no type of job {order.type!r}")
        if type.check is not None:
            await type.check(order)
        known = self._keys.get((type.name, order.key)) if order.key else None
        if known is not None:
            return Planned(known)
        id = self._world.new_id()
        if order.key:
            self._keys[type.name, order.key] = id
        order = replace(order, arguments=msgspec.json.decode(msgspec.json.encode(order.arguments)))
        self._planned[id] = Queued(id, order, type, next(self._numbers), trio.current_time() + order.delay)
        return Planned(id, drafts=(self._draft(self._planned[id], "JobQueued"),))

    def ring(self, events: Sequence[Event]) -> None:
        """Events were written: jobs among them are in the queue now."""
        for event in events:
            if event.type == "JobQueued":
                job = self._planned.pop(event.stream.partition("-")[2], None)
                if job is not None:
                    self.waiting.append(job)

    async def run_all(self) -> list[Any]:
        """Run everything, the most urgent first, until nothing waits. What fails for good is raised."""
        results = []
        while self.waiting:
            job = min(self.waiting, key=lambda one: (one.due, -_priority(one), one.number))
            await trio.sleep_until(max(job.due, trio.current_time()))
            self.waiting.remove(job)
            results += await self._attempt(job)
        return results

    async def _attempt(self, job: Queued) -> list[Any]:
        job.attempt += 1
        order = job.order
        run = _Run(
            job.id,
            job.type.name,
            order.namespace,
            order.memory,
            order.note_id,
            order.arguments,
            job.attempt,
            order.cause,
        )
        await self._say(job, "JobStarted")
        try:
            with trio.fail_after(job.type.timeout):
                result = await job.type.run(run)
        except Exception:
            if job.attempt > len(job.type.waits):
                await self._say(job, "JobFailed", error="failed")
                raise
            job.due = trio.current_time() + job.type.waits[job.attempt - 1]
            self.waiting.append(job)
            return []
        finally:
            self.progress += [(job.id, *told) for told in run.told]
        await self._say(job, "JobCompleted", **({} if result is None else {"result": result}))
        return [result]

    async def _say(self, job: Queued, type: str, **members: Any) -> None:
        await self._log.submit(Unit(job.order.namespace, (self._draft(job, type, **members),)))

    def _draft(self, job: Queued, type: str, **members: Any) -> Draft:
        said = {"job_id": job.id, "job_type": job.type.name, **members}
        if job.order.note_id:
            said["note_id"] = job.order.note_id
        labels = {"memory": job.order.memory, "causationId": job.order.cause, "actor": {"kind": "system"}}
        kept = {name: value for name, value in labels.items() if value}
        return Draft(f"job-{job.id}", type, msgspec.json.encode(said).decode(), msgspec.json.encode(kept).decode())


def _priority(job: Queued) -> int:
    return job.type.priority if job.order.priority is None else job.order.priority
