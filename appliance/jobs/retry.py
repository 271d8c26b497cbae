"""Why an attempt failed, and when the next one is due. Pure.

A failure has a class, which says whether and how soon to try again, and a code, which is all that the world is told:
it is chosen from a fixed list, so no text of an error can carry a path, a query or a secret to those who listen.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from appliance.errors import (
    ApplianceError,
    Forbidden,
    LimitReached,
    MethodNotAllowed,
    NotFound,
    Rejected,
    TooLarge,
    Unauthenticated,
)

__all__ = ["CODES", "JOB_TIMEOUT", "LEASE_EXPIRED", "Backoff", "Failure", "Kind", "code_of", "failure_of", "last_code"]

Kind = Literal[
    "transient", "rate_limited", "timeout", "stale_worker", "permanent", "policy_denied", "cancelled", "poison"
]

FINAL: tuple[Kind, ...] = ("permanent", "policy_denied")  # another attempt would end the same way

# The first whose word is in the text; the order matters.
WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("permission_denied", ("permission", "forbidden", "unauthorized", "unauthenticated", "access denied", "denied")),
    ("not_found", ("not found", "not_found", "notfound", "no such", "does not exist")),
    ("timed_out", ("timed out", "timed_out", "timeout", "tooslow", "deadline")),
    ("connection_failed", ("connect", "refused", "unreachable", "network", "broken pipe", "reset by peer")),
    ("database_error", ("database", "sql", "postgres", "deadlock")),
    ("model_backend_error", ("model", "backend", "inference")),
    ("operation_failed", ("operation failed",)),
    ("retry_exhausted", ("retry exhausted", "retries exhausted")),
    ("handler_panicked", ("panic",)),
)
JOB_TIMEOUT = "job_timeout"
LEASE_EXPIRED = "worker_lease_expired"
CODES: tuple[str, ...] = (*(code for code, _ in WORDS), JOB_TIMEOUT, LEASE_EXPIRED)

RATES = ("rate limit", "rate_limit", "too many requests", "429", "limit_reached")
MOST_DOUBLINGS = 10
CRC_SPAN = 2**32

_OF_CODE: dict[str, Kind] = {
    "timed_out": "timeout",
    "connection_failed": "transient",
    "database_error": "transient",
    "model_backend_error": "transient",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with an attempt."""

    kind: Kind
    code: str
    after: float = 0.0  # seconds that must pass before the next attempt, as somebody said

    @property
    def final(self) -> bool:
        return self.kind in FINAL


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait. A type's own waits are for what passes by itself; some failures need longer.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    timeout: float = 15.0  # seconds before the second attempt, doubled with each one
    rate_limited: float = 30.0
    stale_worker: float = 30.0
    longest: float = 3600.0
    jitter: float = 0.2  # most that is added, as a share

    def delay(self, id: str, waits: Sequence[float], retry: int, failure: Failure) -> float | None:
        """Seconds until the next attempt.

        Args:
            id: of the job; the same job waits equally long in every run of a test, two jobs hardly ever.
            retry: how many there were before, from 0.

        Returns:
            None: there is no next one.
        """
        if failure.final or retry >= len(waits):
            return None
        least = self._base(failure.kind) * 2.0 ** min(retry, MOST_DOUBLINGS)
        plain: float = max(waits[retry], least, failure.after)
        share = zlib.crc32(f"{id}/{retry}".encode()) / CRC_SPAN
        return min(plain * (1 + self.jitter * share), max(self.longest, failure.after))

    def _base(self, kind: Kind) -> float:
        match kind:
            case "timeout":
                return self.timeout
            case "rate_limited":
                return self.rate_limited
            case "stale_worker":
                return self.stale_worker
            case _:
                return 0.0


def code_of(text: str, otherwise: str = "operation_failed") -> str:
    """The code of an error's text."""
    small = text.lower()
    return next((code for code, words in WORDS if any(word in small for word in words)), otherwise)


def failure_of(error: Exception) -> Failure:
    """What an exception of a handler means."""
    if isinstance(error, ApplianceError):
        return _deliberate(error)
    text = f"{type(error).__name__} {error}"
    if any(rate in text.lower() for rate in RATES):
        return Failure("rate_limited", code_of(text))
    if isinstance(error, PermissionError):
        return Failure("policy_denied", "permission_denied")
    if isinstance(error, OSError):
        code = code_of(text)
        return Failure("timeout" if code == "timed_out" else "transient", code)
    code = code_of(text, "handler_panicked")
    return Failure(_OF_CODE.get(code, "poison"), code)


def last_code(failure: Failure, retries: int) -> str:
    """What the world is told when no attempt is left: the cause if it has a name, else that patience is at its end."""
    nameless = failure.code == "operation_failed"
    return "retry_exhausted" if nameless and retries and not failure.final else failure.code


def _deliberate(error: ApplianceError) -> Failure:
    """An error of ours says whose move is next."""
    code = code_of(f"{error.code} {error.message}")
    match error:
        case LimitReached():
            return Failure("rate_limited", code, float(error.retry_after))
        case Forbidden() | Unauthenticated():
            return Failure("policy_denied", "permission_denied")
        case NotFound():
            return Failure("permanent", "not_found")
        case Rejected() | TooLarge() | MethodNotAllowed():
            return Failure("permanent", code)
        case _:
            return Failure("timeout" if code == "timed_out" else "transient", code)
