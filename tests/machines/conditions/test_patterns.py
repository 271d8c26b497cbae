"""Regular expressions in linear time; the standard library is the judge of what they find."""

from __future__ import annotations

import re
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.conditions.patterns import LONGEST_TEXT, MOST_SETS, BadPattern, Pattern

ATOMS = st.sampled_from(
    ["a", "b", "ab", ".", "[ab]", "[^a]", "[a-c]", "[]a]", "[a-]", "[^]]", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S",
     r"[\d-]", r"[^\w.]", r"\.", r"\n", "^", "$", "-", "é", "1"]
)  # fmt: skip
TIMES = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}", "*?", "+?"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda both: f"({both[0]}|{both[1]})"),
        st.tuples(inner, TIMES).map(lambda both: f"(?:{both[0]}){both[1]}"),
        inner.map(lambda one: f"({one}|)"),
    ),
    max_leaves=8,
)


@given(PATTERNS, st.booleans(), st.text("abcABC1 \n.-é", max_size=10))
@settings(deadline=None)
def test_it_finds_what_the_standard_library_finds(pattern: str, folds: bool, text: str):
    """`$` is the very end here, as in RE2, and classes are of ASCII."""
    flag = "(?i)" if folds else ""
    with suppress(BadPattern):  # too large
        found = Pattern(flag + pattern)
        judged = re.search(flag + pattern.replace("$", r"\Z"), text, re.ASCII) is not None

        assert [found.found_in(text), found.found_in(text)] == [judged, judged]


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_is_a_pattern_or_a_bad_one(text: str):
    with suppress(BadPattern):
        assert Pattern(text).found_in(text) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "a ( without its )"),
        ("a)", "a ) without its ("),
        ("[a", "a [ without its ]"),
        ("[", "a [ without its ]"),
        ("[b-a]", "a range the wrong way round"),
        ("*a", "* with nothing before it"),
        ("a**", "a repetition of a repetition"),
        ("a{x}", "{ without a number"),
        ("a{3,2}", "the wrong way round"),
        ("a{101}", "more than 100 repetitions"),
        ("(a{50}){50}", "too large"),
        ("\\", "\\ with nothing behind it"),
        (r"(a)\1", r"\1"),
        (r"\b", r"\b"),
        ("(?=a)", "(? is only understood as"),
        ("(" * 40 + ")" * 40, "groups deeper than 32"),
    ],
)
def test_what_is_left_out_of_the_language_is_refused(pattern: str, message: str):
    with pytest.raises(BadPattern, match=re.escape(message)):
        Pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["(x+x+)+y", "(a*)*b", "(a|aa)+$", "(a|b)*a(a|b){12}c", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_patterns_that_ruin_others_take_one_step_for_each_character(pattern: str):
    """Counted, not timed: no more sets of states are made than characters were read, nor kept than may be."""
    made = Pattern(pattern)
    text = ("ab" * LONGEST_TEXT)[:LONGEST_TEXT]

    assert made.found_in(text) in (True, False)
    assert len(made._sets) <= min(MOST_SETS, LONGEST_TEXT)


def test_what_is_remembered_is_forgotten_before_it_is_too_much():
    pattern = Pattern("(a|b)*a(a|b){12}c")
    random = Random(7)
    text = "".join(random.choice("ab") for _ in range(LONGEST_TEXT))
    first = [*pattern._first.after]

    assert [pattern.found_in(text), pattern.found_in(text[:-1] + "c")] == [False, text[-14] == "a"]
    assert (first, 0 < len(pattern._sets) <= MOST_SETS) == ([], True)
