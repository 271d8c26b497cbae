"""What JSON from outside is let in, and that a refusal is never anything but `Malformed`."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.errors import Rejected
from appliance.ingress.jsontext import DEPTH, SMALL, Malformed, check, compact, decode

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
SCRAPS = rb'[ ] { } , : " \ \u 0000 d800 dc00 e - 1 . null true "a" NaN Infinity 1e400'.split()
FRAGMENTS = st.lists(st.sampled_from([*SCRAPS, b"9" * 320, b" ", b"\n", b"\xff", b"\xed\xa0\x80"]), max_size=24).map(
    b"".join
)


def verdict(body: bytes) -> bool:
    try:
        check(body)
    except Malformed:
        return False
    return True


def large_verdict(body: bytes) -> bool:
    """Blanks at the end mean nothing, but make it a body that is not decoded."""
    return verdict(body + b" " * SMALL + b" ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[1] x",
        b"[1][2]",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"[1e999]",
        b"[-1e999]",
        b"1" * 4301,
        b"-" + b"1" * 4300,
        b"9" * 309 + b".5",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"[1,]",
        b'{"a":1,}',
        b"{1:2}",
        b"'a'",
        b'"a\nb"',
        b'"a\x00b"',
        b'"\\x41"',
        b'"\\ud800"',
        b'"\\ud800\\ud800"',
        b'"\\udc00 \\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf[]",
        b'"\\u0000"',
        b'{"\\u0000":1}',
        b'"\\\\\\u0000"',
        b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1),
        b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1),
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'["]",' * 100 + b"1" + b"]" * 100,
    ],
)
def test_hostile_text_is_refused_whatever_its_size(body):
    small, large = verdict(body), large_verdict(body)

    assert (small, large) == (False, False)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b" [ 1 , 2 ] \n",
        b"123456789012345678901234567890",
        b"-" + b"9" * 4299,
        b"0." + b"9" * 5000,
        b"9" * 5000 + b"e-5000",
        b"1e-999",
        b"[1e308]",
        b'"\\ud83d\\ude00"',
        b'"\\\\u0000"',
        b'"[[[[' + b"[" * 100 + b'"',
        b"[" * DEPTH + b"]" * DEPTH,
        b'["1e999","' + b"9" * 400 + b'"]',
        b"[" + b"[]," * 1000 + b"{}]",
        '["ünï 名前 🧪"]'.encode(),
    ],
)
def test_sound_text_is_let_in_whatever_its_size(body):
    small, large = verdict(body), large_verdict(body)

    assert (small, large) == (True, True)


def test_large_body_is_judged_without_decoding_it():
    body = b'{"items":[' + b",".join([b'{"id":"e1234","note":"\\"]"}'] * 5000) + b"]}"

    assert len(body) > SMALL
    assert verdict(body)
    assert not verdict(body[:-1])
    assert not verdict(body.replace(b'"e1234"', b"1e1234", 1))


@given(JSON_VALUES)
def test_what_python_writes_is_taken_and_reads_back_the_same(value: Any):
    body = json.dumps(value).encode()
    sound = "\\u0000" not in body.decode().replace("\\\\", "")

    assert verdict(body) == large_verdict(body) == sound
    if sound:
        assert json.loads(compact(msgspec.Raw(body))) == value


@given(FRAGMENTS | st.binary(max_size=64))
@example(b'"\\ud83d\\\\\\ude00"')
@example(b"1" * 310)
def test_any_bytes_get_one_verdict_and_never_another_exception(body: bytes):
    taken = verdict(body)

    assert taken == large_verdict(body)
    if taken:
        json.loads(body)  # strict readers agree


@given(JSON_VALUES)
def test_part_of_a_body_keeps_its_spelling_without_blanks(value: Any):
    spaced = json.dumps([value], indent=2).encode()
    (part,) = msgspec.json.decode(spaced, type=list[msgspec.Raw])

    text = compact(part)

    assert "\n" not in text
    assert text == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize("text", ["1.0", "12345678901234567890123", '{"b":1,"a":2}', '"\\u00e9\\/"', "1.10", "-0.0"])
def test_spelling_of_numbers_keys_and_escapes_is_kept(text):
    assert compact(msgspec.Raw(text.encode())) == text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":1,"a":2}', "member 'a' is given twice"),
        (b'[{"x":{"b":1,"c":2,"b":3}}]', "member 'b' is given twice"),
        (b'{"a":1,"\\u0061":2}', "member 'a' is given twice"),
    ],
)
def test_repeated_member_is_refused_only_on_request(body, reason):
    check(body)

    with pytest.raises(Malformed) as refused:
        check(body, unique_names=True)

    assert refused.value.message == reason
    assert refused.value.status == 400


def test_same_name_in_two_objects_is_no_repetition():
    check(b'[{"a":1},{"a":{"a":2}}]', unique_names=True)


def test_reason_names_the_byte_that_is_not_utf8():
    with pytest.raises(Malformed, match="not UTF-8 at byte 2"):
        check(b'["\xff"]')


def test_decode_gives_the_wanted_shape_or_names_the_place():
    assert decode(b'{"a": [1, 2]}', dict[str, list[int]]) == {"a": [1, 2]}

    with pytest.raises(Rejected, match=r"\$\[\.\.\.\]\[0\]"):
        decode(b'{"a": ["x"]}', dict[str, list[int]])
