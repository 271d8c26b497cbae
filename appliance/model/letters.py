"""What cannot be done without a person: the shelf that webhooks, jobs and plugins share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from appliance.model.state import StateChange

__all__ = ["SHELF", "Letter", "Retry", "Shelf", "shelved", "unshelved"]

SHELF = "dead-letters"  # owner of their rows


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something given up."""

    id: str  # UUIDv7: the order of ids is that of giving up
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

    async def put(self, namespace: int, letter: Letter) -> None:
        """Returns when it is on disk. Who writes anyway adds `shelved` to its own unit instead."""
        ...

    async def forget(self, namespace: int, kind: str, source: str) -> None:
        """The source is gone, and its letters with it."""
        ...

    def serve(self, kind: str, retry: Retry) -> None:
        """Who tries letters of this kind again."""
        ...


def shelved(namespace: int, letter: Letter) -> StateChange:
    """The change that puts a letter on the shelf."""
    text = msgspec.json.encode(letter).decode()
    return StateChange(namespace, SHELF, letter.id, text, index=(("kind", letter.kind), ("source", letter.source)))


def unshelved(namespace: int, letter: Letter) -> StateChange:
    """The change that takes it away."""
    return StateChange(namespace, SHELF, letter.id, None)
