from datetime import UTC, datetime

import pytest

from appliance.cli.reading import event_of, since, topic_of
from appliance.cli.render import Paint, age, amount, error_text, event_line, fields_of_error, plain, size, table
from appliance.client import Message, Topic
from appliance.errors import ConfigError, Rejected

EVENT = event_of(
    Message("id-1", "order-7", "OrderPlaced", 3, 99, {"total": 90, "note": "ü"}, None, "2026-01-31T12:40:01.220999Z")
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_an_error_says_what_happened_what_to_do_and_where_to_read_more():
    error = ConfigError('unknown key "webhoks" in appliance.toml, line 14', hint='did you mean "webhooks"?')

    assert error_text(error, Paint()) == (
        'error: unknown key "webhoks" in appliance.toml, line 14\n'
        '       did you mean "webhooks"?\n'
        "       details: appliance error config_error"
    )


def test_a_long_hint_is_broken_into_lines():
    lines = error_text(Rejected("no", hint="word " * 60), Paint()).splitlines()

    assert len(lines) == 5
    assert max(map(len, lines)) <= 107


def test_an_error_for_machines_has_code_message_hint_and_facts():
    fields = fields_of_error(Rejected("no", hint="do", line=7))

    assert fields == {"error": {"line": 7, "code": "rejected", "message": "no", "hint": "do"}}


def test_colours_are_only_there_for_an_eye():
    assert Paint()("word", "bold", "red") == "word"
    assert Paint(True)("word", "bold", "red") == "\x1b[1;31mword\x1b[0m"
    assert Paint(True)("", "bold") == ""


def test_control_characters_of_others_never_reach_the_terminal():
    assert plain("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"


def test_an_event_is_one_line_cut_to_the_terminal():
    whole = event_line(EVENT, Paint(), 0)
    cut = event_line(EVENT, Paint(), 80)

    assert whole.endswith('OrderPlaced           order-7 @ 3         {"total": 90, "note": "ü"}')
    assert cut.endswith('OrderPlaced       order-7 @ 3    {"total": 90, "note": "ü"}')  # narrow columns before a cut
    assert len(event_line(EVENT | {"data": "x" * 99}, Paint(), 80)) == 80
    assert event_line(EVENT | {"data": "x" * 99}, Paint(), 80).endswith("…")


def test_a_table_aligns_numbers_to_the_right():
    assert table([("a", 5), ("bcd", 1234)], ("name", "count"), Paint(), right=(1,)) == (
        "name  count\na         5\nbcd    1234"
    )


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (4.4, "4 s"), (60, "1 m"), (7200, "2 h"), (777600, "9 d")])
def test_ages_have_one_unit(seconds, text):
    assert age(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999 B"), (3_100_000_000, "3.1 GB"), (2e15, "2000.0 TB")])
def test_sizes_have_one_unit(count, text):
    assert size(count) == text


def test_amounts_are_grouped_and_in_number():
    assert [amount(1, "event"), amount(1204331, "event")] == ["1 event", "1 204 331 events"]


@pytest.mark.parametrize(
    ("names", "topic"),
    [
        ([], Topic()),
        (["order-7"], Topic("order-7")),
        (["order"], Topic(categories=("order",))),
        (["order", "bill", "order"], Topic(categories=("order", "bill"))),
        (["order-7", "bill"], Topic(categories=("order", "bill"))),
        (["order-7", "order"], Topic(categories=("order",))),
    ],
)
def test_names_with_a_dash_are_streams_and_without_are_categories(names, topic):
    assert topic_of(names)[0] == topic


def test_what_was_asked_for_is_what_is_shown():
    _, wanted = topic_of(["order-7", "bill"])

    shown = [name for name in ("order-7", "order-8", "bill-1", "bill") if wanted.covers(name)]

    assert shown == ["order-7", "bill-1", "bill"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1h", datetime(2026, 1, 31, 11, tzinfo=UTC)),
        ("2d", datetime(2026, 1, 29, 12, tzinfo=UTC)),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("17", None),
    ],
)
def test_since_takes_ages_days_and_positions(text, moment):
    assert since(text, int(NOON.timestamp()) * 1_000_000) == moment


def test_since_refuses_what_it_does_not_know():
    with pytest.raises(Rejected, match="not understood"):
        since("yesterday", 0)
