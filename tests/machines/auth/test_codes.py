"""A code opens once, for a while, and guessing is slow."""

from __future__ import annotations

import pytest

from appliance.auth.attempts import Attempts
from appliance.auth.codes import LIFETIME, Fate, OneTimeCodes, Visits
from appliance.errors import LimitReached, Unauthenticated


def refusal(visits: Visits, code: str, *, address: str = "phone", now: float = 0.0) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        visits.enter(code, address, now)
    return caught.value


def test_a_code_opens_once_and_then_says_that_it_was_used():
    codes = OneTimeCodes()
    codes.issue("abc", now=0.0)

    assert [codes.spend("abc", now) for now in (1.0, 1.0, LIFETIME + 1)] == [Fate.OPENS, Fate.USED, Fate.USED]


@pytest.mark.parametrize(("age", "fate"), [(LIFETIME - 0.1, Fate.OPENS), (LIFETIME, Fate.EXPIRED)])
def test_a_code_opens_until_its_time_is_over(age: float, fate: Fate):
    codes = OneTimeCodes()
    codes.issue("abc", now=100.0)

    assert codes.spend("abc", 100.0 + age) is fate


@pytest.mark.parametrize("wrong", ["", "ab", "abd", "abc ", "ABC", "abcabc", "ü"])
def test_what_is_not_the_code_does_not_open_and_spends_nothing(wrong: str):
    codes = OneTimeCodes()
    codes.issue("abc", now=0.0)

    assert [codes.spend(text, 0.0) for text in (wrong, "abc")] == [Fate.UNKNOWN, Fate.OPENS]


def test_a_code_is_held_only_as_a_hash():
    codes = OneTimeCodes()
    codes.issue("abc-the-code", now=0.0)

    assert "abc-the-code" not in repr(codes)


def test_several_codes_live_side_by_side_and_the_oldest_gives_way():
    codes = OneTimeCodes(kept=2)
    for code in "abc":
        codes.issue(code, now=0.0)

    assert [codes.spend(code, 0.0) for code in "abc"] == [Fate.UNKNOWN, Fate.OPENS, Fate.OPENS]


def test_a_code_given_back_opens_again_and_one_never_issued_stays_unknown():
    codes = OneTimeCodes()
    codes.issue("abc", now=0.0)
    codes.spend("abc", 0.0)

    codes.give_back("abc")
    codes.give_back("other")

    assert [codes.spend(code, 0.0) for code in ("abc", "other")] == [Fate.OPENS, Fate.UNKNOWN]


def test_whoever_is_refused_hears_why_and_what_to_do():
    visits = Visits(Attempts())
    good, late = visits.issue(b"1" * 16, 0.0), visits.issue(b"2" * 16, -LIFETIME)
    visits.enter(good, "phone", 0.0)

    told = [refusal(visits, code) for code in (good, late, "other")]

    assert [error.facts["reason"] for error in told] == ["used", "expired", "unknown"]
    assert all("appliance link" in error.hint for error in told)
    assert "appliance token revoke" in told[0].hint
    assert "15 minutes" in told[1].message


def test_only_codes_that_nobody_was_given_count_as_guesses():
    visits = Visits(Attempts())
    code = visits.issue(b"1" * 16, 0.0)
    visits.enter(code, "phone", 0.0)
    for _ in range(20):
        refusal(visits, code)
    for n in range(30):
        refusal(visits, f"guess {n}")

    with pytest.raises(LimitReached):
        visits.enter(visits.issue(b"2" * 16, 0.0), "phone", 0.0)
    visits.enter(visits.issue(b"3" * 16, 0.0), "laptop", 0.0)


def test_a_code_is_16_bytes_that_need_no_escape_in_a_link():
    assert Visits(Attempts()).issue(b"\xff\xfb" * 8, 0.0) == "__v_-__7__v_-__7__v_-w"
