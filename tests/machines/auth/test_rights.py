"""Whose events a caller is shown."""

from __future__ import annotations

import pytest

from appliance.auth.rights import memories_for
from appliance.errors import Forbidden
from appliance.model.event import Namespace
from appliance.model.principal import Principal


def caller(*scopes: str, memories: tuple[str, ...] = ()) -> Principal:
    return Principal(Namespace(1, "default"), frozenset(scopes), memories=frozenset(memories))


@pytest.mark.parametrize(
    ("who", "asked", "shown"),
    [
        (caller("admin"), None, None),
        (caller("admin"), "work", ("work",)),
        (caller("admin"), "", ("",)),
        (caller("read"), None, ("",)),
        (caller("read"), "work", ("work",)),
        (caller("read"), "", ("",)),
        (caller("read", memories=("work", "home")), None, ("home", "work")),
        (caller("read", memories=("work", "home")), "work", ("work",)),
        (caller("admin", memories=("work",)), None, ("work",)),
    ],
)
def test_a_caller_is_shown_the_memories_of_the_token_and_all_needs_admin(who, asked, shown):
    assert memories_for(who, asked) == shown


@pytest.mark.parametrize("asked", ["home", "", "Work"])
@pytest.mark.parametrize("scope", ["read", "admin"])
def test_a_bound_token_is_shown_no_other_memory(scope: str, asked: str):
    with pytest.raises(Forbidden) as refused:
        memories_for(caller(scope, memories=("work",)), asked)

    assert "work" not in refused.value.message + refused.value.hint
