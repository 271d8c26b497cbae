"""Errors as the message-store API writes them: `{"error":{"code","message","details"}}`.

Its clients look at the code and some at the text, so both are given exactly. Every other error of
ours that reaches this dialect is put into the same form by `in_dialect`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.errors import (
    ApplianceError,
    Duplicate,
    Fact,
    Forbidden,
    NotFound,
    Rejected,
    Unauthenticated,
    VersionConflict,
)
from appliance.model.http import Response

__all__ = ["DialectError", "in_dialect", "invalid"]

_encode = msgspec.json.Encoder().encode


class DialectError(ApplianceError):
    """A refusal with the status, code and text that the message-store API prescribes."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, Fact] | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = status
        self.wire_code = code
        self.details = dict(details or {})
        self.retry_after = retry_after

    def response(self) -> Response:
        error: dict[str, object] = {"code": self.wire_code, "message": self.message}
        if self.details:
            error["details"] = self.details
        headers = () if self.retry_after is None else (("retry-after", str(self.retry_after)),)
        return Response(self.http_status, _encode({"error": error}) + b"\n", headers=headers)


def invalid(message: str, **details: Fact) -> DialectError:
    """400 INVALID_REQUEST."""
    return DialectError(400, "INVALID_REQUEST", message, details)


def in_dialect(error: ApplianceError) -> DialectError:
    """The same refusal in this dialect. An error without a code of its own there keeps ours, in capitals."""
    match error:
        case DialectError():
            return error
        case VersionConflict(facts={"expected": expected, "actual": actual}):
            text = f"Expected version {expected}, stream is at version {actual}"
            return DialectError(409, "STREAM_VERSION_CONFLICT", text, {"expected": expected, "actual": actual})
        case Duplicate(facts={"id": id}):
            return DialectError(409, "MESSAGE_ID_CONFLICT", error.message, {"id": id})
        case Unauthenticated():
            return DialectError(401, "AUTH_REQUIRED", error.message)
        case Forbidden():
            return DialectError(403, "AUTH_UNAUTHORIZED", error.message, error.facts)
        case NotFound():
            return DialectError(404, "NAMESPACE_NOT_FOUND", error.message)
        case Rejected() if type(error) is Rejected:
            return invalid(error.message, **error.facts)
    retry_after = getattr(error, "retry_after", None)
    return DialectError(error.status, error.code.upper(), error.message, error.facts, retry_after=retry_after)
