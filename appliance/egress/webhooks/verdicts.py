"""What an answer, or its absence, means for a delivery, and when the next attempt is due. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

__all__ = ["RETRY_STATUS", "SCHEDULE", "Outcome", "Verdict", "next_wait", "of_status", "retry_after"]

SCHEDULE = (1.0, 5.0, 25.0, 125.0)  # seconds before the second, third, … attempt
JITTER = 0.2  # of a wait, at most added
LONGEST_WAIT = 3600.0  # seconds a receiver may ask for
RETRY_STATUS = frozenset({408, 425, 429})


class Outcome(Enum):
    DELIVERED = "delivered"
    RETRY = "retry"  # the receiver may do better next time
    FAILED = "failed"  # the same request would be refused again
    GONE = "gone"  # 410: the receiver wants no more of them


@dataclass(frozen=True, slots=True)
class Verdict:
    """`error_class` is a stable word: "", timeout, connection, tls, refused, rate_limited, server, client, redirect,
    gone or too_large."""

    outcome: Outcome
    error_class: str = ""


def of_status(status: int) -> Verdict:
    """2xx alone is success; a redirect is never followed, since it would lead past the judged address."""
    if 200 <= status < 300:
        return Verdict(Outcome.DELIVERED)
    if status == 410:
        return Verdict(Outcome.GONE, "gone")
    if status == 429:
        return Verdict(Outcome.RETRY, "rate_limited")
    if status in RETRY_STATUS or status >= 500:
        return Verdict(Outcome.RETRY, "server" if status >= 500 else "client")
    return Verdict(Outcome.FAILED, "redirect" if 300 <= status < 400 else "client")


def next_wait(
    attempt: int, schedule: Sequence[float], rng: random.Random, *, most: int | None = None, asked: float | None = None
) -> float | None:
    """Seconds until the next attempt; None: there is none.

    Args:
        attempt: how many were made, at least 1.
        most: retries, whatever the schedule says.
        asked: what the receiver asked for; it lengthens a wait, and never shortens one.
    """
    retries = len(schedule) if most is None else min(most, len(schedule))
    if attempt > retries:
        return None
    wait = schedule[attempt - 1] * (1 + JITTER * rng.random())
    return wait if asked is None else max(wait, min(asked, LONGEST_WAIT))


def retry_after(header: str, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for; None: it is none.

    Args:
        now: seconds since 1970.
    """
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
