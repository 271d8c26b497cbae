"""Names of broadcast channels, and how they lie in the log."""

from __future__ import annotations

import pytest

from appliance.errors import Rejected
from appliance.model.channels import (
    ChannelRule,
    by_scope,
    channel_of,
    check_channel,
    is_channel,
    ruled,
    stream_of,
)
from appliance.model.event import Namespace
from appliance.model.names import category_of
from appliance.model.principal import READ, WRITE, Principal


@pytest.mark.parametrize("name", ["order", "integration-test", "a/b", "ü 🧪", " ", "👩‍👩‍👧", "x" * 200, "channel-x"])
def test_a_channel_is_a_stream_of_its_category(name: str):
    assert is_channel(name)
    assert check_channel(name) == name
    assert category_of(stream_of(name)) == "channel"
    assert channel_of(stream_of(name)) == name


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x00", "\x7f", "\x9f", "\ud800"])
def test_names_that_no_channel_can_have(name: str):
    assert not is_channel(name)
    with pytest.raises(Rejected, match="1 to 200 characters"):
        check_channel(name)


def test_who_has_the_scope_has_it_for_all_channels():
    reader = Principal(Namespace(1, "default"), frozenset({"read"}))

    assert (by_scope(reader, "order", READ), by_scope(reader, "order", WRITE)) == (True, False)


def caller(*scopes: str, name: str = "") -> Principal:
    return Principal(Namespace(1, "default"), frozenset(scopes), subject=name)


@pytest.mark.parametrize(
    ("who", "channel", "scope", "allowed"),
    [
        (caller("read"), "order", READ, True),
        (caller("read"), "private-a", READ, False),
        (caller("read", "mcp"), "private-a", READ, True),
        (caller("read", name="screen"), "private-a", READ, True),
        (caller("mcp", name="screen"), "private-a", READ, False),  # a rule narrows, it gives nothing
        (caller("admin"), "private-a", READ, True),
        (caller("read", "write"), "private-a", WRITE, True),  # the rule is silent on writing
        (caller("read", "mcp"), "private-office-1", READ, False),  # the longer beginning counts
        (caller("read", name="anna"), "private-office-1", READ, True),
        (caller("read", name="anna"), "private-office-door", READ, False),  # the whole name counts before any
        (caller("read", name="ben"), "private-office-door", READ, True),
        (caller("read", "mcp"), "private", READ, True),
    ],
)
def test_the_rule_of_a_channel(who: Principal, channel: str, scope: str, allowed: bool):
    may = ruled(
        {
            "private-*": ChannelRule(read=("mcp", "screen")),
            "private-office-*": ChannelRule(read=("anna",), write=("admin",)),
            "private-office-door": ChannelRule(read=("ben",)),
        }
    )

    assert may(who, channel, scope) is allowed
