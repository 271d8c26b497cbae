"""Conditions: when an event is one for somebody. Pure; used by webhooks, plugins and observers."""

from appliance.conditions.condition import Condition, compile
from appliance.conditions.errors import BadCondition, EvaluationError
from appliance.conditions.facts import Facts, facts_of

__all__ = ["BadCondition", "Condition", "EvaluationError", "Facts", "compile", "facts_of"]
