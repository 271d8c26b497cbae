"""The way of an event on terminals of any width."""

from __future__ import annotations

from appliance.cli.legs import legs_text
from appliance.cli.render import Paint

LEGS = [
    {"kind": "client", "name": "anna (eventing)", "outcome": "done", "detail": "follows order", "after_ms": 4.2},
    {"kind": "webhook", "name": "erp", "outcome": "failed", "detail": "503 after 5 attempts", "after_ms": 156_000.0},
    {"kind": "plugin", "name": "shop: thank", "outcome": "skipped", "detail": "`data.total` is 90, needed > 100"},
    {"kind": "job", "name": "Card", "outcome": "waiting"},
]


def test_a_line_for_each_place():
    assert legs_text(LEGS, Paint(), 0) == [
        " ✓ client   anna (eventing)  follows order  after 4 ms",
        " ✗ webhook  erp              503 after 5 attempts  after 156 s",
        " – plugin   shop: thank      `data.total` is 90, needed > 100",
        " … job      Card",
    ]


def test_a_reason_goes_on_below_itself_where_there_is_little_room():
    assert legs_text(LEGS[2:3], Paint(), 54)[1:] == ["                        100"]


def test_on_a_narrow_terminal_a_reason_stands_below_the_place():
    lines = legs_text(LEGS, Paint(), 36)

    assert lines[:2] == [" ✓ client   anna (eventing)", "    follows order  after 4 ms"]
    assert max(map(len, lines)) <= 36


def test_nobody_is_no_line_and_others_may_not_paint():
    assert legs_text([], Paint(on=True), 80) == []
    assert legs_text([{"kind": "job", "name": "a\x1b[2J", "outcome": "done"}], Paint(), 0) == [" ✓ job  a\\x1b[2J"]


def test_colours_are_only_for_eyes():
    painted = legs_text(LEGS, Paint(on=True), 0)

    assert all("\x1b[" in line for line in painted)
    assert painted[1].startswith(" \x1b[31m✗\x1b[0m ")
