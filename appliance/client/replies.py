"""What an error answer means: the class says whose move is next, the wire code is kept.

Three forms are read: the message-store API's `{"error": {"code", "message", "details"}}`, problem+json, and plain text.
Every error carries `facts["wire_code"]`, and where the server said so its other details.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from appliance.errors import (
    ApplianceError,
    Conflict,
    Corrupt,
    Duplicate,
    Forbidden,
    KeyReused,
    LimitReached,
    MethodNotAllowed,
    NotFound,
    PeerFailed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)

__all__ = ["Reply", "Unreachable", "decoded", "error_of", "import_error"]

T = TypeVar("T")

BY_CODE: dict[str, type[ApplianceError]] = {
    "INVALID_REQUEST": Rejected,
    "AUTH_REQUIRED": Unauthenticated,
    "AUTH_INVALID_TOKEN": Unauthenticated,
    "AUTH_UNAUTHORIZED": Forbidden,
    "METHOD_NOT_FOUND": NotFound,
    "STREAM_NOT_FOUND": NotFound,
    "NAMESPACE_NOT_FOUND": NotFound,
    "NOT_FOUND": NotFound,
    "NAMESPACE_EXISTS": Duplicate,
    "MESSAGE_ID_CONFLICT": Duplicate,
    "POSITION_EXISTS": Duplicate,
    "IDEMPOTENCY_KEY_REUSED": KeyReused,
    "INVALID_JSON": Rejected,
    "INVALID_RECORD": Rejected,
    "corrupt": Corrupt,
    "duplicate": Duplicate,
    "idempotency_key_reused": KeyReused,
}

BY_STATUS: dict[int, type[ApplianceError]] = {
    400: Rejected,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: TooLarge,
    422: Rejected,
    429: LimitReached,
    503: Unavailable,
}

HINTS: dict[type[ApplianceError], str] = {
    Unauthenticated: "give a token: --token, or APPLIANCE_TOKEN",
    Forbidden: "the token may be revoked, of another namespace, or its scope too narrow: appliance token list shows",
    Duplicate: "it exists already; choose another name or id",
}

OWN_MEMBERS = frozenset({"type", "title", "status", "code", "message", "detail", "hint", "error", "instance"})


class Unreachable(PeerFailed):
    """Nobody answers at that address."""

    code = "unreachable"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whole."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case


def error_of(reply: Reply, subject: str = "") -> ApplianceError:
    """The error an answer of status 400 or above stands for.

    Args:
        subject: the stream the request was about, for the text of a version conflict.
    """
    wire = _wire_error(reply)
    if wire.code in ("STREAM_VERSION_CONFLICT", VersionConflict.code):
        conflict = _version_conflict(wire, subject)
        if conflict is not None:
            return conflict
    kind = BY_CODE.get(wire.code) or BY_STATUS.get(reply.status, PeerFailed)
    facts = wire.facts | {"wire_code": wire.code}
    hint = wire.hint or HINTS.get(kind, "")
    if issubclass(kind, LimitReached | Unavailable):
        return kind(wire.message, hint=hint, retry_after=_retry_after(reply), **facts)
    return kind(wire.message, hint=hint, **facts)


def import_error(code: str, message: str, line: int) -> ApplianceError:
    """The error an import ended with, which comes inside an answer of status 200."""
    return BY_CODE.get(code, PeerFailed)(message, wire_code=code, line=line)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The value of a good answer.

    Raises:
        PeerFailed: the answer does not have the form the API promises.
    """
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise PeerFailed(
            f"the server's answer has an unexpected form: {error}",
            hint="check that the address belongs to a message store",
        ) from error


@dataclass(frozen=True, slots=True)
class _WireError:
    code: str
    message: str
    hint: str
    facts: dict[str, Any]


def _wire_error(reply: Reply) -> _WireError:
    try:
        body = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return _plain(reply)
    match body:
        case {"error": {"code": str(code), "message": str(message)} as error}:
            return _WireError(code, message, _text(error.get("hint")), _facts(error.get("details")))
        case {"code": str(code), "message": str(message)}:
            facts = _facts({name: value for name, value in body.items() if name not in OWN_MEMBERS})
            return _WireError(code, message, _text(body.get("hint")), facts)
    return _plain(reply)


def _plain(reply: Reply) -> _WireError:
    text = reply.body.decode("utf-8", "replace").strip()
    message = text.splitlines()[0][:200] if text else f"the server answered {reply.status}"
    return _WireError(f"HTTP_{reply.status}", message, "", {})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _facts(details: object) -> dict[str, Any]:
    """What may travel as facts: named plain values that do not collide with an error's own arguments."""
    if not isinstance(details, dict):
        return {}
    return {
        name: value
        for name, value in details.items()
        if name not in ("message", "hint", "retry_after", "self")
        and (value is None or isinstance(value, str | int | float | bool))
    }


def _version_conflict(wire: _WireError, subject: str) -> VersionConflict | None:
    match wire.facts:
        case {"expected": int(expected), "actual": int(actual), **rest}:
            stream = rest.get("stream", subject)
            error = VersionConflict(str(stream), expected=expected, actual=actual)
            error.facts["wire_code"] = wire.code
            return error
    return None


def _retry_after(reply: Reply) -> int:
    text = reply.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() else 1
