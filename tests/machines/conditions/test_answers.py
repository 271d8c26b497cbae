"""What a condition answers: operators, functions, changes, missing fields."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.conditions import EvaluationError, compile, facts_of
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.types import EventType
from tests.machines.conditions.asking import facts, holds

BIG = 2**53


@pytest.mark.parametrize(
    ("text", "data", "answer"),
    [
        ("total == 100", {"total": 100.00}, True),
        ("total == 100.0", {"total": 100}, True),
        ("total == '100'", {"total": 100}, False),
        ("total != '100'", {"total": 100}, True),
        ("total == 100", {"total": "100"}, False),
        (f"n == {BIG + 1}", {"n": BIG + 1}, True),
        (f"n == {BIG + 1}", {"n": BIG}, False),
        (f"n > {BIG}", {"n": BIG + 1}, True),
        ("flag == true", {"flag": True}, True),
        ("flag == 1", {"flag": True}, False),
        ("one == true", {"one": 1}, False),
        ("x == null", {"x": None}, True),
        ("x == null", {"x": 0}, False),
        ("x == null", {"x": False}, False),
        ("total > 100", {"total": 100.5}, True),
        ("total >= 100 && total <= 100", {"total": 100}, True),
        ("total < 100", {"total": 100}, False),
        ("a == 1 || b == 2", {"a": 1}, True),
        ("a == 2 && b == 2", {"a": 1}, False),
        ("!(a == 2)", {"a": 1}, True),
        ("a == 1 || a == 2 && a == 3", {"a": 1}, True),
        ("a == 1 && a == 2 || a == 1", {"a": 1}, True),
        ("a == 0 || a == 9 || a == 1", {"a": 1}, True),
        ("a == 1 && a != 2 && a < 0", {"a": 1}, False),
        ("has_field('x') && x > 1", {}, False),
        ("has_field('x')", {"x": None}, True),
        ("has_field('a.b')", {"a": {"b": 1}}, True),
        ("has_field('a.c')", {"a": {"b": 1}}, False),
        ("has_field('a b')", {"a b": 1}, True),
        ("has_field('event.user_id')", {}, False),
        ("customer.tier == 'gold'", {"customer": {"tier": "gold"}}, True),
        ("items[1].sku == 'b'", {"items": [{"sku": "a"}, {"sku": "b"}]}, True),
        ("data['a b']['c d'] == 1", {"a b": {"c d": 1}}, True),
        ("x in ['a', 2, null]", {"x": 2.0}, True),
        ("x in ['a', 2, null]", {"x": None}, True),
        ("x in ['a', 2]", {"x": True}, False),
        ("x not in ['a', 2]", {"x": "b"}, True),
        ("tags contains 'a'", {"tags": ["b", "a"]}, True),
        ("tags contains 1", {"tags": [True]}, False),
        ("tags contains 1", {"tags": [1.0]}, True),
        ("tags contains data.tag", {"tags": [{"n": 1}], "tag": {"n": 1}}, True),
        ("tags contains data.tag", {"tags": [{"n": 1.0}], "tag": {"n": 1}}, False),
        ("name contains 'nn'", {"name": "anna"}, True),
        ("name contains 'N'", {"name": "anna"}, False),
        ("name starts_with 'an' && name ends_with 'na'", {"name": "anna"}, True),
        ("name starts_with data.start", {"name": "anna", "start": "x"}, False),
        (r"code matches '^[A-Z]{2}-\d+$'", {"code": "AB-12"}, True),
        (r"code matches '^[A-Z]{2}-\d+$'", {"code": "xAB-12"}, False),
        ("code matches 'b.d'", {"code": "abcde"}, True),
        ("x is null", {}, True),
        ("x is null", {"x": None}, True),
        ("x is not null", {"x": 0}, True),
        ("x is not null", {}, False),
        ("at > 2026-01-31", {"at": "2026-01-31T00:00:01Z"}, True),
        ("at >= '2026-01-31T12:00:00+02:00'", {"at": "2026-01-31T10:00:00Z"}, True),
        ("at < '2026-01-31 12:00'", {"at": "2026-01-31T11:59:59.999999Z"}, True),
        ("at == '2026-01-31T12:00:00+02:00'", {"at": "2026-01-31T10:00:00Z"}, False),
        ("a < data.b", {"a": "2026-01-31", "b": "2026-02-01"}, True),
        ("a < data.b", {"a": 1, "b": 1.5}, True),
        ("a == data.b", {"a": 1, "b": 1.0}, True),
        ("a == data.b", {"a": [1], "b": [1.0]}, False),
        ("a == data.b", {"a": {"x": [1, None]}, "b": {"x": [1, None]}}, True),
        ("a != data.b", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}, True),
        ("a == data.b", {"a": True, "b": 1}, False),
    ],
)  # fmt: skip
def test_an_answer(text: str, data: dict[str, Any], answer: bool):
    assert holds(text, data) is answer
    assert holds(f"!({text})", data) is not answer


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("total > 100", {}, "`data.total` is missing"),
        ("total != 100", {}, "`data.total` is missing"),
        ("customer.tier == 'x'", {"customer": 5}, "`data.customer.tier` is missing"),
        ("items[2] == 'x'", {"items": [1]}, "`data.items[2]` is missing"),
        ("total > 100", {"total": "abc"}, "`data.total` is 'abc', and > compares numbers"),
        ("total > 100", {"total": True}, "`data.total` is true, and > compares numbers"),
        ("total > 100", {"total": None}, "`data.total` is null, and > compares numbers"),
        ("total > 100", {"total": float("nan")}, "`data.total` is nan, and > compares numbers"),
        ("at > 2026-01-01", {"at": "soon"}, "`data.at` is 'soon', and > compares times"),
        ("at > 2026-01-01", {"at": "2026-13-01"}, "`data.at` is '2026-13-01', and > compares times"),
        ("a < data.b", {"a": "x", "b": 1}, "`data.a` is 'x', `data.b` is 1, and < compares numbers, or times"),
        ("name starts_with 'a'", {"name": 5}, "`data.name` is 5, and starts_with compares text"),
        ("name matches 'a'", {"name": []}, "`data.name` is [], and matches compares text"),
        ("x contains 'a'", {"x": {}}, "`data.x` is an object, and contains compares lists and text"),
        ("x matches 'a'", {"x": "a" * 5000}, "`data.x` has 5000 characters, matches looks at 4096 at most"),
        ("token == 'a' && token > 5", {"token": "a"}, "`data.token` is (hidden), and > compares numbers"),
    ],
)
def test_what_has_no_answer_is_the_one_error(text: str, data: dict[str, Any], message: str):
    with pytest.raises(EvaluationError) as refused:
        holds(text, data)

    assert refused.value.message == message


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("x == 1", False),
        ("x != 1", True),
        ("x == null", True),
        ("x > 1", False),
        ("x <= 1", False),
        ("x > 2026-01-01", False),
        ("x contains 'a'", False),
        ("x matches 'a'", False),
        ("x starts_with 'a'", False),
        ("x in ['a']", False),
        ("x < data.y", False),
        ("a.b.c == 1", False),
        ("!(x > 1)", True),
    ],
)
def test_where_missing_fields_are_forgiven_they_are_null_and_null_is_false(text: str, answer: bool):
    assert holds(text, {}, strict=False) is answer


def test_forgiving_missing_fields_does_not_forgive_wrong_ones():
    with pytest.raises(EvaluationError):
        holds("x > 1", {"x": "a"}, strict=False)


CHANGES = {"changes": {"status": {"old": "open", "new": "shipped"}, "total": {"old": 1, "new": 100}, "plain": True}}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("field_changed('status')", True),
        ("field_changed('name')", False),
        ("field_changed('plain')", True),
        ("field_changed_to('plain', 'true')", False),
        ("field_changed_to('status', 'shipped')", True),
        ("field_changed_to('status', 'open')", False),
        ("field_changed_from('status', 'open')", True),
        ("field_changed_to('total', '100')", True),
        ("field_changed_to('total', 100)", True),
        ("field_changed_to('total', '100.0')", True),
        ("field_changed_from('total', 'x')", False),
        ("old.status == 'open' && new.status == 'shipped'", True),
        ("new.total > old.total", True),
        ("changes.total.new == 100", True),
        ("new.name == old.name", True),
    ],
)
def test_changes(text: str, answer: bool):
    assert holds(text, {**CHANGES, "name": "a"}, update=True) is answer


def test_a_number_or_its_text_both_are_what_a_field_changed_to():
    assert holds("field_changed_to('n', '100')", {"changes": {"n": {"old": 1, "new": "100"}}})
    assert holds("field_changed_to('n', 'null')", {"changes": {"n": {"old": 1, "new": None}}})
    assert not holds("field_changed_to('n', '1')", {"changes": {"n": {"old": 0, "new": True}}})


def test_an_update_without_changes_has_no_answer_and_anything_else_has_changed_nothing():
    """6.4: `null` is not tracked, `{}` is tracked and nothing changed."""
    with pytest.raises(EvaluationError, match="cannot be told: the event has no changes"):
        holds("field_changed('a')", {}, update=True)
    with pytest.raises(EvaluationError):
        holds("field_changed_to('a', 'b')", {"changes": None}, update=True)

    assert holds("field_changed('a')", {}) is False
    assert holds("field_changed('a')", {"changes": {}}, update=True) is False
    assert holds("has_field('a') && field_changed('a')", {}, update=True) is False


def test_a_part_of_what_changed_has_changed_only_if_it_differs():
    data = {"changes": {"customer": {"old": {"tier": "a", "n": 1}, "new": {"tier": "b", "n": 1}}, "x.y": {"new": 2}}}

    assert holds("field_changed_to('customer.tier', 'b')", data)
    assert not holds("field_changed('customer.n')", data)
    assert not holds("field_changed('customer.other')", data)
    assert holds("field_changed_to('x.y', '2')", data)


def test_old_and_new_may_be_given_whole():
    data = {"old": {"total": 5}, "new": {"total": 7}, "total": 9}

    assert holds("old.total == 5 && new.total == 7 && total == 9", data)
    assert holds("new.total == 9", {"total": 9})
    with pytest.raises(EvaluationError, match=r"`old\.total` is missing"):
        holds("old.total == 9", {"total": 9})


def test_what_stands_around_an_event_of_the_log_can_be_asked_for():
    catalog = Catalog((EventType("OrderPlaced", "order.placed", "order", "order_id"),))
    labels = '{"memory":"shop","actor":{"kind":"user","id":"anna"}}'
    event = Event(1, "order-7", "OrderPlaced", 3, 9, "e1", '{"order_id":"7","total":90}', labels, 1_000_000)
    asked = (
        "event.id == 'e1' && event.type == 'OrderPlaced' && event.event_type == 'order.placed' && "
        "event.entity_type == 'order' && event.entity_id == '7' && event.user_id == 'anna' && "
        "event.tenant_id == 'shop' && event.memory == 'shop' && event.timestamp < 1970-01-02 && "
        "event.stream == 'order-7' && event.position == 3 && event.seq == 9 && total == 90"
    )

    assert compile(asked).explain(facts_of(event, catalog.view(event))) == ""


def test_nobody_in_particular_is_null():
    event = Event(1, "things", "T", 0, 1, "e1", "{}", None, 0)
    asked = compile("event.user_id is null && event.memory == null && event.entity_id == null")

    assert asked.holds(facts_of(event, Catalog().view(event)))


@pytest.mark.parametrize(("type", "update"), [("NoteUpdated", True), ("NoteCreated", False), ("order.update", True)])
def test_an_event_says_by_its_name_that_it_is_an_update(type: str, update: bool):
    event = Event(1, "note-1", type, 0, 1, "e1", "{}", None, 0)

    assert facts_of(event, Catalog().view(event)).update is update


def test_data_that_cannot_be_read_has_no_answer():
    event = Event(1, "note-1", "T", 0, 1, "e1", '{"a":1e999}', None, 0)

    with pytest.raises(EvaluationError, match="cannot be read"):
        compile("a == 1").holds(facts_of(event, Catalog().view(event)))


def test_data_is_looked_into_once_and_only_if_asked_for():
    looks = []

    def data() -> dict[str, Any]:
        looks.append(1)
        return {"a": 1}

    asked = facts()
    asked._data = data

    assert compile("has_field('event.id')").holds(asked) is False
    assert looks == []
    assert compile("a == 1 && a < 2 && a > 0").holds(asked)
    assert looks == [1]
