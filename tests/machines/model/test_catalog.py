"""The registry of event types: names, shapes, and what an event is about."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import Rejected
from appliance.model.catalog import Catalog, UnknownType
from appliance.model.event import Event
from appliance.model.occasions import CORE
from appliance.model.types import EventType, Priority, derived, tagged
from tests.fixtures.golden import GOLDEN, Golden, compact
from tests.fixtures.notes import NOTES, catalog_of_48

EACH = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


def an_event(
    type: str, data: str = "{}", metadata: str | None = None, *, stream: str = "order-7", position: int = 0
) -> Event:
    return Event(1, stream, type, position, 9, "0190fe00-0000-7000-8000-000000000001", data, metadata, 0)


def test_there_are_48_types_and_a_golden_file_for_each():
    types = [type.name for type in catalog_of_48().types if not type.spoken]

    assert len(types) == 48
    assert sorted(types) == [golden.name for golden in GOLDEN]


@EACH
def test_serverevent_round_trip(golden: Golden):
    """test_serverevent_serialization, _deserialization, _round_trip: text → object → text is the same text."""
    text = compact(golden.payload)

    decoded = catalog_of_48().decode(text)

    assert type(decoded).__name__ == golden.name
    assert msgspec.json.encode(decoded).decode() == text


@EACH
def test_an_unknown_member_of_any_type_is_refused_by_name(golden: Golden):
    with pytest.raises(Rejected, match="colour"):
        catalog_of_48().decode(compact({**golden.payload, "colour": "red"}))


@EACH
def test_a_golden_event_is_about_what_its_envelope_says(golden: Golden):
    view = catalog_of_48().view(golden.event)

    assert view.entity == golden.dotted.get("entity_type", "")
    assert view.entity_id == golden.dotted.get("entity_id", "")
    assert view.memory == golden.bare.get("memory", "")
    assert view.type.stored is not golden.bare.get("ephemeral", False)


@pytest.mark.parametrize("golden", [one for one in GOLDEN if one.stored["data"]], ids=lambda golden: golden.name)
def test_a_member_of_the_wrong_kind_is_refused_with_its_place(golden: Golden):
    name = next(iter(golden.stored["data"]))

    with pytest.raises(Rejected, match=rf"{golden.name}: .*\$\.{name}"):
        catalog_of_48().decode(compact({**golden.payload, name: {"not": "this"}}))


def test_both_spellings_name_the_same_type():
    catalog = catalog_of_48()

    for known in catalog.types:
        assert catalog.find(known.name) is catalog.find(known.dotted) is known


def test_a_dotted_type_decodes_to_the_same_object():
    catalog = Catalog()

    dotted = catalog.decode('{"job_id":"7","type":"job.started","job_type":"Embedding"}')

    assert dotted == catalog.decode('{"type":"JobStarted","job_id":"7","job_type":"Embedding"}')


def test_an_unknown_type_is_a_clean_refusal_that_knows_what_was_meant():
    catalog = catalog_of_48()

    with pytest.raises(UnknownType) as refused:
        catalog.decode('{"type":"NoteUpdatd","note_id":"7"}')

    assert (refused.value.status, refused.value.hint) == (422, 'did you mean "NoteUpdated"?')


def test_a_misspelt_member_is_named_with_the_right_one():
    with pytest.raises(Rejected) as refused:
        Catalog().decode('{"type":"JobStarted","job_idd":"7","job_type":"Embedding"}')

    assert refused.value.hint == 'did you mean "job_id"?'


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "null", '"JobStarted"', "{}", '{"type":7}', '{"type":null}', '{"type":"JobStarted"}', "\x00"],
)
def test_what_is_no_event_is_refused(text: str):
    with pytest.raises(Rejected):
        Catalog().decode(text)


def test_a_member_without_a_value_is_left_out_and_never_null():
    with pytest.raises(Rejected, match="note_id"):
        Catalog().decode('{"type":"JobStarted","job_id":"7","job_type":"Embedding","note_id":null}')


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_decode_or_are_refused(text: bytes):
    catalog = Catalog()

    try:
        decoded = catalog.decode(text)
    except Rejected:
        return

    assert catalog.decode(msgspec.json.encode(decoded)) == decoded


@pytest.mark.parametrize(
    "leak",
    ["/home/anna/notes.md", "postgres://u:p@h/db", "SELECT * FROM notes", "anna@example.org", "Traceback: x", ""],
)
def test_the_error_of_a_job_is_a_code_and_nothing_can_leak_through_it(leak: str):
    """test_telemetry_no_pii_in_logs (#45): of what happened only a stable word is told."""
    with pytest.raises(Rejected, match=r"\$\.error"):
        Catalog().decode(compact({"type": "JobFailed", "job_id": "7", "job_type": "Embedding", "error": leak}))


def test_data_is_held_against_its_shape_without_a_tag():
    catalog = Catalog()
    progress, order = catalog.of("JobProgress"), catalog.of("OrderPlaced")

    catalog.check(progress, '{"job_id":"7","progress":100}')
    catalog.check(order, '{"anything":[1,2]}')

    for wrong in ('{"job_id":"7","progress":101}', "{}", '{"job_id":"7","progress":1,"type":"JobFailed"}'):
        with pytest.raises(Rejected):
            catalog.check(progress, wrong)


def test_a_type_nobody_declared_is_understood_by_its_name_and_stream():
    catalog = Catalog()

    view = catalog.view(an_event("OrderPlaced", '{"total":5}', stream="order-7+b"))

    assert (view.type.dotted, view.entity, view.entity_id) == ("order.placed", "order", "7+b")
    assert (view.type.declared, view.type.stored, view.key) == (False, True, "")
    assert catalog.find("OrderPlaced") is None
    assert catalog.of("OrderPlaced") is view.type


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("OrderPlaced", "order.placed"),
        ("orderPlaced", "order.placed"),
        ("HTTPServerStarted", "http.server.started"),
        ("Order2Placed", "order2.placed"),
        ("order.placed", "order.placed"),
        ("Order.Placed", "order.placed"),
        ("placed", "placed"),
        ("order_placed", "order_placed"),
        ("ÄrgerGab", "ärger.gab"),
        ("", ""),
    ],
)
def test_a_dotted_name_is_made_of_the_words_of_a_name(name: str, dotted: str):
    assert derived(name).dotted == dotted


