"""Why a condition does not hold, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.machines.conditions.asking import explained


@pytest.mark.parametrize(
    ("text", "data", "sentence"),
    [
        ("total > 100", {"total": 90}, "`data.total` is 90, needed > 100"),
        ("total > 100", {"total": 101}, ""),
        ("total > 100", {}, "`data.total` is missing"),
        ("total > 100", {"total": "x"}, "`data.total` is 'x', and > compares numbers"),
        ("status == 'shipped'", {"status": "open"}, "`data.status` is 'open', needed == 'shipped'"),
        ("a == 1 && b == 2", {"a": 1, "b": 3}, "`data.b` is 3, needed == 2"),
        ("a == 1 && b == 2", {"a": 0, "b": 3}, "`data.a` is 0, needed == 1"),
        ("a == 1 || b == 2", {"a": 0, "b": 3}, "`data.a` is 0, needed == 1, and `data.b` is 3, needed == 2"),
        ("a == 1 || b == 2", {"a": 0, "b": 2}, ""),
        ("a == 1 || b == 2", {"a": 0}, "`data.b` is missing"),
        ("!(status == 'deleted')", {"status": "deleted"}, "`data.status` is 'deleted', needed != 'deleted'"),
        ("!(total > 5)", {"total": 7}, "`data.total` is 7, needed <= 5"),
        ("!(a == 1 || b == 2)", {"a": 0, "b": 2}, "`data.b` is 2, needed != 2"),
        ("!(a == 1 && b == 2)", {"a": 1, "b": 2}, "`data.a` is 1, needed != 1, and `data.b` is 2, needed != 2"),
        ("!!(a == 1)", {"a": 2}, "`data.a` is 2, needed == 1"),
        ("x in ['a', 'b']", {"x": "c"}, "`data.x` is 'c', needed in ['a', 'b']"),
        ("!(x in ['a'])", {"x": "a"}, "`data.x` is 'a', needed not in ['a']"),
        ("tags contains 'a'", {"tags": ["b", 1]}, "`data.tags` is ['b', 1], needed contains 'a'"),
        ("!(tags contains 'a')", {"tags": ["a"]}, "`data.tags` is ['a'], needed not contains 'a'"),
        ("tags contains 'a'", {"tags": [["a"]]}, "`data.tags` is a list of 1, needed contains 'a'"),
        ("tags contains 9", {"tags": [*range(9)]}, "`data.tags` is [0, 1, 2, 3, 4, 5, 6, 7, …], needed contains 9"),
        ("new.total > old.total", {"changes": {"total": {"old": 7, "new": 5}}},
         "`new.total` is 5, needed > `old.total`, which is 7"),
        ("x is null", {"x": 5}, "`data.x` is 5, needed null"),
        ("x is not null", {"x": None}, "`data.x` is null, needed a value"),
        ("x is not null", {}, "`data.x` is missing"),
        ("!(x is null)", {"x": None}, "`data.x` is null, needed a value"),
        ("has_field('email')", {}, "`data.email` is missing"),
        ("!has_field('email')", {"email": 1}, "`data.email` is there, and should not be"),
        ("field_changed('a')", {"changes": {}}, "`data.a` did not change"),
        ("!field_changed('a')", {"changes": {"a": {}}}, "`data.a` changed"),
        ("field_changed_to('a', 'x')", {"changes": {"a": {"new": 5}}}, "`data.a` changed to 5, needed 'x'"),
        ("field_changed_from('a', 'x')", {"changes": {"a": {}}}, "`data.a` changed from something unknown, needed 'x'"),
        ("!field_changed_to('a', 'x')", {"changes": {"a": {"new": "x"}}},
         "`data.a` changed to 'x', needed anything but 'x'"),
    ],
)  # fmt: skip
def test_a_sentence(text: str, data: dict[str, Any], sentence: str):
    """I2 (conditions re-evaluated, reasons given)."""
    assert explained(text, data) == sentence


def test_a_field_that_is_forgiven_is_still_called_missing():
    assert explained("total > 100", {}, strict=False) == "`data.total` is missing"
    assert explained("a < data.b", {"a": None}, strict=False) == "`data.a` is null, needed < `data.b`, which is missing"


@pytest.mark.parametrize(
    "name", ["password", "userPassword", "secret", "api_key", "apiKey", "access_token", "Authorization", "cookie"]
)
def test_values_that_look_secret_are_not_shown_nor_what_they_should_be(name: str):
    told = [
        explained(f"{name} == 'hunter2'", {name: "opensesame"}),
        explained(f"{name} > 5", {name: "opensesame"}),
        explained(f"nested.{name}.inner == 'hunter2'", {"nested": {name: {"inner": "opensesame"}}}),
        explained(f"field_changed_to('{name}', 'hunter2')", {"changes": {name: {"new": "opensesame"}}}),
        explained(f"x == data.{name}", {name: "opensesame", "x": "y"}),
        explained("x == 'y'", {"x": {name: "opensesame"}}),
    ]

    assert not [sentence for sentence in told if "opensesame" in sentence or "hunter2" in sentence]
    assert all(told)
    assert "(hidden)" in told[0]


def test_long_values_are_cut():
    sentence = explained("x == 'y'", {"x": "a" * 1000})

    assert sentence == f"`data.x` is '{'a' * 59}…', needed == 'y'"
    assert "a huge number" in explained("x == 5", {"x": 10**5000})
