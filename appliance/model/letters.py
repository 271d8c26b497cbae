"""What cannot be done without a person: the shelf that webhooks, jobs and plugins share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

__all__ = ["Letter", "Retry", "Shelf"]


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something given up."""

    id: str
    kind: str  # "webhook", "job", "plugin"
    source: str  # which one: the endpoint's id, the job's type, "notes: ask_for_summary"
    event: str  # id of the event it was about; "": none
    type: str  # of the event, or of the job
    position: int  # of the event; 0: none
    reason: str  # class of the last error: a stable code
    at: int  # microseconds since 1970
    attempts: int = 0
    status: int | None = None  # HTTP status of the last answer
    delivery: str = ""
    job: str = ""
    detail: str = ""  # for a person: a scrubbed message or traceback


Retry = Callable[[int, Letter], Awaitable[bool]]  # (namespace, letter); False: it cannot be tried again


class Shelf(Protocol):
    """Takes what was given up."""

    async def put(self, namespace: int, letter: Letter) -> None: ...

    def serve(self, kind: str, retry: Retry) -> None:
        """Who tries letters of this kind again."""
        ...