def test_the_types_of_strangers_are_forgotten_before_they_fill_the_memory():
    catalog = Catalog()

    for number in range(10_001):
        catalog.of(f"Type{number}")

    assert catalog.of("Type10000") is catalog.of("Type10000")
    assert len(catalog._derived) <= 10_000


def test_a_name_is_declared_once():
    catalog = catalog_of_48()

    for clash in (EventType("NoteUpdated", "note.renewed"), EventType("NoteRenewed", "note.updated")):
        with pytest.raises(Rejected, match="declared already"):
            catalog.declare(clash, "other")


def test_an_owner_that_comes_back_declares_anew():
    catalog = Catalog()
    catalog.declare(EventType("GuestArrived", "guest.arrived", "guest", "id"), "host")
    before = catalog.view(event := an_event("GuestArrived", '{"guest_id":"7"}', stream="guest-7"))

    catalog.declare(EventType("GuestArrived", "guest.came", "guest", "guest_id"), "host")

    assert before.entity_id == ""
    assert catalog.view(event).entity_id == "7"
    assert catalog.find("guest.arrived") is None
    assert catalog.find("guest.came") is catalog.find("GuestArrived")


def test_a_declaration_takes_the_place_of_what_was_made_up():
    catalog = Catalog()
    assert not catalog.of("GuestArrived").declared

    catalog.declare(EventType("GuestArrived", "guest.arrived"), "host")

    assert catalog.of("GuestArrived").declared


def test_one_look_into_an_event_serves_all_who_ask():
    catalog, event = Catalog(), an_event("OrderPlaced")

    assert catalog.view(event) is catalog.view(event)
    assert catalog.view(an_event("OrderPlaced")) is not catalog.view(event)


