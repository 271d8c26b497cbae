"""Exit codes: what a script learns without reading a word."""

from __future__ import annotations

from enum import IntEnum

from appliance.errors import (
    ApplianceError,
    ConfigError,
    Conflict,
    Forbidden,
    NotFound,
    Rejected,
    TooLarge,
    Unauthenticated,
)

__all__ = ["Exit", "Usage", "exit_code"]


class Exit(IntEnum):
    DONE = 0
    FAILED = 1  # or unhealthy
    USAGE = 2  # or configuration
    UNREACHABLE = 3
    INVALID = 4
    NOT_FOUND = 5
    NOT_ALLOWED = 6
    CONFLICT = 7


class Usage(ApplianceError):
    """The command line is wrong."""

    code = "usage"


def exit_code(error: ApplianceError) -> Exit:
    """The code that tells a script whose move is next."""
    match error:
        case ConfigError() | Usage():
            return Exit.USAGE
        case Rejected() | TooLarge():
            return Exit.INVALID
        case NotFound():
            return Exit.NOT_FOUND
        case Unauthenticated() | Forbidden():
            return Exit.NOT_ALLOWED
        case Conflict():
            return Exit.CONFLICT
        case ApplianceError(code="unreachable"):  # of the client, which is not imported for this
            return Exit.UNREACHABLE
    return Exit.FAILED
