"""What is read off a text: sentences, titles, summaries, concepts."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from appliance.testing import load

load(Path(__file__).parents[1])
text = import_module("appliance_plugins.notes.text")

ARTICLE = """\
# Heat pumps

Heat pumps move heat instead of making it. A heat pump takes warmth from the air outside, and gives it to the water of
the house. My neighbour has a red door. In winter the heat pump needs more power, because the air is cold. Insulation
keeps the heat inside, so a smaller heat pump is enough. The weather was fine on Sunday.
"""


def test_sentences_headings_and_items_stand_alone():
    found = text.sentences(
        "# Plan\n\nBuy milk. Call **Anna**!\n- one [link](http://x.example/y)\n- two\n\n```\ncode\n```\nend"
    )

    assert found == ["Plan", "Buy milk.", "Call Anna!", "one link", "two", "end"]


def test_abbreviations_in_lower_case_do_not_end_a_sentence():
    assert text.sentences("Use e.g. flour and salt. Then wait.") == ["Use e.g. flour and salt.", "Then wait."]


def test_a_summary_keeps_what_the_text_is_about_and_its_order():
    body = ARTICLE.partition("\n\n")[2]

    found = text.summary(body, share=0.4)

    assert "heat pump" in found
    assert "red door" not in found
    assert "Sunday" not in found
    sentences = text.sentences(body)
    kept = [sentence for sentence in sentences if sentence in found]
    assert " ".join(kept) == found
    assert 0 < len(kept) <= round(0.4 * len(sentences))


def test_a_summary_is_the_same_each_time_and_never_longer_than_the_text():
    for sample in ("", "   ", "One.", ARTICLE, "word " * 5000, "é" * 3000, "a.\n" * 500):
        once = text.summary(sample)

        assert text.summary(sample) == once
        assert len(once) <= len(sample)


def test_a_title_is_the_first_heading_or_sentence_cut_at_a_word():
    assert text.title(ARTICLE) == "Heat pumps"
    assert text.title("Buy milk, eggs. And bread.") == "Buy milk, eggs"
    assert text.title("***\n\n---\n") == ""
    long = text.title("The quick brown fox jumps over the lazy dog and then over another dog")
    assert long == "The quick brown fox jumps over the lazy dog and then over…"
    assert len(long) <= 60


def test_concepts_are_phrases_of_the_text_best_first():
    found = text.concepts(ARTICLE, most=3)

    assert found[0] == "heat pump"
    assert len(found) == 3
    assert all(concept in ARTICLE.casefold() for concept in found)


def test_concepts_do_not_repeat_a_part_of_a_better_one():
    found = text.concepts("data base, data base, data base. base. data.")

    assert found == ["data base"]


@pytest.mark.parametrize("sample", ["", "\n\n", "!!! ???", "the and of", "12 34", "\x00\ufffd"])
def test_texts_without_words_give_nothing_and_no_error(sample: str):
    assert text.summary(sample) in (sample.strip(), " ".join(sample.split()))
    assert text.concepts(sample) == []
    assert text.title(sample) in ("", sample)


@pytest.mark.parametrize(
    "piece", ["[", "](", "[x](", "```x\n", "```\n", ".)", ". ", "\n", "\n ", "> ", "# ", "*", "1) ", "a", "a b", "A."]
)
def test_no_text_makes_much_more_work_than_its_length(piece: str):
    """With 200,000 characters anything quadratic would outlast the limit of a test by far."""
    sample = piece * (200_000 // len(piece))

    assert len(text.snippet(sample)) <= 200
    assert len(text.title(sample)) <= 60
    assert len(text.summary(sample)) <= len(sample)
    assert len(text.concepts(sample)) <= 8


def test_a_snippet_is_one_line_of_plain_text():
    assert text.snippet("# One\n\ntwo *three*\n- four", longest=100) == "One two three four"
    assert len(text.snippet("word " * 100, longest=50)) <= 50
