"""What is sent in each format, and the headers beside it."""

from __future__ import annotations

import json

import pytest

from appliance.egress.webhooks.bodies import headers, message, message_id
from appliance.egress.webhooks.endpoint import Format, Place, Secret, good_secrets, shown_url
from appliance.model.catalog import Catalog
from appliance.model.event import Event

EVENT = Event(
    1,
    "note-n1",
    "NoteUpdated",
    4,
    9,
    "018f7d2d-0007-7000-8001-f147d6a2e70a",
    '{"note_id":"n1","tags":["a"],"big":12345678901234567890,"event":"mine"}',
    '{"memory":"work","actor":{"kind":"user","id":"u-1"}}',
    1_700_000_000_000_000,
)
ID = "msg_018f7d2d000770008001f147d6a2e70a"


def sent(format: Format, event: Event = EVENT):
    return message(event, Catalog().view(event), format, "/namespaces/default")


def test_the_envelope_has_everything_and_copies_of_the_data_at_the_top():
    body = json.loads(sent("envelope").body)

    assert (body["event"], body["event_type"], body["note_id"], body["memory"]) == (
        "NoteUpdated", "note.updated", "n1", "work",
    )  # fmt: skip
    assert body["data"] == body["payload"] == {"type": "NoteUpdated", **json.loads(EVENT.data)}
    assert body["big"] == 12345678901234567890


def test_the_seed_has_the_name_and_the_members_and_nothing_else():
    plain = Event(1, "note-n1", "NoteUpdated", 0, 1, EVENT.id, '{"note_id":"n1"}', None, 1)

    assert sent("seed", plain).body == b'{"event":"NoteUpdated","note_id":"n1"}'


def test_standard_webhooks():
    body = json.loads(sent("standard").body)

    assert body == {
        "type": "note.updated", "timestamp": "2023-11-14T22:13:20.000000Z", "data": json.loads(EVENT.data),
    }  # fmt: skip


def test_cloudevents_structured_and_binary_say_the_same():
    structured, binary = sent("cloudevents"), sent("cloudevents-binary")
    document = json.loads(structured.body)
    attributes = {name.removeprefix("ce-"): value for name, value in binary.attributes}

    assert structured.content_type == "application/cloudevents+json"
    assert document.pop("data") == json.loads(binary.body) == json.loads(EVENT.data)
    assert document.pop("datacontenttype") == binary.content_type == "application/json"
    assert document == attributes
    assert (document["specversion"], document["id"], document["type"]) == ("1.0", EVENT.id, "note.updated")


@pytest.mark.parametrize("name", ["Grüße", "a\r\nb: c", "ok"])
def test_headers_hold_no_line_ends_and_only_ascii(name: str):
    event = Event(1, "note-ü", name, 0, 1, EVENT.id, "{}", None, 1)
    lines = headers(
        sent("cloudevents-binary", event), ["secret"], webhook="w", delivery="d", now_us=5_000_000, version="1"
    )

    assert all(value.isascii() and value.isprintable() for _, value in lines)
    assert dict(lines)["webhook-timestamp"] == "5"


def test_the_id_is_the_events_and_has_no_dot():
    assert message_id(EVENT.id) == ID
    assert {sent(format).id for format in ("envelope", "seed", "standard")} == {ID}


def test_while_a_secret_is_replaced_both_sign():
    place = Place("http://x/", (Secret("new"), Secret("old", 100)))
    lines = dict(headers(sent("seed"), good_secrets(place, 99), webhook="w", delivery="d", now_us=99, version="1"))

    assert len(lines["webhook-signature"].split()) == 2
    assert good_secrets(place, 100) == ("new",)


def test_a_url_is_shown_without_what_may_be_secret():
    assert shown_url("https://u:p@host:8443/a/b?token=abc&x=1#f") == "https://host:8443/a/b?token=(hidden)&x=(hidden)"
