"""What can go wrong, sorted by whose move is next.

The class says who has to act, the message says what happened, the hint says what to do,
the facts are for machines. Every border (HTTP, CLI, plugin host) renders these and nothing else.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ApplianceError",
    "Broken",
    "ConfigError",
    "Conflict",
    "Corrupt",
    "Duplicate",
    "EventsLost",
    "Fact",
    "Forbidden",
    "KeyReused",
    "LimitReached",
    "MethodNotAllowed",
    "NotFound",
    "PeerFailed",
    "Rejected",
    "TooLarge",
    "TooManyClients",
    "Unauthenticated",
    "Unavailable",
    "VersionConflict",
]

Fact = str | int | float | bool | None


class ApplianceError(Exception):
    """Root of every error the appliance raises on purpose."""

    code: ClassVar[str] = "error"  # stable, snake_case; `appliance error CODE` explains it
    status: ClassVar[int] = 500  # the HTTP answer

    def __init__(self, message: str, *, hint: str = "", **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts


class Rejected(ApplianceError):
    """The request is understood and wrong: change it."""

    code = "rejected"
    status = 422


class Unauthenticated(ApplianceError):
    """Nobody, or nobody we know: bring a valid token."""

    code = "unauthenticated"
    status = 401


class Forbidden(ApplianceError):
    """Known, but not allowed: ask for a wider scope."""

    code = "forbidden"
    status = 403


class NotFound(ApplianceError):
    code = "not_found"
    status = 404


class MethodNotAllowed(ApplianceError):
    code = "method_not_allowed"
    status = 405


class Conflict(ApplianceError):
    """The world moved on: read again and retry."""

    code = "conflict"
    status = 409


class VersionConflict(Conflict):
    """A write expected one stream version and met another."""

    code = "version_conflict"

    def __init__(self, stream: str, *, expected: int, actual: int) -> None:
        super().__init__(
            f"stream {stream} is at version {actual}, not {expected}",
            hint="read the stream again and retry with the version you saw",
            stream=stream,
            expected=expected,
            actual=actual,
        )


class Duplicate(Conflict):
    """Something with this identity exists already."""

    code = "duplicate"


class KeyReused(Rejected):
    """An idempotency key came back with another body."""

    code = "idempotency_key_reused"


class TooLarge(ApplianceError):
    code = "too_large"
    status = 413


class LimitReached(ApplianceError):
    """Too much at once: come back after `retry_after` seconds."""

    code = "limit_reached"
    status = 429

    def __init__(self, message: str, *, retry_after: int, hint: str = "", **facts: Fact) -> None:
        super().__init__(message, hint=hint or f"try again in {retry_after} s", **facts)
        self.retry_after = retry_after


class TooManyClients(LimitReached):
    """All places for live connections are taken."""

    code = "too_many_clients"
    status = 503


class Unavailable(ApplianceError):
    """We, or something we need, are not ready: wait."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str, *, hint: str = "", retry_after: int = 1, **facts: Fact) -> None:
        super().__init__(message, hint=hint, **facts)
        self.retry_after = retry_after


class EventsLost(Unavailable):
    """Events that were acknowledged are not in the log any more."""

    code = "events_lost"


class PeerFailed(ApplianceError):
    """The other side failed us; feeds breakers and back-off."""

    code = "peer_failed"
    status = 502


class ConfigError(ApplianceError):
    """The configuration is wrong; only raised at start-up and reload."""

    code = "config_error"


class Broken(ApplianceError):
    """An invariant of ours is false: crash, report, restart."""

    code = "broken"


class Corrupt(Broken):
    """Stored bytes are not what was written."""

    code = "corrupt"
