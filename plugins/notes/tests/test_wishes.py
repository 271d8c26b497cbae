"""What requests may say, and what they are told otherwise; notes, their events and their looks. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

import pytest

from appliance.testing import load

plugin = load(Path(__file__).parents[1])
wishes, notes, events, answers, writing = (
    import_module(f"appliance_plugins.notes.{name}") for name in ("wishes", "note", "events", "answers", "writing")
)
Note = notes.Note

NOW = "2026-03-31T12:00:00.000000Z"


def a_note(**members) -> object:
    return Note(**{"id": "n", "content": "text", "created_at": NOW, "updated_at": NOW, "edited_at": NOW} | members)


# Bodies


@pytest.mark.parametrize("tag", ["", "  ", "x" * 101, "a/b/c/d/e/f", "a//b", "/a", "bell\x07"])
def test_a_tag_that_cannot_be_is_refused(tag: str):
    with pytest.raises(ValueError, match="tag"):
        wishes.NewNote("text", tags=[tag])


def test_tags_are_trimmed_and_each_is_kept_once():
    assert notes.check_tags([" work/plans", "home", "work/plans ", "x" * 100]) == ("work/plans", "home", "x" * 100)


def test_bulk_takes_a_hundred_notes_in_three_modes():
    assert len(wishes.NewNotes([wishes.NewNote("text")] * 100).notes) == 100
    with pytest.raises(ValueError, match="at most 100"):
        wishes.NewNotes([wishes.NewNote("text")] * 101)
    with pytest.raises(ValueError, match="full, light or none"):
        wishes.NewNotes([wishes.NewNote("text", revision_mode="contextual")])


def test_a_title_has_a_hundred_characters_at_most():
    assert wishes.NewNote("", title="x" * 100).title == "x" * 100
    with pytest.raises(ValueError, match="100"):
        wishes.NoteChange(title="x" * 101)


# Parameters of a list


def test_without_parameters_the_newest_fifty_live_notes_are_wanted():
    assert wishes.wanted({}, NOW) == wishes.List(50, 0, {"state": "live"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": "0"}, {"limit": 0}),
        ({"limit": "5000"}, {"limit": 1000}),
        ({"filter": "starred"}, {"where": {"state": "live", "starred": "yes"}}),
        ({"filter": "trash"}, {"where": {"state": "deleted"}}),
        ({"tags": "a/b, c"}, {"where": {"state": "live", "tag": "a/b"}, "more_tags": ("c",)}),
        ({"collection_id": "c1"}, {"where": {"state": "live", "collection": "c1"}}),
        ({"since": "7d"}, {"created_after": "2026-03-24T12:00:00.000000Z"}),
        ({"created_after": "2026-01-31"}, {"created_after": "2026-01-31T00:00:00.000000Z"}),
        ({"updated_before": "2026-01-31T12:00:00+02:00"}, {"updated_before": "2026-01-31T10:00:00.000000Z"}),
        ({"sort_by": "title", "sort_order": "asc"}, {"by": "title", "newest_first": False}),
        ({"q": "bread"}, {"query": "bread"}),
    ],
)
def test_a_parameter_narrows_or_orders_the_list(query, expected):
    wish = wishes.wanted(query, NOW)

    assert {name: getattr(wish, name) for name in expected} == expected


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": "1e3"},
        {"limit": "٣"},
        {"offset": "-5"},
        {"filter": "best"},
        {"sort_by": "colour"},
        {"sort_order": "up"},
        {"since": "yesteryear"},
        {"since": "999999w"},
        {"created_after": "2026-13-01"},
        {"colour": "red"},
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_400_and_says_what_can(query):
    with pytest.raises(wishes.Invalid) as caught:
        wishes.wanted(query, NOW)

    assert caught.value.status == 400
    assert next(iter(query)) in caught.value.message


# Notes


def test_a_note_comes_back_from_what_is_kept():
    revised = notes.Revised("better", "r1", 2, NOW, {"method": "extractive"})
    note = a_note(tags=("a",), concepts=("b",), links=(notes.Link("m", 0.5),), revised=revised, metadata={"k": [1]})

    assert Note.of(json.loads(json.dumps(asdict(note)))) == note


def test_a_new_text_is_a_new_version_without_the_old_revision():
    note = a_note(revised=notes.Revised("better", "r1", 1, NOW, {}), made_title="Old")

    new = note.edited("other", "later")

    assert (new.content, new.version, new.revised, new.made_title, new.edited_at) == ("other", 2, None, "Old", "later")
    assert note.edited("text", "later") is note


def test_a_note_is_found_by_its_tags_and_what_stands_above_them():
    note = a_note(tags=("work/plans/q3",), starred=True, collection_id="c")

    assert note.index["tag"] == ["work", "work/plans", "work/plans/q3"]
    assert (note.index["starred"], note.index["archived"], note.index["collection"]) == ("yes", "no", "c")


def test_memories_cannot_see_each_other_by_their_names():
    assert not notes.note_key("a/b", "x").startswith(notes.note_key("a"))
    assert not notes.note_key("a%2Fb").startswith(notes.note_key("a/b"))
    assert notes.key_of(notes.note_key("a/b", "id")) == "id"


def test_a_change_that_changes_nothing_leaves_the_note_as_it_is():
    note = a_note(tags=("a",), title="T")

    assert writing.changed(note, wishes.NoteChange(content="text", tags=["a"], title="T"), "later") is note
    assert writing.changed(note, wishes.NoteChange(title=None), "later").title is None
    assert writing.changed(note, wishes.NoteChange(starred=True), "later").updated_at == "later"


# Events


def names(found) -> list[str]:
    return [type(event).__name__ for event in found]


def test_each_change_is_told_by_its_own_event_and_by_noteupdated():
    note = a_note(tags=("a",))
    told = {
        "create": names(events.changes(None, note)),
        "text": names(events.changes(note, replace(note, content="x"))),
        "tags": names(events.changes(note, replace(note, tags=("b",)))),
        "archive": names(events.changes(note, replace(note, archived=True))),
        "back": names(events.changes(replace(note, archived=True), note)),
        "delete": names(events.changes(note, replace(note, deleted_at=NOW))),
        "restore": names(events.returns(replace(note, deleted_at=NOW), note)),
        "nothing to restore": names(events.returns(note, note)),
        "purge": names(events.purges(note)),
        "purge of a deleted one": names(events.purges(replace(note, deleted_at=NOW))),
    }

    assert told == {
        "create": ["NoteCreated", "NoteUpdated"],
        "text": ["NoteUpdated"],
        "tags": ["NoteTagsUpdated", "NoteUpdated"],
        "archive": ["NoteArchived", "NoteUpdated"],
        "back": ["NoteRestored", "NoteUpdated"],
        "delete": ["NoteDeleted", "NoteUpdated"],
        "restore": ["NoteRestored", "NoteUpdated"],
        "nothing to restore": [],
        "purge": ["NoteDeleted", "NoteUpdated"],
        "purge of a deleted one": [],
    }


def test_noteupdated_says_how_the_note_is_and_shows_no_title_made_of_its_text():
    note = a_note(made_title="Secret text", concepts=("secret",), links=(notes.Link("m", 0.5),), tags=("a",))

    event = events.updated(note, "job")

    assert (event.has_links, event.has_ai_content, event.tags, event.operation) == (True, False, ["a"], "job")
    assert "ecret" not in repr(event)


# Answers


def test_an_answer_has_every_member_and_null_for_what_is_not_there():
    shown = asdict(answers.whole(a_note(), []))

    assert list(shown) == ["note", "original", "revised", "tags", "concepts", "links"]
    assert {
        "id", "collection_id", "format", "source", "created_at_utc", "updated_at_utc", "starred", "archived",
        "last_accessed_at", "access_count", "title", "metadata",
    } <= shown["note"].keys()  # fmt: skip
    assert shown["original"].keys() == {"content", "hash", "user_created_at", "user_last_edited_at"}
    assert shown["revised"].keys() == {
        "content", "last_revision_id", "ai_metadata", "ai_generated_at", "user_last_edited_at", "is_user_edited",
        "generation_count", "model",
    }  # fmt: skip
    assert (shown["revised"]["content"], shown["revised"]["model"]) == ("text", None)


def test_a_row_of_a_list_shows_the_revision_and_the_title_people_gave():
    note = a_note(title="Mine", made_title="Made", revised=notes.Revised("# better", "r", 1, NOW, {}))

    shown = answers.row(note)

    assert (shown.title, shown.snippet, shown.has_revision) == ("Mine", "better", True)
