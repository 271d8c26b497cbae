"""Carries the steps of a job out: its row and the event that tells of it are one unit, written or not.

The queue in memory knows what is on disk. When the stream of a job is not where it should be, the row says whose turn
it is: if it is as it was, somebody else has written into the stream, and the step is made behind that; if not, the job
was taken away, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from appliance.errors import Conflict, VersionConflict
from appliance.jobs.job import Job
from appliance.jobs.queue import Entry
from appliance.jobs.store import Store
from appliance.jobs.telling import keep
from appliance.model.event import Draft, Event
from appliance.model.ports import Pending
from appliance.model.state import StateChange

__all__ = ["Made", "Step", "TakenAway", "Transitions", "Write"]

TRIES = 20  # behind somebody who writes into the stream of a job all the time

# Begin to write drafts and changes into a namespace, by its key, together or not at all. Raises NotFound: it is gone.
Write = Callable[[int, Sequence[Draft], Sequence[StateChange]], Pending[Sequence[Event]]]


class TakenAway(Conflict):
    """The job is in other hands: this worker, or this person, comes too late."""

    code = "job_taken_away"


@dataclass(frozen=True, slots=True)
class Made:
    """What a step makes of a job."""

    job: Job
    drafts: tuple[Draft, ...] = ()
    changes: tuple[StateChange, ...] = ()  # beside its row


Step = Callable[[Job], Made]


class Transitions:
    """Writes steps."""

    def __init__(self, write: Write, store: Store) -> None:
        self._write = write
        self._store = store

    async def make(self, entry: Entry, step: Step) -> Job:
        """Returns when it is on disk; `entry` has the job as it is then. The write begins before anything is awaited.

        Raises:
            TakenAway: the job is not any more what `entry` says.
            NotFound: the namespace is gone.
            Unavailable, LimitReached: nothing was written.
        """
        for _ in range(TRIES):
            made = step(entry.job)
            changes = (keep(entry.namespace, made.job), *made.changes)
            try:
                await self._write(entry.namespace, made.drafts, changes)
            except VersionConflict as conflict:
                entry.job = await self._behind(entry, conflict)
            else:
                entry.job = made.job
                return made.job
        raise TakenAway(f"somebody writes into the stream of job {entry.id} all the time", hint="write elsewhere")

    def note(self, entry: Entry, job: Job) -> Pending[Sequence[Event]]:
        """Begin to write what of a row may be lost without harm: how far its job is."""
        entry.job = job
        return self._write(entry.namespace, (), (keep(entry.namespace, job),))

    async def _behind(self, entry: Entry, conflict: VersionConflict) -> Job:
        """The job of `entry` with the true place of its stream."""
        job, row = entry.job, await self._store.job(entry.namespace, entry.id)
        if row is None or (row.status, row.number, row.event) != (job.status, job.number, job.event):
            raise TakenAway(f"job {entry.id} has changed meanwhile", hint="look at it again", job=entry.id)
        actual = conflict.facts["actual"]
        assert isinstance(actual, int)
        return replace(job, position=actual)
