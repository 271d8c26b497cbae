"""What a client asks for, and which events pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.filters import NOTHING, BadFilter, EventFilter, Wish, asked, topic_for, type_names
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.http import Request
from appliance.model.types import EventType


def catalog() -> Catalog:
    return Catalog(
        (
            EventType("NoteUpdated", "note.updated", "note", "note_id"),
            EventType("NoteTagsUpdated", "note.tags.updated", "note", "note_id"),
            EventType("ConceptSchemeCreated", "concept_scheme.created", "concept_scheme", "scheme_id"),
        )
    )


def event(type: str, data: str = "{}", metadata: str | None = None, stream: str = "note-7") -> Event:
    return Event(1, stream, type, 0, 1, "id", data, metadata, 0)


@pytest.mark.parametrize(
    ("asked_for", "type", "passes"),
    [
        ("note", "NoteUpdated", True),
        ("note", "NoteTagsUpdated", True),
        ("note.tags", "NoteTagsUpdated", True),
        ("note.tag", "NoteTagsUpdated", False),
        ("note", "NotebookOpened", False),
        ("job", "JobsPaused", False),
        ("NoteUpdated", "NoteUpdated", True),
        ("noteupdated", "NoteUpdated", False),
        ("NOTE.UPDATED", "NoteUpdated", True),
        ("concept_scheme", "ConceptSchemeCreated", True),
        ("ConceptSchemeCreated", "ConceptSchemeCreated", True),
        ("OrderPlaced", "OrderPlaced", True),
        ("order.placed", "OrderPlaced", True),
        ("order", "OrderPlaced", True),
        ("note", "note", True),
    ],
)
def test_a_name_matches_in_either_spelling_and_by_its_front_part(asked_for: str, type: str, passes: bool):
    known = catalog()

    wanted = EventFilter(known, type_names(known, [asked_for]))

    assert wanted.passes(event(type)) is passes


@pytest.mark.parametrize(
    ("memories", "memory", "passes"),
    [
        (None, "home", True),
        (None, "", True),
        (("",), "", True),
        (("",), "home", False),
        (("home",), "home", True),
        (("home",), "", False),
        (("home", "work"), "work", True),
        ((), "", False),
    ],
)
def test_memories(memories: tuple[str, ...] | None, memory: str, passes: bool):
    metadata = f'{{"memory":"{memory}"}}' if memory else None

    assert EventFilter(catalog(), memories=memories).passes(event("NoteUpdated", metadata=metadata)) is passes


def test_one_thing_is_told_by_the_data_or_by_the_stream():
    wanted = EventFilter(catalog(), entity_id="7")

    assert wanted.passes(event("NoteUpdated", '{"note_id":"7"}', stream="elsewhere-1"))
    assert not wanted.passes(event("NoteUpdated", '{"note_id":"8"}'))
    assert wanted.passes(event("OrderPlaced", stream="order-7"))
    assert not wanted.passes(event("OrderPlaced", stream="order"))


def test_all_conditions_must_hold():
    wanted = EventFilter(catalog(), ("note",), ("home",), "7")
    home = '{"memory":"home"}'

    assert wanted.passes(event("NoteUpdated", '{"note_id":"7"}', home))
    assert not wanted.passes(event("OrderPlaced", "{}", home, "order-7"))
    assert not wanted.passes(event("NoteUpdated", '{"note_id":"7"}'))
    assert not wanted.passes(event("NoteUpdated", '{"note_id":"8"}', home))


def test_equal_wishes_share_an_audience():
    one, other = catalog(), catalog()
    wish = Wish(type_names(one, ["job", "NoteUpdated", "note.updated"]))

    topics = {
        topic_for(one, 1, wish, ("b", "a")),
        topic_for(other, 1, Wish(type_names(other, ["note.updated", "job"])), ("a", "b")),
    }

    assert len(topics) == 1
    assert topics != {topic_for(one, 1, wish, None)}
    assert wish.types == ("job", "note.updated")


def test_nothing_passes_who_wants_nothing():
    assert not NOTHING.passes(event("NoteUpdated"))


@pytest.mark.parametrize(
    ("query", "headers", "wish"),
    [
        ("", {}, Wish()),
        ("types=note,%20job.completed&events=NoteUpdated", {}, Wish(("job.completed", "note", "note.updated"))),
        ("memory=home&entity_id=%207%20", {}, Wish((), "home", "7")),
        ("", {"x-fortemi-memory": "work"}, Wish((), "work")),
        ("memory=home", {"x-fortemi-memory": "work"}, Wish((), "home")),
        ("types=note,,", {}, Wish(("note",))),
    ],
)
def test_what_a_request_asks_for(query: str, headers: dict[str, str], wish: Wish):
    assert asked(Request("GET", "/", query, headers), catalog()) == wish


@pytest.mark.parametrize(
    "query",
    [
        "types=",
        "events=",
        "types=%20,%20",
        "types=note&events=",
        "memory=",
        "memory=%20",
        "entity_id=",
        "types=" + "n" * 201,
        "types=" + ",".join(f"t{n}" for n in range(101)),
        "entity_id=" + "7" * 201,
        "memory=" + "m" * 201,
    ],
)
def test_what_can_match_nothing_is_refused(query: str):
    with pytest.raises(BadFilter) as refused:
        asked(Request("GET", "/", query), catalog())

    assert (refused.value.status, refused.value.code) == (400, "rejected")


def test_people_read_what_is_followed():
    assert Wish().names == ("everything",)
    assert Wish(("job", "note"), "home", "7").names == ("job", "note", "memory home", "entity 7")


VISIBLE = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=50)


@given(VISIBLE, VISIBLE)
def test_every_type_passes_under_its_own_name(name: str, type: str):
    known = catalog()

    assert EventFilter(known, type_names(known, [name, type])).passes(event(type))
