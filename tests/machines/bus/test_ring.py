"""The bounded ring of ready blocks, and the shelf that all rings stand on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.bus.ring import Ring, Shelf


def filled(count: int, *, most: int = 100, limit: int = 1000, size: int = 10, shelf: Shelf | None = None) -> Ring:
    ring = Ring(shelf or Shelf(1_000_000), most=most, limit=limit)
    for number in range(count):
        ring.push(b"%0*d" % (size, number), position=number, events=2)
    return ring


def test_since_joins_what_is_newer_and_says_how_far_it_goes():
    ring = filled(3, size=1)

    assert ring.since(1) == (b"12", (3, 2, 6, -1))


def test_since_stops_after_about_as_many_bytes_as_asked_for():
    ring = filled(5)

    data, end = ring.since(1, most=15)

    assert (len(data), end) == (20, (3, 2, 6, -1))


def test_since_stops_at_a_place():
    ring = filled(5, size=1)

    assert ring.since(1, until=3) == (b"12", (3, 2, 6, -1))


def test_a_single_block_is_not_copied():
    ring = filled(3)

    assert ring.since(2).data is ring.since(2).data


def test_oldest_blocks_go_when_there_are_too_many():
    ring = filled(10, most=4)

    assert (ring.base, ring.head) == (6, 10)
    with pytest.raises(LookupError):
        ring.since(5)


def test_bytes_are_bounded_and_the_newest_block_always_stays():
    ring = filled(10, limit=35)
    ring.push(b"x" * 500, position=10, events=1)

    assert (ring.base, ring.head, ring.size) == (10, 11, 500)


def test_oldest_block_of_all_goes_first_when_the_shelf_is_full():
    shelf = Shelf(100)
    quiet, busy = filled(3, shelf=shelf), Ring(shelf)

    for number in range(8):
        busy.push(b"0123456789", position=number, events=1)

    assert (quiet.base, busy.base, shelf.size) == (1, 0, 100)


def test_block_larger_than_the_budget_is_not_kept():
    shelf = Shelf(100)
    ring = filled(3, shelf=shelf)

    ring.push(b"x" * 101, position=3, events=1)

    assert (ring.base, ring.head, shelf.size) == (4, 4, 0)
    with pytest.raises(LookupError):
        ring.since(3)


def test_ring_that_is_cleared_leaves_its_room_to_the_others():
    shelf = Shelf(100)
    ring = filled(5, shelf=shelf)

    ring.clear()

    assert (ring.size, shelf.size) == (0, 0)


@given(
    pushes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=80),
    budget=st.integers(0, 200),
)
def test_rings_together_never_hold_more_than_the_budget(pushes, budget):
    shelf = Shelf(budget)
    rings = [Ring(shelf, most=5, limit=90) for _ in range(4)]

    for position, (which, size) in enumerate(pushes):
        rings[which].push(b"x" * size, position=position, events=1)

        assert shelf.size == sum(ring.size for ring in rings) <= budget
