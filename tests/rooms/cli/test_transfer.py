import gzip
import io
import json
import sys

import pytest


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))


def record(n):
    fields = {"id": str(n), "stream": "a-1", "type": "T", "pos": n, "gpos": n + 1, "data": {}, "meta": None}
    return json.dumps(fields | {"time": "2026-01-01T00:00:00Z"}).encode() + b"\n"


def test_export_writes_lines_and_counts_on_stderr(store, ask):
    store.write("a-1")
    store.write("b-1")

    said = ask("export", "--categories", "a")

    assert [line["stream"] for line in said.lines] == ["a-1"]
    assert said.err == "Exported: 1 events total\n"


@pytest.mark.parametrize("flags", [(), ("--gzip",)])
def test_a_file_appears_when_it_is_complete_and_goes_back_in(store, ask, alone, flags):
    store.write("a-1")

    ask("export", "--output", "all.ndjson", *flags)
    store.messages.clear()
    said = ask("import", "--input", "all.ndjson")

    assert (said.code, said.err.startswith("Imported: 1 events in 0.")) == (0, True)
    assert [m["stream"] for m in store.messages] == ["a-1"]
    assert [path.name for path in alone.iterdir()] == ["all.ndjson"]


def test_a_failed_export_leaves_no_half_file(store, ask, alone):
    store.refuse = [(500, b"broken")]

    assert ask("export", "--output", "all.ndjson").code == 1
    assert list(alone.iterdir()) == []


def test_import_finds_out_that_stdin_is_compressed(store, ask, monkeypatch):
    stdin(monkeypatch, gzip.compress(record(0) + record(1)))

    said = ask("import", "--json")

    assert said.json["imported"] == 2
    assert [m["gpos"] for m in store.messages] == [1, 2]


@pytest.mark.parametrize(("answer", "kept"), [(b"n\n", 1), (b"", 1)])
def test_force_asks_and_anything_but_yes_cancels(store, ask, monkeypatch, answer, kept):
    store.write("a-1")
    stdin(monkeypatch, answer)

    said = ask("import", "--force")

    assert (said.code, said.out) == (0, "Import cancelled.\n")
    assert said.err.endswith("Are you sure you want to continue? [y/N]: ")
    assert len(store.messages) == kept


def test_force_deletes_first_when_the_answer_is_yes(store, ask, monkeypatch, alone):
    store.write("old-1")
    (alone / "in").write_bytes(record(0))
    stdin(monkeypatch, b"yes\n")

    ask("import", "--force", "--input", "in")

    assert [m["stream"] for m in store.messages] == ["a-1"]


def test_a_refused_record_is_told_in_the_words_of_the_message_store(store, ask, alone):
    (alone / "in").write_bytes(record(0))
    store.refuse = [
        (200, b'data: {"error":"POSITION_EXISTS","message":"global position already exists: 1","line":1}\n\n')
    ]

    said = ask("import", "--input", "in")

    assert (said.code, said.err) == (1, "Error: POSITION_EXISTS: global position already exists: 1 (line 1)\n")


@pytest.mark.parametrize("verb", ["export", "import"])
def test_without_a_server_they_say_what_is_missing_with_exit_code_1(call, store, verb):
    nothing, no_token = call(verb), call(verb, "--url", store.url)

    assert (nothing.code, nothing.err) == (1, "Error: --url is required\n")
    assert (no_token.code, no_token.err) == (1, "Error: --token is required\n")


def test_an_input_that_is_not_there_is_named(ask):
    said = ask("import", "--input", "nothing")

    assert (said.code, said.err.splitlines()[0]) == (5, "error: nothing cannot be read: No such file or directory")
