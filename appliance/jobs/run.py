"""One attempt at a job, as its handler sees it, and the strings by which it is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import trio

from appliance.errors import ApplianceError
from appliance.jobs.queue import Entry
from appliance.jobs.scrub import remark

__all__ = ["LEASES", "JobStopped", "Run", "Verdict"]

Verdict = Literal["", "cancelled", "given_back", "lost"]  # why somebody wants it to end

LEASES = 2  # an attempt belongs to its worker for so many time-outs after its last sign of life


class JobStopped(ApplianceError):
    """The job was cancelled, or its worker has to stop: the handler should end."""

    code = "job_stopped"
    status = 409


class Run:
    """`model.jobs.JobRun`.

    Args:
        told: called with each sign of progress.
    """

    def __init__(self, entry: Entry, timeout: float, told: Callable[[Run], None]) -> None:
        job = entry.job
        self.entry = entry
        self.id = job.id
        self.type = job.type
        self.namespace = entry.namespace
        self.memory = job.memory
        self.note_id = job.note
        self.arguments: Mapping[str, Any] = msgspec.json.decode(job.arguments)
        self.attempt = job.retries + 1
        self.cause = job.cause
        self.percent = 0
        self.message = ""
        self.unsaved = False  # the last progress is not on disk
        self.told = trio.current_time()  # when clients last heard of it
        self.working = False  # the handler runs
        self.verdict: Verdict = ""
        self.scope = trio.CancelScope()
        self.lease = trio.current_time() + LEASES * timeout
        self._timeout = timeout
        self._told = told

    @property
    def stopping(self) -> bool:
        """Whether somebody wants it to end; the next `progress` says so too."""
        return bool(self.verdict)

    async def progress(self, percent: int, message: str = "") -> None:
        """See `model.jobs.JobRun`. Raises JobStopped: the job is wanted no more."""
        await trio.lowlevel.checkpoint()
        if self.verdict:
            raise JobStopped("the job was stopped", hint="clean up and let this error pass", job=self.id)
        self.percent = max(0, min(100, int(percent)))
        self.message = remark(message)
        self.lease = trio.current_time() + LEASES * self._timeout
        self.unsaved = True
        self._told(self)
