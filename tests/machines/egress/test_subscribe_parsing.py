"""The query of GET /subscribe, refusals word for word."""

from __future__ import annotations

import pytest

from appliance.egress.sse.subscribe import parse
from appliance.model.event import Group
from appliance.model.topic import Topic


@pytest.mark.parametrize(
    ("query", "topic", "since"),
    [
        ({"stream": "account-1"}, Topic(7, stream="account-1"), 0),
        ({"stream": "account-1", "position": "5"}, Topic(7, stream="account-1"), 5),
        ({"stream": "account-1", "position": "-3"}, Topic(7, stream="account-1"), 0),
        ({"category": "account"}, Topic(7, categories=("account",)), 0),
        ({"categories": "b,a,,b"}, Topic(7, categories=("a", "b")), 0),
        ({"category": "c", "categories": "a"}, Topic(7, categories=("a", "c")), 0),
        ({"all": "true"}, Topic(7), None),
        ({"all": "true", "position": "9"}, Topic(7), 9),
        ({"category": "a", "consumer": "1", "size": "2"}, Topic(7, categories=("a",), group=Group(1, 2)), 0),
        (
            {"category": "a", "consumerGroupMember": "0", "consumerGroupSize": "2", "position": "3"},
            Topic(7, categories=("a",), group=Group(0, 2)),
            3,
        ),
        ({"category": "a", "size": "2"}, Topic(7, categories=("a",)), 0),
    ],
)
def test_query_says_what_to_follow_and_from_where(query: dict[str, str], topic: Topic, since: int | None):
    assert parse(query, 7) == (topic, since)


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({}, "Either 'stream', 'category', or 'all=true' parameter required"),
        ({"all": "1"}, "Either 'stream', 'category', or 'all=true' parameter required"),
        ({"all": "true", "stream": "a"}, "Cannot combine 'all' with 'stream' or 'category'"),
        ({"all": "true", "category": "a"}, "Cannot combine 'all' with 'stream' or 'category'"),
        ({"stream": "a", "category": "b"}, "Cannot specify both 'stream' and 'category'"),
        ({"stream": "a", "position": "x"}, "Invalid position parameter"),
        ({"stream": "a", "position": "1.5"}, "Invalid position parameter"),
        ({"stream": "a", "position": "٣"}, "Invalid position parameter"),
        ({"stream": "a", "position": "9" * 30}, "Invalid position parameter"),
        ({"category": "a", "consumer": "x", "size": "2"}, "Invalid consumer parameter"),
        ({"category": "a", "consumer": "-1", "size": "2"}, "Invalid consumer parameter"),
        ({"category": "a", "consumer": "0", "size": "x"}, "Invalid size parameter"),
        ({"category": "a", "consumer": "2", "size": "2"}, "Invalid consumer group: member must be < size"),
        ({"category": "a", "consumer": "0", "size": "0"}, "Invalid consumer group: member must be < size"),
        ({"category": "a", "consumer": "0"}, "Invalid consumer group: member must be < size"),
        ({"categories": ",".join(f"c{n}" for n in range(101))}, "At most 100 categories in one subscription"),
    ],
)
def test_bad_queries_are_refused_word_for_word(query: dict[str, str], refusal: str):
    with pytest.raises(ValueError) as error:
        parse(query, 7)

    assert str(error.value) == refusal
