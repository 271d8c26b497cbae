"""Why a WebSocket ended: the one table of close codes, for the code and the docs.

A dialect may restrict this table, never add to it.
"""

from __future__ import annotations

from enum import IntEnum

from appliance.errors import ApplianceError, Forbidden, LimitReached, TooLarge, Unauthenticated, Unavailable

__all__ = ["Close", "code_for"]


class Close(IntEnum):
    """A close code with what it tells the client."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Close:
        self = int.__new__(cls, code)
        self._value_ = code
        self.meaning = meaning
        return self

    NORMAL = 1000, "done; nothing went wrong"
    GOING_AWAY = 1001, "the appliance stops; reconnect and resume"
    PROTOCOL = 1002, "a frame broke RFC 6455"
    UNSUPPORTED = 1003, "binary messages are refused here"
    NOT_UTF8 = 1007, "a text message is not UTF-8"
    POLICY = 1008, "credentials or policy refused at connect, or repeated rate abuse"
    TOO_BIG = 1009, "a message is longer than the limit"
    INTERNAL = 1011, "a bug of ours, counted; never anything expected"
    RESTART = 1012, "the appliance restarts; come back after the hinted pause"
    TRY_LATER = 1013, "a dependency is down, or a limit is reached; try later"
    DEAD_PEER = 4003, "no pong within the time"
    SLOW = 4008, "fell behind and did not catch up within the grace; resume"
    EXPIRED = 4401, 'the session ended: "Token expired" or "Token revoked"'


def code_for(error: Exception) -> Close:
    """The close code that tells a client what `error` means for it."""
    match error:
        case TooLarge():
            return Close.TOO_BIG
        case Unavailable() | LimitReached():
            return Close.TRY_LATER
        case Unauthenticated() | Forbidden():
            return Close.POLICY
        case ApplianceError(status=status) if status < 500:
            return Close.POLICY
        case _:
            return Close.INTERNAL
