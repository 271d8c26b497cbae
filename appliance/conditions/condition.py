"""A condition: a question about an event, as text, as an answer, and as an explanation."""

from __future__ import annotations

from functools import lru_cache

from appliance.conditions.errors import BadCondition, EvaluationError
from appliance.conditions.facts import Facts
from appliance.conditions.grammar import parsed
from appliance.conditions.rules import rule_of
from appliance.conditions.syntax import text_of
from appliance.conditions.tokens import LONGEST

__all__ = ["Condition", "compile"]


class Condition:
    """Made by `compile`.

    Attributes:
        text: in the canonical dialect.
        notes: what its author should know about how it was read.
    """

    def __init__(self, text: str, *, strict: bool) -> None:
        tree, self.notes = parsed(text)
        self.text = text_of(tree)
        if len(self.text.encode()) > LONGEST:
            raise BadCondition(f"written out it has more than {LONGEST} bytes", text, 0)
        self._rule = rule_of(tree, strict=strict)
        self.holds = self._rule.holds

    def explain(self, facts: Facts) -> str:
        """Why it does not hold, in a sentence: "`data.total` is 90, needed > 100". Empty: it holds."""
        try:
            return self._rule.why_not(facts, True)
        except EvaluationError as error:
            return error.message


@lru_cache(maxsize=512)
def compile(text: str, *, strict: bool = True) -> Condition:
    """The condition a text means, in any of the dialects. `holds` answers, or raises EvaluationError.

    Args:
        strict: a comparison with a missing field is an error; else the field is null, and null is less, more, part or
            beginning of nothing.

    Raises:
        BadCondition: with the column, the place, and a hint.
    """
    return Condition(text, strict=strict)
