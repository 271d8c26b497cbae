"""What of a job's words may be seen."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import PeerFailed
from appliance.jobs.job import Job
from appliance.jobs.scrub import REDACTED, clean, harmless, remark, shown, traced
from appliance.jobs.showing import job_row

PLANTED = [
    "/home/ann/diary.txt",
    "see /var/lib/notes",
    "postgres://u:p@h/db",
    "https://example.org/?key=1",
    "SELECT name FROM people WHERE id = 7",
    "DELETE FROM notes",
    "ann.lee@example.org",
    "Bearer mm_at_0123456789abcdef0123",
    "mm_at_0123456789abcdef0123",
    "token=abc",
    "api_key: 7",
    "apikey 7",
    "my password is hunter2",
    "the client_secret is 7",
    "Authorization: Basic eHl6",
    "192.168.1.20",
    "Traceback (most recent call last):",
    "eyJhbGciOiJIUzI1NiJ9.e30.x",
    r"C:\Users\ann",
    "~/.ssh/id_rsa",
]
HIDDEN_KEYS = [
    *("api_key", "authorization", "bearer", "content", "dsn", "error", "exception", "file", "filename", "input"),
    *("message", "password", "path", "prompt", "raw", "secret", "stderr", "stdout", "text", "token", "transcript"),
    *("uri", "url", "my_token", "apiKey", "note-text"),
]


@pytest.mark.parametrize("text", PLANTED)
def test_a_planted_secret_is_not_shown_anywhere(text: str):
    job = Job(
        id="j",
        type="Work",
        created=0,
        arguments=msgspec.Raw(msgspec.json.encode({"a": [{"b": text}], text: 1})),
        result=msgspec.Raw(msgspec.json.encode([text])),
    )

    row = str(job_row(job))

    assert not clean(text)
    assert text not in row
    assert not harmless({"b": text})
    assert remark(f"doing {text} now") == ""
    assert text not in traced(RuntimeError(f"cannot do {text}"))


@pytest.mark.parametrize("key", HIDDEN_KEYS)
def test_the_value_of_a_telling_name_is_hidden(key: str):
    assert shown({key: {"deep": 1}, "words": 3}) == {key: REDACTED, "words": 3}


@pytest.mark.parametrize("text", ["reading page 3 of 7", "note 12, half done", "3/4", "12:30", "v1.2.3", "50 %"])
def test_harmless_words_stay(text: str):
    assert clean(text)
    assert remark(text) == text


def test_a_remark_is_one_printable_line_of_200_characters():
    assert remark("a\nb\x1b[2J" + "x" * 500)[:4] == "a b "
    assert len(remark("x" * 500)) == 200


def test_a_trace_says_where_and_no_folders():
    try:
        raise PeerFailed("the model said no")
    except PeerFailed as error:
        text = traced(error)

    assert text.splitlines()[0] == "PeerFailed: the model said no"
    assert "test_scrub.py" in text
    assert "/" not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_shown_has_nothing_left_to_hide(value: object):
    assert harmless(shown(value)) or REDACTED in str(shown(value))
    assert shown(shown(value)) == shown(value)
