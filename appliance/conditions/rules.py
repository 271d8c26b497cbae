"""A tree made into functions: one that answers, and one that says why the answer is not the wanted one.

Each node becomes a closure over closures, so that asking costs a few calls and no look at the tree. The explanation
goes the same way and stops where the answer stops; what is wanted of a negated part is the contrary.
"""

from __future__ import annotations

from appliance.conditions.changes import changed, known
from appliance.conditions.comparisons import compared
from appliance.conditions.facts import Facts
from appliance.conditions.rule import Holds, Rule
from appliance.conditions.syntax import And, Changed, Compare, Known, Node, Not, Or

__all__ = ["rule_of"]


def rule_of(node: Node, *, strict: bool) -> Rule:
    """The functions of a tree.

    Args:
        strict: a missing field is an error; else it is null.
    """
    match node:
        case Not(part):
            inner = rule_of(part, strict=strict)
            return Rule(lambda facts: not inner.holds(facts), lambda facts, want: inner.why_not(facts, not want))
        case And(parts) | Or(parts):
            return _joined([rule_of(part, strict=strict) for part in parts], every=isinstance(node, And))
        case Known():
            return known(node)
        case Changed():
            return changed(node)
        case Compare():
            return compared(node, strict=strict)


def _joined(rules: list[Rule], *, every: bool) -> Rule:
    first, second, *more = [rule.holds for rule in rules]
    questions = (first, second, *more)
    holds: Holds
    if more:
        holds = (
            (lambda facts: all(one(facts) for one in questions))
            if every
            else (lambda facts: any(one(facts) for one in questions))
        )
    else:
        holds = (
            (lambda facts: first(facts) and second(facts)) if every else (lambda facts: first(facts) or second(facts))
        )

    def why_not(facts: Facts, want: bool) -> str:
        reasons = []
        for rule in rules:
            reason = rule.why_not(facts, want)
            if bool(reason) is (every is want):
                return reason
            reasons.append(reason)
        return ", and ".join(reasons) if every is not want else ""

    return Rule(holds, why_not)
