"""The bounded ring of ready blocks."""

import pytest

from appliance.bus.ring import Block, Ring


def filled(count: int, *, most: int = 100, limit: int = 1000, size: int = 10) -> Ring:
    ring = Ring(most)
    for number in range(count):
        ring.push(Block(b"%0*d" % (size, number), number), limit)
    return ring


def test_since_joins_what_is_newer_and_says_how_far_it_goes():
    ring = filled(3, size=1)

    assert ring.since(1) == (b"12", 3, 2)


def test_since_stops_after_about_as_many_bytes_as_asked_for():
    ring = filled(5)

    data, number, last = ring.since(1, most=15)

    assert (len(data), number, last) == (20, 3, 2)


def test_oldest_blocks_go_when_there_are_too_many():
    ring = filled(10, most=4)

    assert (ring.base, ring.head) == (6, 10)
    with pytest.raises(LookupError):
        ring.since(5)


def test_bytes_are_bounded_and_the_newest_block_always_stays():
    ring = filled(10, limit=35)
    ring.push(Block(b"x" * 500, 10), 35)

    assert (ring.base, ring.head, ring.size) == (10, 11, 500)
