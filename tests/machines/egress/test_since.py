"""From the last event seen to the first one wanted."""

from __future__ import annotations

import pytest

from appliance.egress.since import Start, begin_after, last_seen
from appliance.model.event import Event

ID = "0190fe00-0000-7000-8000-000000000007"


async def find(namespace: int, id: str) -> Event | None:
    return Event(1, "a-1", "A", 0, 7, ID, "{}", None, 0) if (namespace, id) == (1, ID) else None


@pytest.mark.parametrize(
    ("headers", "query", "text"),
    [
        ({}, {}, ""),
        ({"last-event-id": ""}, {}, ""),
        ({"last-event-id": " 7 "}, {"since": "1"}, "7"),
        ({"last-event-id": ""}, {"last_event_id": "6"}, "6"),
        ({}, {"lastEventId": "5", "since": "1"}, "5"),
        ({}, {"since": "0"}, "0"),
    ],
)
def test_where_the_last_event_is_named(headers: dict[str, str], query: dict[str, str], text: str):
    assert last_seen(headers, query) == text


@pytest.mark.parametrize(
    ("text", "since"),
    [("", None), ("0", 1), ("9", 10), ("0007", 8), (ID, 8), (ID.upper(), 8), (ID.replace("-", ""), 8)],
)
async def test_a_place_that_is_known(text: str, since: int | None):
    assert await begin_after(text, 1, find, lambda namespace: 9) == Start(since)


@pytest.mark.parametrize("text", ["10", "-1", "1.0", "٣", "now", "9" * 30, ID.replace("7", "8"), "\x00", "nul\u2028"])
async def test_a_place_that_is_not(text: str):
    start = await begin_after(text, 1, find, lambda namespace: 9)

    assert start.since is None
    assert start.lost


async def test_an_id_of_another_namespace_is_unknown():
    assert (await begin_after(ID, 2, find, lambda namespace: 9)).lost == "the log has no event of this id"
