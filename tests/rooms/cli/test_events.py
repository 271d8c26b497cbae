import io
import json
import sys

import pytest

from tests.rooms.client.tiny_store import READY, poke


def stdin(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_publish_prints_the_receipt(store, ask):
    first, second = ask("publish", "hello", '{"from": "me"}'), ask("publish", "Paid", "--stream", "order-7", "--json")

    assert (first.code, first.out) == (0, "hello @ 0\n")
    assert second.json == {"stream": "order-7", "position": 0, "global_position": 2}
    assert [(m["stream"], m["type"], m["data"]) for m in store.messages] == [
        ("hello", "hello", {"from": "me"}),
        ("order-7", "Paid", {}),
    ]


def test_publish_reads_the_data_from_stdin(store, ask, monkeypatch):
    stdin(monkeypatch, '{"total": 90}')

    ask("publish", "Placed", "-", "--stream", "order-7")

    assert store.messages[0]["data"] == {"total": 90}


def test_publish_tells_of_a_conflict_with_exit_code_7(ask):
    said = ask("publish", "Paid", "--stream", "order-7", "--expect", "3")

    assert said.code == 7
    assert said.err.splitlines() == [
        "error: stream order-7 is at version -1, not 3",
        "       read the stream again and retry with the version you saw",
        "       details: appliance error version_conflict",
    ]


@pytest.mark.parametrize("data", ["[1]", "{", "nothing"])
def test_publish_refuses_what_is_no_json_object(store, ask, data):
    said = ask("publish", "Paid", data)

    assert (said.code, store.requests) == (4, [])
    assert "JSON" in said.err


def test_an_error_is_json_where_json_was_asked_for(ask):
    said = ask("--json", "publish", "Paid", "--expect", "3")

    error = json.loads(said.err)["error"]
    assert (said.out, error["code"], error["actual"]) == ("", "version_conflict", -1)


def test_streams_are_listed_and_read(store, ask):
    for n in range(3):
        store.write(f"order-{n % 2}", "Placed", {"n": n})

    assert ask("stream", "list", "--json").json["streams"][0]["version"] == 1
    assert ask("stream", "list").out.splitlines()[1].split() == ["order-0", "1"]
    assert [line["data"] for line in ask("stream", "read", "order-0").lines] == [{"n": 0}, {"n": 2}]
    assert ask("stream", "read", "order-0", "--from", "1", "--limit", "1").lines[0]["position"] == 1
    assert ask("stream", "last", "order-0").lines[0]["global_position"] == 3
    assert ask("stream", "version", "order-0").out == "1\n"
    assert ask("stream", "version", "nothing").out == "-1\n"
    assert ask("stream", "version", "nothing", "--json").json["version"] is None


def test_what_is_not_there_is_said_with_exit_code_5(ask):
    said = ask("stream", "last", "order-7", "--type", "Paid")

    assert said.code == 5
    assert said.err.startswith("error: stream order-7 has no event of type Paid\n")
    assert ask("stream", "read", "order-7").err == "stream order-7 has no events from position 0 on\n"
    assert ask("stream", "list", "x").out == "no streams\n"


def test_categories_are_listed_and_read(store, ask):
    store.write("order-1")

    assert ask("category", "list").out.splitlines() == ["category  streams  events", "order           1       1"]
    assert ask("category", "read", "order", "--group", "0/1").lines[0]["stream"] == "order-1"
    assert ask("category", "read", "order", "--group", "2/2").code == 2


def test_namespaces_are_made_shown_and_removed(store, ask, monkeypatch):
    assert ask("namespace", "create", "tests").out.startswith("ns_")
    assert ask("namespace", "list", "--json").json["namespaces"][0]["namespace"] == "default"
    assert "0 events in 0 streams" in ask("namespace", "info", "default").out
    assert ask("namespace", "info", "nothing").code == 5
    stdin(monkeypatch, "no\n")
    assert ask("namespace", "delete", "default").err.endswith("nothing was deleted\n")
    assert ask("namespace", "delete", "default", "--force").out == "default is gone, with 0 events\n"


def test_subscribe_shows_history_then_what_comes(store, ask):
    first = store.write("order-1")
    store.write("bill-1")
    store.write("order-2")
    store.script = [[READY, poke(store, first)]]

    said = ask("subscribe", "order", "--since", "0", "--count", "2")

    assert [line["global_position"] for line in said.lines] == [1, 3]


def test_subscribe_since_last_begins_with_the_newest(store, ask):
    for _ in range(5):
        store.write("order-1")
    store.script = [[READY]]

    assert [line["position"] for line in ask("subscribe", "order", "--since", "last", "--count", "1").lines] == [4]


def test_subscribe_since_a_day_leaves_out_what_is_older(store, ask):
    for day in (1, 2, 3):
        store.write("order-1", time=f"2026-01-0{day}T00:00:00Z")
    store.script = [[READY]]

    said = ask("subscribe", "--since", "2026-01-02", "--count", "2")

    assert [line["position"] for line in said.lines] == [1, 2]


def test_subscribe_runs_a_command_per_event_with_its_fields(store, ask, alone):
    store.write("order-1", "Placed", {"total": 90})
    store.write("order-1", "Paid", {"text": "x" * 200_000})
    store.script = [[READY]]
    script = 'echo "$EVENT_TYPE $EVENT_POSITION ${#EVENT_DATA}"; cat >> seen; test $EVENT_TYPE = Placed'

    said = ask("subscribe", "order-1", "--since", "0", "--count", "2", "--", "sh", "-c", script)

    assert said.out.splitlines() == ["Placed 0 12", "Paid 1 0"]
    assert (said.code, said.err) == (1, "warning: sh ended with 1 for order-1 @ 1\n")
    assert [json.loads(line)["type"] for line in (alone / "seen").read_text().splitlines()] == ["Placed", "Paid"]


def test_subscribe_names_a_command_that_is_not_there(store, ask):
    store.write("order-1")
    store.script = [[READY]]

    said = ask("subscribe", "order-1", "--since", "0", "--", "./no-such-script")

    assert (said.code, said.err.splitlines()[0]) == (5, "error: there is no command ./no-such-script")


def test_subscribe_tells_that_a_connection_was_lost(store, ask, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    first, second = store.write("order-1"), store.write("order-1")
    store.messages.clear()
    store.script = [[READY], [READY, poke(store, first), poke(store, second)]]
    store.on_subscribe = [lambda: None, lambda: store.messages.extend([first, second])]

    said = ask("subscribe", "order-1", "--since", "0", "--count", "2")

    assert [line["position"] for line in said.lines] == [0, 1]
    assert "the server ended the stream; trying again in" in said.err
