"""What the world is told of a job: the events of its transitions, and its row. Pure.

Each event stands at exactly the next place of the stream `job-<id>`. Its correlation is that of the whole job, its
causation the event before it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.clock import MICROSECONDS
from appliance.jobs.job import Job, index_of, stream_of
from appliance.jobs.scrub import harmless
from appliance.model.event import Draft
from appliance.model.letters import SHELF, Letter, shelved
from appliance.model.state import StateChange

__all__ = [
    "INDEXES",
    "KEYS",
    "LONGEST_RESULT",
    "OWNER",
    "completed_draft",
    "failed_draft",
    "forget",
    "index_draft",
    "keep",
    "key_of",
    "labels",
    "letter_of",
    "progress_fields",
    "queued_draft",
    "scope_draft",
    "started_draft",
    "take_off_shelf",
]

OWNER = "jobs"  # of the rows
KEYS = "job-keys"  # of the rows that say which job a key stands for
LONGEST_RESULT = 4096  # bytes of JSON that JobCompleted carries
MS = MICROSECONDS // 1000

# After a job of these types an index of its note is newer.
INDEXES: Mapping[str, str] = {"Embedding": "IndexEmbeddingUpdated", "Linking": "IndexLinkingUpdated"}

_SYSTEM = {"kind": "system", "id": "jobs"}


def keep(namespace: int, job: Job, *, expected: int | None = None) -> StateChange:
    """The change that stores a job."""
    return StateChange(namespace, OWNER, job.id, msgspec.json.encode(job).decode(), expected, index_of(job))


def forget(namespace: int, job: Job) -> list[StateChange]:
    """The changes that remove a job, and what its key stands for."""
    gone = [StateChange(namespace, OWNER, job.id, None)]
    if job.key:
        gone.append(StateChange(namespace, KEYS, key_of(job.type, job.key), None))
    return gone


def key_of(type: str, key: str) -> str:
    """The key of the row that says which job a caller's key stands for."""
    return f"{type}/{key}"


def labels(memory: str, correlation: str, causation: str) -> str:
    """The metadata of an event, as JSON."""
    said = {"memory": memory, "correlationId": correlation, "causationId": causation}
    given: dict[str, object] = {name: value for name, value in said.items() if value}
    return msgspec.json.encode(given | {"actor": _SYSTEM}).decode()


def queued_draft(job: Job, causation: str) -> Draft:
    """It waits. `causation`: for a new job its cause, else its event before."""
    correlation = job.correlation if job.position or job.cause else ""
    return _draft(job, "JobQueued", causation, {}, correlation)


def started_draft(before: Job, job: Job) -> Draft:
    return _draft(job, "JobStarted", before.event, {})


def completed_draft(before: Job, job: Job, result: object) -> Draft:
    """It is done. Its result goes along if it is small and looks harmless."""
    fields: dict[str, object] = {"duration_ms": job.attempts[-1].duration_ms}
    if result is not None and len(bytes(job.result)) <= LONGEST_RESULT and harmless(result):
        fields["result"] = result
    return _draft(job, "JobCompleted", before.event, fields)


def failed_draft(before: Job, job: Job, code: str) -> Draft:
    """It is over without a result."""
    return _draft(job, "JobFailed", before.event, {"error": code})


def index_draft(job: Job, name: str, id: str) -> Draft:
    """An index of its note is newer."""
    data = msgspec.json.encode({"note_id": job.note, "job_id": job.id}).decode()
    return Draft(f"index-{job.note}", name, data, labels(job.memory, job.correlation, job.event), id)


def scope_draft(name: str, memory: str | None, id: str) -> Draft:
    """A namespace (memory None), or a memory of it, is paused or goes on. Its name is for those who see it anyway."""
    data = msgspec.json.encode({"scope": "global" if memory is None else "archive"}).decode()
    return Draft("jobs", name, data, labels(memory or "", "", ""), id)


def progress_fields(job: Job) -> dict[str, object]:
    """The members of JobProgress."""
    message = {"message": job.message} if job.message else {}
    return {"job_id": job.id, **_note(job), "progress": job.percent, **message}


def letter_of(namespace: int, job: Job, detail: str, now_us: int) -> StateChange:
    """The change that puts a job on the shelf of the dead; its `letter` and `code` are set already."""
    return shelved(
        namespace,
        Letter(
            job.letter,
            "job",
            job.type,
            job.cause,
            job.type,
            0,
            job.code,
            now_us,
            attempts=job.retries + 1,
            job=job.id,
            detail=detail,
        ),
    )


def take_off_shelf(namespace: int, job: Job) -> list[StateChange]:
    """The changes that take its dead letter away."""
    return [StateChange(namespace, SHELF, job.letter, None)] if job.letter else []


def _draft(job: Job, name: str, causation: str, fields: Mapping[str, object], correlation: str | None = None) -> Draft:
    data = {"job_id": job.id, "job_type": job.type, **_note(job), **fields}
    metadata = labels(job.memory, job.correlation if correlation is None else correlation, causation)
    text = msgspec.json.encode(data).decode()
    return Draft(stream_of(job.id), name, text, metadata, job.event, expected_version=job.position - 1)


def _note(job: Job) -> dict[str, str]:
    return {"note_id": job.note} if job.note else {}
