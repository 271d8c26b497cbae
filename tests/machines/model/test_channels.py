"""Names of broadcast channels, and how they lie in the log."""

from __future__ import annotations

import pytest

from appliance.errors import Rejected
from appliance.model.channels import by_scope, channel_of, check_channel, is_channel, stream_of
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
