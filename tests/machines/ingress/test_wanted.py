"""Bodies of POST /api/v1/events, read and checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import Forbidden, Rejected, TooLarge
from appliance.ingress.wanted import MOST_EVENTS, wanted
from appliance.model.event import Draft, Namespace
from appliance.model.principal import Principal
from tests.fixtures.golden import GOLDEN, Golden
from tests.fixtures.notes import catalog_of_48

BOB = Principal(Namespace(1, "default"), frozenset({"write"}), subject="bob")
BOUND = Principal(Namespace(1, "default"), frozenset({"write"}), memories=frozenset({"work"}))

ORDER = {"type": "OrderPlaced"}


def drafts(*events: Any, who: Principal = BOB) -> list[Draft]:
    found, many = wanted(catalog_of_48(), who, json.dumps(list(events)).encode())
    assert many
    return [one.draft for one in found]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_every_golden_payload_is_taken_and_goes_to_the_stream_of_its_entity(golden: Golden):
    (draft,) = drafts(golden.payload)

    assert (draft.type, draft.stream, json.loads(draft.data)) == (
        golden.name,
        golden.stored["stream"],
        golden.stored["data"],
    )


def test_members_stand_beside_the_type_or_under_data():
    flat, nested = drafts(
        {**ORDER, "total": 5, "stream": "order-7"}, {**ORDER, "data": {"total": 5}, "stream": "order-7"}
    )

    assert flat == nested
    assert flat.data == '{"total":5}'


def test_one_event_alone_is_no_array():
    found, many = wanted(catalog_of_48(), BOB, b' {"type":"order.placed","a" : 1.0}')

    assert (many, found[0].draft.type, found[0].draft.data) == (False, "order.placed", '{"a":1.0}')


def test_a_dotted_name_of_a_declared_type_is_stored_as_its_name():
    assert drafts({"type": "note.deleted", "note_id": "n1"})[0].type == "NoteDeleted"


@pytest.mark.parametrize(
    ("event", "stream"),
    [
        ({"type": "NoteDeleted", "note_id": "n1"}, "note-n1"),
        ({"type": "NoteDeleted", "note_id": "n1", "stream": "elsewhere"}, "elsewhere"),
        ({"type": "OrderPlaced", "order_id": "7"}, "order-7"),
        ({"type": "OrderPlaced", "order_id": 7}, "order-7"),
        ({"type": "OrderPlaced", "order_id": {"a": 1}}, "order"),
        ({"type": "OrderPlaced"}, "order"),
        ({"type": "ArchiveDeleted", "name": "x"}, "archive"),
        ({"type": "QueueStatus", "total_jobs": 0, "running": 0, "pending": 0}, "queue"),
    ],
)
def test_the_stream_is_that_of_the_thing_it_is_about(event: dict[str, Any], stream: str):
    assert drafts(event)[0].stream == stream


def test_labels_and_an_id_may_stand_beside():
    more = {
        "event_id": "0190fe00-0000-7000-8000-000000000001",
        "memory": "work",
        "correlation_id": "c",
        "causation_id": "d",
    }

    (draft,) = drafts({**ORDER, "data": {}, **more})

    labels = json.loads(draft.metadata or "")
    assert (draft.id, draft.data) == (more["event_id"], "{}")
    assert (labels["memory"], labels["correlationId"], labels["causationId"]) == ("work", "c", "d")


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({}, "type is missing"),
        ({"type": ""}, "type is empty"),
        ({"type": 7}, "type is no text"),
        ({**ORDER, "data": []}, "data is no object"),
        ({**ORDER, "data": {}, "total": 5}, "beside data there is total"),
        ({**ORDER, "memory": 7}, "memory is no text"),
        ({**ORDER, "stream": ""}, "stream is empty"),
        ({"type": "NoteDeleted"}, "note_id"),
        ({"type": "NoteDeleted", "note_id": "n1", "colour": "red"}, "colour"),
        ({"type": "EventsLagged", "dropped_count": 1, "reason": "x"}, "said by the appliance itself"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(event: dict[str, Any], says: str):
    with pytest.raises(Rejected, match=rf"^\[1\]: .*{says}"):
        drafts({**ORDER}, event)


@pytest.mark.parametrize("body", [b"", b"7", b"[]", b"[7]", b'"x"', b"{", b'{"type":"A","type":"B"}', b"\xff"])
def test_what_is_no_event_is_refused(body: bytes):
    with pytest.raises(Rejected):
        wanted(catalog_of_48(), BOB, body)


def test_a_thousand_are_taken_and_one_more_is_not():
    assert len(drafts(*[ORDER] * MOST_EVENTS)) == MOST_EVENTS
    with pytest.raises(TooLarge):
        drafts(*[ORDER] * (MOST_EVENTS + 1))


def test_nobody_writes_into_a_memory_that_is_not_theirs():
    with pytest.raises(Forbidden):
        drafts({**ORDER, "memory": "home"}, who=BOUND)
    assert '"memory":"work"' in (drafts(ORDER, who=BOUND)[0].metadata or "")


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes):
    try:
        found, _ = wanted(catalog_of_48(), BOB, body)
    except Rejected:
        return

    assert all(json.loads(one.draft.data) is not None for one in found)
