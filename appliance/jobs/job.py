"""A job as it is kept, and how it goes from one state to the next. Pure: the caller brings times and ids.

    pending ─start─→ running ─→ completed
       ↑                │  └──→ failed     no attempt is left, or none would help
       └── postponed ───┤                  it failed and is tried again later
       └── given back ──┘                  its worker stopped or was lost; nobody failed
    pending, running ─→ cancelled          a person said so
    failed, cancelled ─→ pending           revived by a person, with all its attempts again

The row of a job knows the newest event of its stream. Each event of a transition is written at exactly the next place,
so a worker that lost its job, or a second one that never should have had it, cannot write.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec
from msgspec.structs import replace

from appliance.clock import MICROSECONDS
from appliance.jobs.retry import Failure, Kind

__all__ = [
    "CANCELLED",
    "LIVE",
    "STATUSES",
    "Attempt",
    "Ending",
    "Job",
    "Status",
    "begun",
    "cancelled",
    "completed",
    "failed",
    "given_back",
    "hour_of",
    "index_of",
    "postponed",
    "reclaimed",
    "revived",
    "stream_of",
]

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
Ending = Literal["completed", "failed", "retried", "cancelled", "given_back"]

STATUSES: tuple[Status, ...] = ("pending", "running", "completed", "failed", "cancelled")
LIVE: tuple[Status, ...] = ("pending", "running")
CANCELLED = "cancelled"  # the code of a job that a person ended
MOST_ATTEMPTS = 50  # remembered of one job, the newest ones
HOUR = 3600 * MICROSECONDS


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try. Times in microseconds since 1970; 0: not yet."""

    number: int
    started: int
    completed: int = 0
    outcome: Ending | None = None
    kind: Kind | None = None  # class of the failure
    code: str = ""
    retry_at: int = 0
    duration_ms: int = 0


class Job(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One row. Times in microseconds since 1970; 0: never."""

    id: str
    type: str  # "TitleGeneration"
    created: int
    status: Status = "pending"
    priority: int = 0
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    memory: str = ""
    note: str = ""
    key: str = ""
    due: int = 0  # not before
    waits: tuple[float, ...] = ()  # seconds before the second, third, … attempt
    cause: str = ""  # id of the event it was asked for by
    correlation: str = ""  # of all its events but the first, and of that one if it has a cause
    event: str = ""  # id of its newest event
    position: int = 0  # of that event in the job's stream
    attempts: tuple[Attempt, ...] = ()
    number: int = 0  # of the last attempt
    retries: int = 0  # failed attempts that were repeated
    started: int = 0
    completed: int = 0
    lease: int = 0  # until then the job belongs to its worker
    percent: int = 0
    message: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")
    code: str = ""  # of the last failure
    letter: str = ""  # id of its dead letter

    @property
    def max_retries(self) -> int:
        return len(self.waits)

    @property
    def fingerprint(self) -> str:
        """Of what it was asked to do."""
        return blake2b(bytes(self.arguments), digest_size=16).hexdigest()


def stream_of(id: str) -> str:
    """The stream with the job's events."""
    return f"job-{id}"


def hour_of(now_us: int) -> str:
    """Under which jobs that ended within one hour are found."""
    return str(now_us // HOUR)


def index_of(job: Job) -> tuple[tuple[str, str], ...]:
    """What its row is found by."""
    pairs = [("status", job.status), ("type", job.type), ("memory", job.memory)]
    pairs += [(name, value) for name, value in (("note", job.note), ("cause", job.cause)) if value]
    if job.status in LIVE:
        return tuple(pairs)
    return (*pairs, ("ended", "yes"), ("hour", hour_of(job.completed)))


def begun(job: Job, *, event: str, now_us: int, lease_us: int) -> Job:
    """An attempt begins."""
    number = job.number + 1
    return replace(
        job,
        status="running",
        number=number,
        attempts=(*job.attempts, Attempt(number, now_us))[-MOST_ATTEMPTS:],
        started=now_us,
        lease=lease_us,
        percent=0,
        message="",
        event=event,
        position=job.position + 1,
    )


def completed(job: Job, result: msgspec.Raw, *, event: str, now_us: int, duration_ms: int) -> Job:
    return replace(
        _ended(job, "completed", event, now_us, duration_ms),
        status="completed",
        completed=now_us,
        percent=100,
        result=result,
        code="",
    )


def failed(job: Job, failure: Failure, *, event: str, now_us: int, duration_ms: int, letter: str) -> Job:
    """For good: `letter` is on the shelf."""
    return replace(
        _ended(job, "failed", event, now_us, duration_ms, failure),
        status="failed",
        completed=now_us,
        code=failure.code,
        letter=letter,
    )


def postponed(job: Job, failure: Failure, *, now_us: int, retry_us: int, duration_ms: int) -> Job:
    """This attempt failed, and there will be another one. No event tells of it: the job goes on."""
    return replace(
        _attempted(job, "retried", now_us, duration_ms, failure, retry_us),
        status="pending",
        due=retry_us,
        retries=job.retries + 1,
        lease=0,
        code=failure.code,
    )


def given_back(job: Job, *, event: str, now_us: int, duration_ms: int) -> Job:
    """Its worker had to stop. This attempt counts for nothing."""
    return replace(_ended(job, "given_back", event, now_us, duration_ms), status="pending", due=now_us)


def reclaimed(job: Job, failure: Failure, *, event: str, now_us: int, retry_us: int) -> Job:
    """Its worker was lost. The attempt counts: a job that ends the process must not do so for ever."""
    lost = _attempted(job, "retried", now_us, 0, failure, retry_us)
    return replace(
        lost,
        status="pending",
        due=retry_us,
        retries=job.retries + 1,
        lease=0,
        code=failure.code,
        event=event,
        position=job.position + 1,
    )


def cancelled(job: Job, *, event: str, now_us: int, duration_ms: int = 0) -> Job:
    ended = _ended(job, "cancelled", event, now_us, duration_ms)
    return replace(ended, status="cancelled", completed=now_us, code=CANCELLED)


def revived(job: Job, *, event: str, now_us: int) -> Job:
    """Wanted again: as new, but for what it remembers of its attempts."""
    return replace(
        job,
        status="pending",
        due=now_us,
        retries=0,
        completed=0,
        percent=0,
        message="",
        code="",
        letter="",
        event=event,
        position=job.position + 1,
    )


def _ended(job: Job, outcome: Ending, event: str, now_us: int, duration_ms: int, failure: Failure | None = None) -> Job:
    tried = _attempted(job, outcome, now_us, duration_ms, failure)
    return replace(tried, lease=0, event=event, position=job.position + 1)


def _attempted(
    job: Job, outcome: Ending, now_us: int, duration_ms: int, failure: Failure | None = None, retry_us: int = 0
) -> Job:
    """The attempt that runs, if one does, is over."""
    if job.status != "running" or not job.attempts:
        return job
    last = replace(
        job.attempts[-1],
        completed=now_us,
        outcome=outcome,
        kind=None if failure is None else failure.kind,
        code="" if failure is None else failure.code,
        retry_at=retry_us,
        duration_ms=duration_ms,
    )
    return replace(job, attempts=(*job.attempts[:-1], last))
