"""The event types that the core itself declares: of jobs, of their queue, and of connections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from appliance.model.types import EventType, Id, Priority, Shape

__all__ = [
    "CORE",
    "EventsLagged",
    "JobCompleted",
    "JobFailed",
    "JobProgress",
    "JobQueued",
    "JobStarted",
    "JobsPaused",
    "JobsResumed",
    "QueueStatus",
    "ResyncRequired",
]

Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Remark = Annotated[str, Meta(max_length=200)]
Code = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=64)]  # no room for a path, a query or a secret
Scope = Literal["global", "archive"]


class QueueStatus(Shape, frozen=True, kw_only=True):
    """How much there is to do. `total_jobs` counts what is running, pending or delayed."""

    total_jobs: Count
    running: Count
    pending: Count


class JobQueued(Shape, frozen=True, kw_only=True):
    job_id: Id
    job_type: str  # "Embedding"
    note_id: Id | UnsetType = UNSET


class JobStarted(Shape, frozen=True, kw_only=True):
    job_id: Id
    job_type: str
    note_id: Id | UnsetType = UNSET


class JobProgress(Shape, frozen=True, kw_only=True):
    """How far a job is. `progress_percent` is the name some clients read `progress` under."""

    job_id: Id
    note_id: Id | UnsetType = UNSET
    progress: Percent
    message: Remark | UnsetType = UNSET
    step_name: str | UnsetType = UNSET
    step_current: Count | UnsetType = UNSET
    steps_total: Count | UnsetType = UNSET
    progress_percent: Percent | UnsetType = UNSET


class JobCompleted(Shape, frozen=True, kw_only=True):
    job_id: Id
    job_type: str
    note_id: Id | UnsetType = UNSET
    duration_ms: Count | UnsetType = UNSET
    result: Any = UNSET  # any JSON, unless it is large


class JobFailed(Shape, frozen=True, kw_only=True):
    """`error` is a stable code, never the text of an exception."""

    job_id: Id
    job_type: str
    note_id: Id | UnsetType = UNSET
    error: Code


class JobsPaused(Shape, frozen=True, kw_only=True):
    scope: Scope


class JobsResumed(Shape, frozen=True, kw_only=True):
    scope: Scope


class EventsLagged(Shape, frozen=True, kw_only=True):
    """Told to a client that fell behind the live stream by so many events."""

    dropped_count: Count
    reason: str


class ResyncRequired(Shape, frozen=True, kw_only=True):
    """Told to a client whose past cannot be shown: it has to fetch its state anew."""

    reason: str
    last_known_id: str | UnsetType = UNSET
    oldest: Count | UnsetType = UNSET  # first position there is


_PROGRESS = "job.progress:{id}"


def _job(name: str, shape: type[Shape], settles: str = "") -> EventType:
    dotted = f"job.{name.removeprefix('Job').lower()}"
    return EventType(name, dotted, "job", "job_id", Priority.NORMAL, shape=shape, settles=settles)


def _said(name: str, dotted: str, shape: type[Shape]) -> EventType:
    return EventType(name, dotted, priority=Priority.NORMAL, stored=False, shape=shape, spoken=True)


CORE: tuple[EventType, ...] = (
    EventType(
        "QueueStatus", "queue.status", priority=Priority.LOW, stored=False, merge="queue.status", shape=QueueStatus
    ),
    _job("JobQueued", JobQueued),
    _job("JobStarted", JobStarted),
    EventType(
        "JobProgress",
        "job.progress",
        "job",
        "job_id",
        Priority.LOW,
        stored=False,
        merge=_PROGRESS,
        shape=JobProgress,
        aliases=(("progress", "progress_percent"),),
    ),
    _job("JobCompleted", JobCompleted, _PROGRESS),
    _job("JobFailed", JobFailed, _PROGRESS),
    EventType("JobsPaused", "jobs.paused", "job", priority=Priority.NORMAL, shape=JobsPaused),
    EventType("JobsResumed", "jobs.resumed", "job", priority=Priority.NORMAL, shape=JobsResumed),
    _said("EventsLagged", "events.lagged", EventsLagged),
    _said("ResyncRequired", "resync_required", ResyncRequired),
)
