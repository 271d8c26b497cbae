"""What the language reads, how it writes it, and how it refuses. Section numbers are those of the observers' paper."""

from __future__ import annotations

import pytest

from appliance.conditions import BadCondition, compile
from appliance.errors import Rejected


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        # 6.1: the working dialect
        ("total > 100 && field_changed_to('status','shipped')", "total > 100 && field_changed_to('status', 'shipped')"),
        ("total>100&&(a==1||b==2)", "total > 100 && (a == 1 || b == 2)"),
        ("a == 1 || b == 2 && c == 3", "a == 1 || b == 2 && c == 3"),
        ("(a == 1 || b == 2) && c == 3", "(a == 1 || b == 2) && c == 3"),
        ("((a == 1 && b == 2)) && c == 3", "a == 1 && b == 2 && c == 3"),
        ("!a == 1", "!(a == 1)"),
        ("!!has_field('x')", "!!has_field('x')"),
        ("!(a == 1 && b == 2)", "!(a == 1 && b == 2)"),
        ("a == 100.50", "a == 100.5"),
        ("a == -1e3", "a == -1000.0"),
        ("a == 12345678901234567890123", "a == 12345678901234567890123"),
        ("status == shipped", "status == 'shipped'"),
        ("code == 0123", "code == '0123'"),
        ("x == ''", "x == ''"),
        ("field_changed_from('a', '1')", "field_changed_from('a', '1')"),
        # 6.6: the dialects that go around
        ("total > 100 AND CHANGED_TO(status, 'shipped')", "total > 100 && field_changed_to('status', 'shipped')"),
        ("status = 'x'", "status == 'x'"),
        ("status <> 'x'", "status != 'x'"),
        ("HAS_FIELD(email)", "has_field('email')"),
        ("NOT has_field('email') Or a == 1", "!has_field('email') || a == 1"),
        ("status.changed() and status == 'shipped'", "field_changed('status') && status == 'shipped'"),
        ("a.changed_to('x') or a.changed_from(y)", "field_changed_to('a', 'x') || field_changed_from('a', 'y')"),
        ("data.status.changed()", "field_changed('status')"),
        ("items[0].name.changed()", "field_changed('items[0].name')"),
        ("data.status == 'shipped'", "status == 'shipped'"),
        ('status == "shipped"', "status == 'shipped'"),
        ("deleted = TRUE and x != Null", "deleted == true && x != null"),
        # 6.6: the extended grammar
        ("data.customer.tier == 'gold'", "customer.tier == 'gold'"),
        ("customer.tier == 'gold'", "customer.tier == 'gold'"),
        ("items[0].sku == 'a'", "items[0].sku == 'a'"),
        ("data['a b'] == 1", "data['a b'] == 1"),
        ("data.event.id == 1", "data.event.id == 1"),
        ("event == 1 && new == 2", "event == 1 && new == 2"),
        ("data.and == 1", "data.and == 1"),
        ("in == 1 && contains == 2", "in == 1 && contains == 2"),
        ("new.total > old.total", "new.total > old.total"),
        ("changes.total.old == 1", "changes.total.old == 1"),
        ("event.entity_type in ['Order', 'Note']", "event.entity_type in ['Order', 'Note']"),
        ("x not in [1, true, null, 'a']", "x not in [1, true, null, 'a']"),
        ("x in []", "x in []"),
        ("x in data.list", "list contains data.x"),
        ("'a' in tags", "tags contains 'a'"),
        ("'a' not in tags", "!(tags contains 'a')"),
        ("100 < total", "total > 100"),
        ("'x' == status", "status == 'x'"),
        ("name Starts_With 'A' and name ends_with 'z'", "name starts_with 'A' && name ends_with 'z'"),
        (r"code matches '^\d+$'", r"code matches '^\\d+$'"),
        ("email IS NULL || email is not null", "email is null || email is not null"),
        ("event.timestamp >= 2026-01-31T12:00:00Z", "event.timestamp >= '2026-01-31T12:00:00Z'"),
        (r"x == 'it\'s'", r"x == 'it\'s'"),
        (r'''x == "a\"b\n\u0007"''', r"x == 'a\"b\n\u0007'".replace('\\"', '"')),
        ("has_field ( 'a b' )", r"has_field('data[\'a b\']')"),
        ("größe > 1", "größe > 1"),
    ],
)  # fmt: skip
def test_every_dialect_is_read_and_one_is_written(text: str, canonical: str):
    condition = compile(text)

    assert condition.text == canonical
    assert compile(canonical).text == canonical


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("", 1, "it is empty", "a condition is like"),
        ("   ", 4, "it is empty", "a condition is like"),
        ("total => 5", 7, "=> is no operator", "did you mean >=?"),
        ("a =< 5", 3, "=< is no operator", "did you mean <=?"),
        ("a === 5", 3, "=== is no operator", "did you mean ==?"),
        ("a == 1 & b == 2", 8, "& is no operator", "did you mean &&?"),
        ("a == 1 | b == 2", 8, "| is no operator", "did you mean ||?"),
        ("total >", 8, "a value is missing", "between quotes"),
        ("a == 1 annd b == 2", 8, "nothing can follow here", "did you mean and?"),
        ("a == 1 b == 2", 8, "nothing can follow here", "&& or ||"),
        ("a == 1)", 7, "nothing can follow here", ""),
        ("(a == 1", 8, ") is missing", ""),
        ("status.chnged()", 1, "there is no function chnged", "did you mean changed?"),
        ("frobnicate('a')", 1, "there is no function frobnicate", "has_field"),
        ("a[0]()", 1, "this is no function", ""),
        ("a[0 == 1", 5, "] is missing", ""),
        ("has_field()", 1, "has_field takes 1 argument, not 0", ""),
        ("field_changed_to('a')", 1, "field_changed_to takes 2 arguments, not 1", ""),
        ("has_field('a' 'b')", 15, ", is missing", ""),
        ("has_field(&&)", 11, "an argument is missing", ""),
        ("has_field('')", 11, "this is no field", ""),
        (f"has_field({', '.join(['a'] * 33)})", 107, "a function takes 32 arguments at most", ""),
        ("field_changed('event.id')", 1, "only fields of data", ""),
        ("a == 'x", 6, "this text has no end", "close it with '"),
        ("total > abc", 9, "> compares numbers or times", "2026-01-31"),
        ("total > true", 9, "> compares numbers or times", ""),
        ("name starts_with 5", 18, "starts_with compares text", "quotes"),
        ("x matches '(a'", 11, "a ( without its ) in the pattern", ""),
        ("x matches data.y", 11, "matches needs a pattern", "quotes"),
        ("x in 'abc'", 6, "in needs a list", "['a', 'b']"),
        ("x == [1]", 6, "== takes one value", "use in"),
        ("1 == 2", 6, "a field is missing", ""),
        ("'a' starts_with data.x", 1, "starts_with begins with a field", ""),
        ("5 in [5]", 1, "this needs a field, not a value", ""),
        ("x not contains 'a'", 7, "only in can follow not here", "!("),
        ("x is 5", 6, "is stands before null", "use =="),
        ("vip", 4, "an operator is missing", "like vip == true"),
        ("total grater 5", 7, "an operator is missing", ""),
        ("name contain 'x'", 6, "an operator is missing", "did you mean contains?"),
        ("event.idd == 1", 1, "an event has no idd", "did you mean event.id?"),
        ("data.x-1 == 2", 1, "data.x-1 is no name of a field", "data['data.x-1']"),
        ("and == 1", 1, "a field is missing", "data.and"),
        ("data[0] == 1", 1, "data is no list", "data.name"),
        ("a[x] == 1", 3, "a place in a list is missing", ""),
        ("a == 1e999", 6, "this number is too large", ""),
        (r"a == '\ud800'", 6, "half a character", ""),
        ("a == 1 § b", 8, "has no meaning here", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_place_and_a_way_on(text: str, column: int, message: str, hint: str):
    """I4 (each error with its place)."""
    with pytest.raises(BadCondition) as refused:
        compile(text)

    assert isinstance(refused.value, Rejected)
    assert refused.value.message.startswith(f"condition, column {column}: ")
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.facts == {"column": column}


def test_the_hint_shows_the_place():
    with pytest.raises(BadCondition) as refused:
        compile("total => 5")

    assert refused.value.hint.splitlines() == ["total => 5", "      ^", "did you mean >=?"]


def test_of_a_long_condition_the_part_around_the_place_is_shown():
    text = " && ".join(f"field{n} == {n}" for n in range(40)) + " &&\n=> 5"

    with pytest.raises(BadCondition) as refused:
        compile(text)

    line, caret, _ = refused.value.hint.splitlines()
    assert (line[0], line[caret.index("^")], len(line) < 90) == ("…", "=", True)


def test_4096_bytes_are_read_and_one_more_is_not():
    """The limit is in bytes, on the way in and as it is written."""
    frame = len("x == ''")
    most = f"x == '{'é' * ((4096 - frame) // 2)}'"

    assert compile(most).text == most
    with pytest.raises(BadCondition, match="4097 bytes, at most 4096"):
        compile(f"x == '{'a' * (4097 - frame)}'")
    with pytest.raises(BadCondition, match="written out it has more than 4096 bytes"):
        compile(f"x={'a' * 4090}")


@pytest.mark.parametrize(("open", "close"), [("(", ")"), ("!", ""), ("!(", ")"), ("not ", "")])
def test_64_levels_are_read_and_the_65th_is_not(open: str, close: str):
    def nested(depth: int) -> str:
        return f"{open * depth}has_field('a') || a == 1{close * depth}" if close else f"{open * depth}a == 1"

    assert compile(compile(nested(64)).text)
    with pytest.raises(BadCondition, match="nested deeper than 64 levels"):
        compile(nested(65))


def test_hundreds_of_parts_in_a_row_are_no_depth():
    text = " && ".join(["a==1"] * 400)

    assert compile(text).text == " && ".join(["a == 1"] * 400)


def test_the_author_hears_of_words_that_were_read_as_text():
    assert compile("status == shipped").notes == ("shipped is read as the text 'shipped': put it between quotes",)
    assert compile("status == 'shipped' && at > 2026-01-01").notes == ()
