"""The two ways in which a condition goes wrong: as it is written, and when it is asked."""

from __future__ import annotations

from typing import ClassVar

from appliance.errors import ApplianceError, Rejected

__all__ = ["BadCondition", "EvaluationError"]

AROUND = 40  # characters shown on either side of the place


class BadCondition(Rejected):
    """A condition that cannot be read. Message, column and hint name the place; the hint shows it."""

    code: ClassVar[str] = "bad_condition"
    status: ClassVar[int] = 400

    def __init__(self, message: str, text: str, at: int, *, hint: str = "") -> None:
        """
        Args:
            at: index in `text` of the character in question.
        """
        super().__init__(
            f"condition, column {at + 1}: {message}",
            hint="\n".join(filter(None, (_shown(text, at), hint))),
            column=at + 1,
        )


class EvaluationError(ApplianceError):
    """A condition that has no answer for an event: a field is missing, or is not what is compared."""

    code: ClassVar[str] = "condition_unanswered"


def _shown(text: str, at: int) -> str:
    """The text around the place, and a caret below it."""
    start = max(0, at - AROUND)
    line = "".join(c if c.isprintable() else " " for c in text[start : at + AROUND])
    cut = "…" if start else ""
    return f"{cut}{line}\n{' ' * (at - start + len(cut))}^" if line.strip() else ""
