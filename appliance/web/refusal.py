"""A request the front does not accept, and why: before any handler has seen it."""

from __future__ import annotations

from appliance.errors import ApplianceError

__all__ = ["Refusal", "restarting"]

RESTART = 5  # seconds until whoever comes while we stop may find us again


class Refusal(ApplianceError):
    """The bytes of a peer are not a request we serve. The connection ends with the answer.

    `reason` is one of a few words, the label of the counter of refusals.
    """

    code = "bad_request"

    def __init__(
        self, status: int, reason: str, message: str, *, hint: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message, hint=hint, reason=reason)
        self.status = status  # type: ignore[misc]  # each refusal has its own
        self.reason = reason
        self.retry_after = retry_after


def restarting() -> Refusal:
    """Said to whoever wants to stay while the appliance stops."""
    return Refusal(503, "draining", "the appliance is stopping", hint=f"try again in {RESTART} s", retry_after=RESTART)
