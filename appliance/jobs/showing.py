"""A job as clients see it: no words of errors, and nothing that looks like a secret or like somebody. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.clock import stamp
from appliance.jobs.job import Attempt, Job
from appliance.jobs.scrub import shown
from appliance.model.jobs import snake

__all__ = ["SENTENCE", "job_row"]

SENTENCE = "The job failed; error_code says how, and an admin finds more on the shelf of dead letters."


def job_row(job: Job) -> dict[str, Any]:
    """The object of the REST API; what is not there is null."""
    failed = bool(job.code)
    return {
        "id": job.id,
        "note_id": job.note or None,
        "job_type": snake(job.type),
        "status": job.status,
        "priority": job.priority,
        "payload": shown(msgspec.json.decode(job.arguments)) or None,
        "result": shown(msgspec.json.decode(job.result)),
        "error_message": SENTENCE if failed else None,
        "error_code": job.code or None,
        "progress_percent": job.percent,
        "progress_message": job.message or None,
        "retry_count": job.retries,
        "max_retries": job.max_retries,
        "created_at": stamp(job.created),
        "started_at": _time(job.started),
        "completed_at": _time(job.completed),
        "next_attempt_at": _time(job.due) if job.status == "pending" else None,
        "cost_tier": None,
        "memory": job.memory or None,
        "cause": job.cause or None,
        "attempts": [_attempt(job, attempt) for attempt in job.attempts],
    }


def _attempt(job: Job, attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": stamp(attempt.started),
        "completed_at": _time(attempt.completed),
        "outcome": attempt.outcome,
        "error_class": attempt.kind,
        "error_code": attempt.code or None,
        "retry_at": _time(attempt.retry_at),
        "duration_ms": attempt.duration_ms,
        "payload_bytes": len(bytes(job.arguments)),
        "payload_hash": job.fingerprint,
    }


def _time(at_us: int) -> str | None:
    return stamp(at_us) if at_us else None
