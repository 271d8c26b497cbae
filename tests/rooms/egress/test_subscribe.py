"""GET /subscribe at its border; what it follows is the bus's business."""

from __future__ import annotations

import pytest

from appliance.bus import Bus
from appliance.egress.clients.service import Manager
from appliance.egress.sse.subscribe import Subscribe, parse
from appliance.model.event import Event, Head, Namespace, Query
from appliance.model.http import Request, Response, Stream
from appliance.model.principal import Principal
from appliance.world import RealWorld


def asking(query: str, *scopes: str) -> Request:
    return Request("GET", "/subscribe", query, principal=Principal(Namespace(1, "default"), frozenset(scopes)))


async def nothing(query: Query) -> list[Event]:
    return []


async def at_seven(namespace: int, stream: str) -> Head | None:
    return Head(stream, 7, 0)


@pytest.fixture
def subscribe() -> Subscribe:
    clients = Manager(RealWorld(), lambda who: "", limit=1, per_address=1, per_subject=1)
    return Subscribe(Bus(nothing, lambda key: 100), clients, lambda handler: handler, at_seven, lambda key: 100)


async def test_a_token_that_may_not_read_hears_nothing(subscribe: Subscribe):
    answer = await subscribe.handle(asking("all=true", "write"))

    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (
        403,
        b'{"error":{"code":"AUTH_UNAUTHORIZED","message":"Token has no scope \'read\'"}}\n',
    )


async def test_a_wrong_parameter_is_answered_in_plain_text(subscribe: Subscribe):
    answer = await subscribe.handle(asking("stream=a&category=b", "read"))

    assert isinstance(answer, Response)
    assert (answer.status, answer.content_type) == (400, "text/plain; charset=utf-8")


async def test_a_reader_gets_an_event_stream(subscribe: Subscribe):
    answer = await subscribe.handle(asking("all=true", "read"))

    assert isinstance(answer, Stream)
    assert answer.content_type == "text/event-stream"
    assert ("cache-control", "no-cache") in answer.headers


@pytest.mark.parametrize(
    ("query", "floor"),
    [
        ("stream=a-1&position=8", 0),
        ("stream=a-1&position=9", 9),
        ("all=true&position=101", 0),
        ("all=true&position=102", 102),
    ],
)
async def test_a_position_that_lies_ahead_becomes_a_floor(subscribe: Subscribe, query: str, floor: int):
    request = asking(query, "read")
    topic, since = parse(request.query, 1)

    assert (await subscribe._with_floor(topic, since)).floor == floor