def test_labels_are_read_from_the_metadata():
    actor = {"kind": "user", "id": "u-1", "name": "Alice", "token": "hidden"}
    metadata = {"memory": "research", "actor": actor, "correlationId": "c", "causationId": "d", "other": 1}

    view = Catalog().view(an_event("OrderPlaced", metadata=compact(metadata)))

    assert (view.memory, view.correlation, view.causation) == ("research", "c", "d")
    assert view.actor == {"kind": "user", "id": "u-1", "name": "Alice"}


@pytest.mark.parametrize(
    "metadata",
    [
        "[]",
        "7",
        "{",
        "",
        '{"memory":7,"actor":"me","correlationId":{},"causationId":null}',
        '{"actor":{"kind":"god","id":"x"}}',
        '{"actor":{"kind":["user"]}}',
    ],
)
def test_labels_that_make_no_sense_are_none(metadata: str):
    view = Catalog().view(an_event("OrderPlaced", metadata=metadata))

    assert (view.memory, dict(view.actor), view.correlation, view.causation) == ("", {}, "", "")


@pytest.mark.parametrize(("id", "found"), [('"n1"', "n1"), ("7", "7"), ("null", ""), ("[1]", ""), ("1.5", "")])
def test_the_entity_is_a_text_or_a_whole_number(id: str, found: str):
    view = catalog_of_48().view(an_event("NoteDeleted", f'{{"note_id":{id}}}'))

    assert view.entity_id == found


@pytest.mark.parametrize(
    ("type", "data", "key", "settles"),
    [
        ("JobProgress", '{"job_id":"7"}', "job.progress:7", ""),
        ("JobCompleted", '{"job_id":"7"}', "", "job.progress:7"),
        ("JobFailed", '{"job_id":"7"}', "", "job.progress:7"),
        ("QueueStatus", "{}", "queue.status", ""),
        ("TagStatsUpdated", "{}", "tag.stats.updated", ""),
        ("NoteUpdated", '{"note_id":"7"}', "", ""),
    ],
)
def test_only_what_is_low_is_merged_and_each_job_for_itself(type: str, data: str, key: str, settles: str):
    view = catalog_of_48().view(an_event(type, data))

    assert (view.key, view.settles) == (key, settles)
    assert bool(key) is (view.type.priority is Priority.LOW)


def test_events_of_two_memories_are_never_merged():
    catalog = Catalog()

    keys = {
        catalog.view(an_event("QueueStatus", metadata=metadata)).key for metadata in (None, '{"memory":"research"}')
    }

    assert keys == {"queue.status", "queue.status@research"}


def test_what_is_merged_is_not_stored():
    for type in (*CORE, *NOTES):
        assert not (type.merge and type.stored), type.name


def test_a_declared_class_becomes_a_strict_shape():
    @dataclass
    class Guest:
        guest_id: str
        seats: int = 1
        wishes: list[str] = dataclasses.field(default_factory=list)

    catalog = Catalog()
    catalog.declare(EventType("Guest", "guest", shape=_tagged(Guest)), "host")

    assert catalog.decode('{"type":"Guest","guest_id":"7"}').wishes == []
    assert catalog.decode('{"type":"Guest","guest_id":"7","seats":2}').seats == 2
    with pytest.raises(Rejected, match="seats"):
        catalog.decode('{"type":"Guest","guest_id":"7","seats":"two"}')


def test_a_class_with_a_member_named_type_has_no_shape():
    @dataclass
    class Odd:
        type: str

    assert tagged(Odd) is None


def _tagged(cls: type) -> type[msgspec.Struct]:
    shape = tagged(cls)
    assert shape is not None
    return shape


def test_a_type_may_be_declared_twice_if_both_say_the_same():
    @dataclass
    class Guest:
        guest_id: str

    @dataclass
    class Other:
        guest_id: int

    Other.__name__ = "Guest"
    catalog = Catalog()
    catalog.declare(EventType("Guest", "guest", shape=_tagged(Guest)), "host")

    catalog.declare(EventType("Guest", "guest", shape=_tagged(Guest)), "other")

    with pytest.raises(Rejected, match="by plugin host"):
        catalog.declare(EventType("Guest", "guest", shape=_tagged(Other)), "other")
