"""How events look on the wire: the golden forms, and that nothing an event can hold breaks them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.envelope import BARE, ENVELOPE, bare, envelope
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from tests.fixtures.golden import GOLDEN, Golden, compact
from tests.fixtures.notes import catalog_of_48

EACH = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)

ALWAYS = {"event_id", "event_type", "occurred_at", "actor", "payload_version", "payload", "timestamp", "seq"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(sorted(ENVELOPE)) | st.text(max_size=8)
objects = st.dictionaries(names, values, max_size=6)
labels = st.dictionaries(st.sampled_from(["memory", "actor", "correlationId", "causationId", "x"]), values, max_size=5)
types = st.sampled_from(["NoteUpdated", "JobProgress", "QueueStatus", "note.updated", "OrderPlaced", 'ru"de\u2028'])


def an_event(data: str, metadata: str | None = None, *, type: str = "OrderPlaced", position: int = 0) -> Event:
    return Event(1, "order-7", type, position, 9, "0190fe00-0000-7000-8000-000000000001", data, metadata, 0)


def every_form(event: Event) -> list[str]:
    view = catalog_of_48().view(event)
    return [bare(event, view), envelope(event, view, "pascal"), envelope(event, view, "dotted")]


@EACH
def test_the_bare_form_is_the_golden_one(golden: Golden):
    assert bare(golden.event, catalog_of_48().view(golden.event)) == compact(golden.bare)


@EACH
@pytest.mark.parametrize("names", ["dotted", "pascal"])
def test_the_envelope_is_the_golden_one(golden: Golden, names: str):
    text = envelope(golden.event, catalog_of_48().view(golden.event), names)

    assert text == compact(getattr(golden, names))


@EACH
def test_the_payload_that_was_shown_decodes_again(golden: Golden):
    catalog = catalog_of_48()

    shown = json.loads(envelope(golden.event, catalog.view(golden.event), "dotted"))["payload"]

    assert type(catalog.decode(compact(shown))).__name__ == golden.name


def test_progress_has_both_of_its_names_and_its_own_value_wins():
    event = an_event('{"job_id":"7","progress":65,"progress_percent":64}', type="JobProgress", position=-1)

    shown = [json.loads(text) for text in every_form(event)]

    assert [(one.get("progress"), one.get("progress_percent")) for one in shown[:2]] == [(65, 64), (65, 64)]
    assert shown[2]["payload"]["progress_percent"] == 64


def test_members_with_names_of_ours_stay_whole_under_payload():
    data = dict.fromkeys(sorted(ENVELOPE), "theirs") | {"total": 5}
    event = an_event(compact(data))

    first, pascal, dotted = (json.loads(text) for text in every_form(event))

    assert pascal["payload"] == dotted["payload"] == data | {"type": "OrderPlaced"}
    assert (first["seq"], first["event_id"], first["total"]) == (9, event.id, 5)
    assert "memory" not in first
    assert "ephemeral" not in pascal
    assert "tenant_id" not in pascal
    assert (pascal["entity_type"], pascal["total"]) == ("order", 5)


def test_numbers_keep_their_digits():
    data = '{"a":1.0,"b":123456789012345678901234567890,"c":1e5}'

    for text in every_form(an_event(data)):
        assert data[1:-1] in text


def test_what_is_passing_says_so_and_stands_at_the_newest_stored_event():
    for text in every_form(an_event("{}", type="QueueStatus", position=-1)):
        shown = json.loads(text)
        assert (shown["ephemeral"], shown["seq"]) == (True, 9)


def test_line_ends_of_any_script_are_not_in_the_text():
    event = an_event('{"a":"\u2028\u2029\x85",\r\n"b":"x\\ny"}', '{"memory":"\u2028"}')

    for text in every_form(event):
        shown = json.loads(text)
        assert len(text.splitlines()) == 1
        assert (shown["memory"], shown.get("payload", shown)["a"]) == ("\u2028", "\u2028\u2029\x85")
        assert shown.get("payload", shown)["b"] == "x\ny"


@given(objects, labels | values, types, st.booleans())
def test_any_data_and_any_metadata_make_a_valid_message(data: dict[str, Any], meta: Any, type: str, ephemeral: bool):
    event = an_event(compact(data), compact(meta), type=type, position=-1 if ephemeral else 3)

    first, pascal, dotted = (_unique(text) for text in every_form(event))

    theirs = {name: value for name, value in data.items() if name not in BARE}
    assert {name: value for name, value in first.items() if name in theirs} == theirs
    assert first.keys() >= {"type", "timestamp", "seq", "event_id"}
    assert first["type"] == pascal["type"] == Catalog().of(type).name or type == "note.updated"
    assert pascal.keys() >= ALWAYS
    assert dotted.keys() >= ALWAYS
    without = {name: value for name, value in data.items() if name != "type"}
    assert {name: value for name, value in dotted["payload"].items() if name in without} == without
    assert dotted["actor"]["kind"] in ("user", "agent", "system")
    assert all(isinstance(shown.get("memory", "x"), str) for shown in (first, pascal, dotted))


@given(st.text(max_size=30), st.text(max_size=30))
def test_metadata_and_data_that_are_no_json_objects_break_nothing(data: str, metadata: str):
    for text in every_form(an_event(data, metadata)):
        assert json.loads(text)["seq"] == 9


def _unique(text: str) -> dict[str, Any]:
    """The object, in which no name may come twice."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        assert len(found) == len(pairs)
        return found

    value: dict[str, Any] = json.loads(text, object_pairs_hook=members)
    return value
