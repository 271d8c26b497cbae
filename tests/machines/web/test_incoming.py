"""Whole messages out of frames, within bounds, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.web.incoming import CloseConnection, Foul, Incoming, Ping, Pong, Said
from tests.rooms.web.house import masked


def incoming(*, limit: int = 100, fragments: int = 8, binary: bool = False) -> Incoming:
    return Incoming(limit=limit, fragments=fragments, binary=binary)


def everything(machine: Incoming, data: bytes) -> list[Said]:
    machine.feed(data)
    return list(iter(machine.next, None))


def fouled(machine: Incoming, data: bytes) -> int:
    with pytest.raises(Foul) as foul:
        everything(machine, data)
    assert machine.next() is None
    return foul.value.code


def test_messages_and_control_frames_come_in_order():
    data = masked(b"one") + masked(b"tw", fin=False) + masked(b"p", 9) + masked(b"o", 0) + masked(b"q", 10)

    said = everything(incoming(), data + masked(b"\x03\xe8bye", 8) + masked(b"late"))

    assert said == ["one", Ping(b"p"), "two", Pong(b"q"), CloseConnection(code=1000, reason="bye")]


def test_binary_is_refused_at_its_first_byte_unless_it_is_taken():
    first = masked(b"\x00" * 50, 2, fin=False)

    assert fouled(incoming(), first[:10]) == 1003
    assert everything(incoming(binary=True), first + masked(b"\xff", 0)) == [b"\x00" * 50 + b"\xff"]


@pytest.mark.parametrize(
    "data",
    [
        masked(b"x" * 101),
        masked(b"x" * 60, fin=False) + masked(b"x" * 41, 0),
        masked("ä".encode() * 51),  # 51 characters
        masked("ä".encode() * 30, fin=False) + masked("ä".encode() * 21, 0),
        masked(b"x" * 200)[:110],  # said before the frame is whole
    ],
)
def test_limit_counts_bytes_of_the_whole_message(data: bytes):
    assert fouled(incoming(), data) == 1009


def test_message_at_the_limit_passes_and_the_next_one_starts_anew():
    full = masked(b"x" * 60, fin=False) + masked(b"x" * 40, 0)

    assert everything(incoming(), full + full + masked(b"y" * 100)) == ["x" * 100, "x" * 100, "y" * 100]


def test_message_has_no_more_fragments_than_allowed():
    def in_parts(count: int) -> bytes:
        return masked(b"", fin=False) + masked(b"", 0, fin=False) * (count - 2) + masked(b"", 0)

    assert everything(incoming(), in_parts(8) * 2) == ["", ""]
    assert fouled(incoming(), in_parts(9)) == 1009


def test_unfinished_message_that_drips_is_kept_as_bytes_only():
    machine = incoming(limit=70_000)
    machine.feed(masked(b"x" * 65_535)[:8])
    for _ in range(60_000):
        machine.feed(b"x")
        assert machine.next() is None

    assert len(machine._gathered) == 60_000


@given(
    messages=st.lists(st.one_of(st.text(max_size=20), st.binary(max_size=60)), max_size=6),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
)
def test_the_way_bytes_are_cut_changes_nothing(messages: list[str | bytes], cuts: list[int]):
    data = b"".join(
        masked(each.encode(), 1) + masked(b"p", 9) if isinstance(each, str) else masked(each, 2) for each in messages
    )
    machine, said, at, n = incoming(binary=True), [], 0, 0
    while at < len(data):
        size = cuts[n % len(cuts)]
        said += everything(machine, data[at : at + size])
        at, n = at + size, n + 1

    assert [each for each in said if not isinstance(each, Ping)] == messages
