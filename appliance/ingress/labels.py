"""What an event says about itself besides its data: whose memory it is in, who caused it, and what it belongs to.

Labels are members of the metadata: `memory`, `actor`, `correlationId`, `causationId`, `traceparent`. The door stamps
them, so a writer can neither write into a memory it is not bound to nor pass for somebody else. Pure.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.errors import Forbidden, Rejected
from appliance.model.event import Draft
from appliance.model.principal import ADMIN, MCP, Principal
from appliance.model.sight import SIGHT
from appliance.model.tracing import TRACE, TRACEPARENT

__all__ = ["LABELS", "LONGEST_LABEL", "labelled", "memory_of"]

LABELS = frozenset({"memory", "actor", "correlationId", "causationId", TRACEPARENT, SIGHT})
LONGEST_LABEL = 200  # characters

Kind = Literal["user", "agent", "system"]

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def labelled(
    draft: Draft,
    principal: Principal,
    *,
    memory: str = "",
    correlation: str = "",
    causation: str = "",
    kind: Kind | None = None,
    trace: str = "",
) -> Draft:
    """`draft` with its labels; other members of its metadata stay, labels that were in it do not.

    Args:
        memory: the one it is for; empty: none, or the one the caller is bound to.
        kind: of actor; None: a caller with scope `mcp` and without `admin` is an agent, any other a user.
        trace: as `tracing.traceparent` gives it; empty: that of the request being served, if it has one.

    Raises:
        Forbidden: the caller is bound to other memories.
        Rejected: a label is too long or not printable, or the caller is bound to several memories and names none.
    """
    given = {} if draft.metadata is None else _members(draft.metadata)
    labels: dict[str, object] = {name: value for name, value in given.items() if name not in LABELS}
    said = {"memory": memory_of(principal, memory), "correlationId": correlation, "causationId": causation}
    for name, value in said.items():
        if value:
            labels[name] = _checked(name, value)
    labels["actor"] = _actor(principal, kind)
    if trace := trace or TRACE.get():
        labels[TRACEPARENT] = trace
    return msgspec.structs.replace(draft, metadata=msgspec.json.encode(labels).decode())


def memory_of(principal: Principal, memory: str) -> str:
    """The memory that what a caller writes is in, given the one it names; "": none.

    Raises:
        Forbidden: the caller is bound to others.
        Rejected: it is bound to several and names none.
    """
    bound = principal.memories
    if not bound or memory in bound:
        return memory
    if memory:
        raise Forbidden("this token is not bound to that memory", hint="leave memory out, or name one it is bound to")
    if len(bound) > 1:
        raise Rejected("this token is bound to several memories", hint=f"name one: {', '.join(sorted(bound))}")
    return next(iter(bound))


def _actor(principal: Principal, kind: Kind | None) -> dict[str, str]:
    """Who: the caller's name or the id of its token, never its secret."""
    agent = MCP in principal.scopes and ADMIN not in principal.scopes
    actor: dict[str, str] = {"kind": kind or ("agent" if agent else "user")}
    if principal.subject:
        actor["id"] = principal.subject
    return actor


def _checked(name: str, value: str) -> str:
    if len(value) > LONGEST_LABEL or not value.isprintable():
        raise Rejected(f"{name} has up to {LONGEST_LABEL} printable characters")
    return value
