"""What the door stamps on an event: memory, actor, correlation and cause."""

from __future__ import annotations

import json

import pytest

from appliance.errors import Forbidden, Rejected
from appliance.ingress.labels import labelled
from appliance.model.event import Draft, Namespace
from appliance.model.principal import Principal
from appliance.model.tracing import served

SPACE = Namespace(1, "default")
BOB = Principal(SPACE, frozenset({"write"}), subject="bob", token_id="t1")


def bound_to(*memories: str) -> Principal:
    return Principal(SPACE, frozenset({"write"}), subject="bob", memories=frozenset(memories))


def stamped(principal: Principal, metadata: str | None = None, **labels: str) -> dict[str, object]:
    draft = labelled(Draft("order-7", "OrderPlaced", "{}", metadata), principal, **labels)  # type: ignore[arg-type]
    found: dict[str, object] = json.loads(draft.metadata or "null")
    return found


def test_an_event_says_who_caused_it_and_what_it_belongs_to():
    found = stamped(BOB, memory="work", correlation="c-1", causation="d-1")

    assert found == {
        "memory": "work",
        "correlationId": "c-1",
        "causationId": "d-1",
        "actor": {"kind": "user", "id": "bob"},
    }


def test_what_is_not_said_is_left_out():
    assert stamped(Principal(SPACE, frozenset({"write"}))) == {"actor": {"kind": "user"}}


@pytest.mark.parametrize(
    ("scopes", "kind"), [({"write"}, "user"), ({"write", "mcp"}, "agent"), ({"write", "mcp", "admin"}, "user")]
)
def test_an_agent_is_known_by_its_scope(scopes: set[str], kind: str):
    assert stamped(Principal(SPACE, frozenset(scopes), subject="x"))["actor"] == {"kind": kind, "id": "x"}


def test_the_appliance_itself_is_the_system():
    assert stamped(BOB, kind="system")["actor"] == {"kind": "system", "id": "bob"}


def test_labels_that_came_with_the_metadata_are_nobodys():
    forged = {"memory": "secret", "actor": {"kind": "system"}, "correlationId": "x", "causationId": "y", "rest": [1.0]}

    assert stamped(BOB, json.dumps(forged)) == {"rest": [1.0], "actor": {"kind": "user", "id": "bob"}}


def test_a_bound_token_writes_into_its_own_memories_only():
    assert stamped(bound_to("work"))["memory"] == "work"
    assert stamped(bound_to("work", "home"), memory="home")["memory"] == "home"
    with pytest.raises(Forbidden):
        stamped(bound_to("work"), memory="home")
    with pytest.raises(Rejected) as refused:
        stamped(bound_to("work", "home"))
    assert refused.value.hint == "name one: home, work"


@pytest.mark.parametrize("name", ["memory", "correlation", "causation"])
@pytest.mark.parametrize("value", ["x" * 201, "a\nb", "\x00"])
def test_a_label_is_short_and_printable(name: str, value: str):
    with pytest.raises(Rejected):
        stamped(BOB, **{name: value})


def test_an_event_belongs_to_the_trace_of_its_request_or_of_its_cause():
    parent, other = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")

    with served("r-1", parent):
        inside, given = stamped(BOB), stamped(BOB, trace=other)
    forged = stamped(BOB, json.dumps({"traceparent": other}))

    assert (inside["traceparent"], given["traceparent"]) == (parent, other)
    assert "traceparent" not in forged
