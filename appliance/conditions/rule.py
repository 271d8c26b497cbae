"""What a part of a condition is made into."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from appliance.conditions.facts import Facts

__all__ = ["Holds", "Rule", "WhyNot"]

Holds = Callable[[Facts], bool]
WhyNot = Callable[[Facts, bool], str]  # what is wanted → why it is not so; empty: it is


class Rule(NamedTuple):
    """Both raise EvaluationError where there is no answer."""

    holds: Holds
    why_not: WhyNot
