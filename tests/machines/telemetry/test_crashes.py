"""A crash in the log says what and where, and nothing that was in hand."""

from __future__ import annotations

import pytest

from appliance.errors import Unavailable
from appliance.telemetry.crashes import crash_text

SECRET = "ns_ZGVmYXVsdA_" + "0a" * 32


def caught(raising: BaseException, *, cause: BaseException | None = None) -> BaseException:
    try:
        raise raising from cause
    except BaseException as error:  # noqa: BLE001 - whatever the test raises
        return error


def test_what_was_raised_where_and_why():
    inner = caught(OSError("connection refused"))

    lines = crash_text(caught(RuntimeError("the other side is gone"), cause=inner)).splitlines()

    assert lines[0] == "RuntimeError: the other side is gone"
    assert lines[1].startswith("  in telemetry/test_crashes.py:")
    assert lines[1].endswith(" caught")
    assert lines[2] == "because of OSError: connection refused"
    assert len(lines) == 4


def test_what_was_being_handled_counts_as_a_cause_unless_it_was_said_not_to():
    try:
        try:
            raise KeyError("a")
        except KeyError:
            raise ValueError("b")  # noqa: B904 - the point
    except ValueError as error:
        chained = error

    assert "because of KeyError" in crash_text(chained)
    chained.__suppress_context__ = True
    assert "KeyError" not in crash_text(chained)


def test_a_group_shows_what_is_in_it():
    group = caught(ExceptionGroup("two tasks failed", [caught(ValueError("one")), caught(Unavailable("other"))]))

    text = crash_text(group)

    assert "ExceptionGroup: two tasks failed" in text
    assert "  | ValueError: one" in text
    assert "  | Unavailable: other" in text


@pytest.mark.parametrize(
    "planted",
    [
        "/home/annabel/diary.md",
        "postgres://u:p@h/db",
        "SELECT name FROM people",
        "annabel@example.com",
        SECRET,
        "203.0.113.77:443",
        'Traceback (most recent call last):\n  File "/x/y.py", line 3, in z',
    ],
)
def test_no_message_gives_away_what_it_was_told(planted):
    text = crash_text(caught(RuntimeError(f"cannot go on with {planted}")))

    assert planted not in text
    assert text.startswith("RuntimeError: cannot go on with (hidden)")


def test_a_line_of_source_is_not_shown():
    hidden = caught(RuntimeError("x"))

    assert "raise" not in crash_text(hidden)


def test_a_note_is_told_and_scrubbed_like_a_message():
    crash = caught(RuntimeError("x"))
    crash.add_note("in service tick of notes\nasked by annabel@example.com")

    assert crash_text(crash).splitlines()[-2:] == ["  in service tick of notes", "  asked by (hidden)"]
