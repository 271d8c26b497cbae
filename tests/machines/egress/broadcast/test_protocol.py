"""Frames of the broadcast dialect, in and out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.broadcast import protocol
from appliance.egress.broadcast.dialect import ChannelDialect
from appliance.egress.broadcast.protocol import Ask, BadFrame, understood
from appliance.model.event import Event
from appliance.model.topic import Lost
from tests.machines.egress.broadcast.wire import texts


@pytest.mark.parametrize(
    ("frame", "asks"),
    [
        ('{"subscribe":["a","b"]}', Ask(("a", "b"))),
        ('{"subscribe":["a","b","a"]}', Ask(("a", "b"))),
        ('{"unsubscribe":["a"]}', Ask((), ("a",))),
        ('{"subscribe":["a","b"],"unsubscribe":["b","c"]}', Ask(("a",), ("b", "c"))),
        ('{"subscribe":"a","unsubscribe":{"a":1}}', Ask()),
        ('{"subscribe":["a",1,null,"",["b"],{"c":1}]}', Ask(("a",))),
        ('{"subscribe":["a"],"since":{"a":-1}}', Ask(("a",), since={"a": -1})),
        ('{"subscribe":["a"],"ack":7}', Ask(("a",), ack=7)),
        ('{"subscribe":["a"],"ack":false,"since":null}', Ask(("a",))),
        ('{"type":"hello","channels":["a"]}', Ask()),
        ("{}", Ask()),
    ],
)
def test_a_frame_is_two_sets_and_what_is_no_list_or_no_name_is_ignored(frame: str, asks: Ask):
    assert understood(frame) == asks


@pytest.mark.parametrize(
    "frame",
    [
        "", "hello", "[]", '["subscribe"]', "1", "null", '{"subscribe":["a"]', '{"a":1}x', "[" * 100_000,
        '{"subscribe":["\\ud800"]}', '{"since":[]}', '{"since":{"a":"1"}}', '{"since":{"a":1.5}}', '{"since":{"a":-2}}',
        '{"since":{"a":true}}', '{"since":{"a":9007199254740992}}', '{"ack":{}}', '{"ack":1.5}',
        '{"ack":"' + "x" * 201 + '"}',
    ],
)  # fmt: skip
def test_what_asks_for_nothing_we_know_is_refused_with_a_hint(frame: str):
    with pytest.raises(BadFrame) as refused:
        understood(frame)

    assert refused.value.hint or "ack" in refused.value.message


@given(st.text() | st.binary(max_size=50).map(lambda raw: raw.decode("latin-1")))
def test_whatever_comes_is_understood_or_refused(frame: str):
    try:
        ask = understood(frame)
    except BadFrame:
        return

    assert not set(ask.subscribe) & set(ask.unsubscribe)


def test_only_messages_have_a_channel_at_the_top():
    """The plain client dispatches on `channel` alone, whatever else a frame holds."""
    ask = Ask(("order",), ("contact",), since={}, ack="a7")
    frames = b"".join(
        [
            protocol.welcome("c1", every=25.0, deadline=35.0),
            protocol.acknowledged(ask, ["order"], {"order": 41}),
            protocol.subscribe_error(["order"], "forbidden", "no"),
            protocol.gap("order", asked=42, next=60),
            protocol.error("bad_frame", "one JSON object", hint="so"),
            ChannelDialect("order").gap(Lost(1, 5)),
        ]
    )

    said = texts(frames)

    assert [one["type"] for one in said] == [
        "welcome", "subscribed", "unsubscribed", "subscribe_error", "gap", "error", "gap",
    ]  # fmt: skip
    assert not any("channel" in one for one in said)
    assert said[0] == {"type": "welcome", "connection_id": "c1", "ping_every_s": 25.0, "ping_deadline_s": 35.0}
    assert said[1] == {"type": "subscribed", "channels": ["order"], "offsets": {"order": 41}, "ack": "a7"}
    assert said[2] == {"type": "unsubscribed", "channels": ["contact"], "ack": "a7"}
    assert said[4] == {"type": "gap", "channels": ["order"], "asked": 42, "next": 60}
    assert said[6] == {"type": "gap", "channels": ["order"], "asked": 1, "next": 5}


def test_a_beat_is_a_ping_for_the_library_and_one_for_the_script():
    beat = protocol.beat(12.5)

    assert beat[0] == 0x89
    assert texts(beat) == [{"type": "ping"}]


def test_a_message_has_the_three_members_everybody_needs_and_four_beside():
    event = Event(
        1, 'channel-"ü"', "item_added", 41, 99, "an-id", '{"entity_id":"123","n":12345678901234567890}',
        '{"actor":{"kind":"user"},"origin":"m-1"}', 1_795_254_725_666_684,
    )  # fmt: skip

    frame = ChannelDialect('"ü"').encode(event)

    assert b'"payload":{"entity_id":"123","n":12345678901234567890}' in frame
    assert texts(frame) == [
        {
            "channel": '"ü"',
            "event": "item_added",
            "payload": {"entity_id": "123", "n": 12345678901234567890},
            "id": "an-id",
            "offset": 41,
            "ts": "2026-11-21T09:52:05.666684Z",
            "origin": "m-1",
        }
    ]


@pytest.mark.parametrize(
    "metadata", [None, "{}", '{"origin":""}', '{"origin":7}', '{"x":"\\"origin\\""}', '["origin"]']
)
def test_an_origin_that_is_none_is_left_out(metadata: str | None):
    event = Event(1, "channel-a", "e", 0, 1, "i", "{}", metadata, 0)

    (said,) = texts(ChannelDialect("a").encode(event))

    assert list(said) == ["channel", "event", "payload", "id", "offset", "ts"]


def test_readers_of_one_channel_share_what_readers_of_another_do_not():
    assert ChannelDialect("a") == ChannelDialect("a")
    assert len({ChannelDialect("a"), ChannelDialect("a"), ChannelDialect("b")}) == 2


def test_a_batch_is_its_frames_one_after_the_other():
    dialect = ChannelDialect("a")
    one, two = (dialect.encode(Event(1, "channel-a", "e", n, n, f"i{n}", "{}", None, 0)) for n in (0, 1))

    assert [said["offset"] for said in texts(dialect.join([one, two]))] == [0, 1]
    assert json.loads(one[2:])["id"] == "i0"
