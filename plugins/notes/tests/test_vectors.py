"""Likeness: what is near is about the same, and a library of thousands is searched in small steps."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from appliance.testing import load

FOLDER = Path(__file__).parents[1]
load(FOLDER)
vectors = import_module("appliance_plugins.notes.vectors")
sys.path.insert(0, str(FOLDER / "tests"))
NOTES: list[tuple[str, str]] = import_module("labelled").NOTES
sys.path.pop(0)

Library, vector_of = vectors.Library, vectors.vector_of


def found(library, query) -> dict[str, float]:
    *_, scores = library.search(query)
    return scores


def a_library(texts: dict[str, str]):
    library = Library()
    for id, text in texts.items():
        library.put(id, vector_of(text))
    return library


def test_a_text_is_nearest_to_itself_then_to_its_kin():
    library = a_library(
        {"bread": "sourdough bread flour", "loaf": "a loaf of bread with rye flour", "bike": "bicycle chain"}
    )

    scores = found(library, vector_of("sourdough bread flour"))

    assert sorted(scores, key=scores.__getitem__, reverse=True)[:2] == ["bread", "loaf"]
    assert "bike" not in scores
    assert all(0 < score <= 1.01 for score in scores.values())


def test_other_forms_and_misspelt_words_are_near():
    library = a_library({"right": "summarise the meeting minutes", "other": "paint the garden fence"})

    assert found(library, vector_of("summary")).keys() == {"right"}
    assert found(library, vector_of("meetting")).keys() == {"right"}


def test_a_packed_vector_comes_back_nearly_as_it_was():
    vector = vector_of("one fish two fish red fish blue fish")

    back = vectors.unpacked(vectors.packed(vector))

    assert back.keys() == vector.keys()
    assert all(abs(back[dimension] - weight) < 0.01 for dimension, weight in vector.items())


@pytest.mark.parametrize("text", ["", "the of and", "!!!"])
def test_a_text_without_words_has_an_empty_vector_that_finds_nothing(text: str):
    vector = vectors.unpacked(vectors.packed(vector_of(text)))

    assert vector == {}
    assert found(a_library({"a": "bread"}), vector) == {}


def test_a_damaged_vector_is_refused():
    with pytest.raises(ValueError, match="three bytes"):
        vectors.unpacked("AAAA" + "AA==")


def test_a_replaced_or_forgotten_text_is_found_no_more():
    library = a_library({"a": "bread and butter", "b": "bread and cheese"})

    library.put("a", vector_of("bicycle"))
    library.forget("b")
    library.forget("never there")

    assert found(library, vector_of("bread")) == {}
    assert found(library, vector_of("bicycle")).keys() == {"a"}
    assert len(library) == 1


def test_what_is_loaded_late_does_not_undo_what_happened_meanwhile():
    library = Library()
    library.put("edited", vector_of("new words"))
    library.forget("deleted")

    for id in ("edited", "deleted", "untouched"):
        library.put_once(id, vector_of("old words"))
    library.complete()

    assert found(library, vector_of("old")).keys() == {"untouched"}
    assert found(library, vector_of("new")).keys() == {"edited"}


def test_places_of_forgotten_texts_are_given_back_and_nobody_is_lost():
    library = a_library({"kept": "bread"})
    library.complete()
    for n in range(1000):
        library.put("moving", vector_of(f"bicycle number{n}"))

    assert len(library._ids) < 200
    assert found(library, vector_of("bread")).keys() == {"kept"}
    assert found(library, vector_of("number999")).get("moving", 0) > 0.1


def test_a_search_that_pauses_survives_changes_of_the_library(monkeypatch):
    monkeypatch.setattr(vectors, "SLICE", 10)
    library = a_library({str(n): f"bread {n}" for n in range(50)})
    search = library.search(vector_of("bread rolls"))

    assert next(search) is None
    library.put("new", vector_of("bread rolls"))
    for n in range(50):
        library.forget(str(n))
    for n in range(200):
        library.put("churn", vector_of(f"cheese {n}"))
    *_, scores = search

    assert scores.keys() <= {"new", "churn"}


def test_likeness_finds_notes_of_the_same_kind_far_better_than_chance():
    """Sixty-four notes of eight kinds: a random order has a precision of 0.11 among the first five."""
    library = a_library({str(n): text for n, (_, text) in enumerate(NOTES)})
    kinds = [kind for kind, _ in NOTES]
    rng = random.Random(7)

    ours, chance = [], []
    for n, (_, text) in enumerate(NOTES):
        others = [m for m in range(len(NOTES)) if m != n]
        scores = found(library, vector_of(text))
        ours.append(judged(sorted(others, key=lambda m: -scores.get(str(m), 0.0)), kinds, kinds[n]))
        chance.append(judged(rng.sample(others, len(others)), kinds, kinds[n]))

    precision, rank = mean(ours)
    by_chance, rank_by_chance = mean(chance)
    assert len(NOTES) >= 60
    assert len(set(kinds)) >= 8
    assert precision > 0.45
    assert precision > 3.5 * by_chance
    assert rank > 0.7
    assert rank > 2 * rank_by_chance


def test_a_question_finds_the_notes_that_answer_it():
    library = a_library({str(n): text for n, (_, text) in enumerate(NOTES)})
    asked = {
        "why is my bread dense": "bread",
        "slow sql queries": "database",
        "planting tomatoes": "garden",
        "bike tyre puncture": "cycling",
        "saving money each month": "money",
        "hotel and flight booking": "travel",
        "learning piano chords": "music",
        "cannot sleep, should I see a doctor": "health",
    }

    firsts = {}
    for question in asked:
        scores = found(library, vector_of(question))
        firsts[question] = NOTES[int(max(scores, key=scores.__getitem__))][0]

    assert firsts == asked


def judged(order: Sequence[int], kinds: Sequence[str], kind: str) -> tuple[float, float]:
    """Precision among the first five, and one divided by the rank of the first that is right."""
    right = [kinds[n] == kind for n in order]
    return sum(right[:5]) / 5, 1 / (1 + right.index(True))


def mean(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(row[0] for row in rows) / len(rows), sum(row[1] for row in rows) / len(rows)
