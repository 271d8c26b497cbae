"""Wall-clock text and arithmetic. Order never comes from here: it comes from log positions."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["MICROSECONDS", "parse_stamp", "stamp"]

MICROSECONDS = 1_000_000  # per second


def stamp(micros: int) -> str:
    """RFC 3339 in UTC with microseconds and `Z`, from microseconds since 1970."""
    seconds, rest = divmod(micros, MICROSECONDS)
    return f"{_second(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """Calendar and strftime were a quarter of the loop's time under a thousand resuming readers."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def parse_stamp(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time with any offset and fraction.

    Raises:
        ValueError: not RFC 3339, or no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    whole = moment.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * MICROSECONDS + whole.microsecond
