"""Leaves of the log, read for one member and kept for the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.bus.past import KEEP, MOST, Leaf, Past
from appliance.bus.ring import Shelf

BIG = 1_000_000


def leaf(first: int, last: int, *, step: int = 1, made: float = 0.0) -> Leaf:
    """Every `step`-th position is seen, as its number and a space."""
    events = [(n, n, b"%d " % n) for n in range(first, last + 1) if n % step == 0]
    return Leaf(first, last, events, b"".join, made=made)


def test_leaf_gives_what_is_asked_for_and_the_whole_without_a_copy():
    one = leaf(1, 6, step=2)

    assert [one.between(1, 6), one.between(3, 9), one.between(3, 5), one.between(5, 5)] == [
        (b"2 4 6 ", 3),
        (b"4 6 ", 2),
        (b"4 ", 1),
        (b"", 0),
    ]
    assert one.between(1, 6)[0] is one.between(2, 9)[0]


def test_leaves_are_found_by_position_and_new_ones_end_before_the_next():
    past = Past(Shelf(BIG))
    early, late = leaf(1, 10), leaf(21, 30)
    past.add(late)
    past.add(early)

    assert [past.find(position, 0.0) for position in (1, 10, 11, 20, 25, 31)] == [early, early, None, None, late, None]
    assert [past.room(11, 100), past.room(11, 15), past.room(31, 100)] == [20, 15, 100]


def test_leaves_are_forgotten_after_a_while():
    past = Past(Shelf(BIG))
    past.add(leaf(1, 10, made=5.0))
    past.add(leaf(12, 20, made=6.0))

    assert past.find(1, 5.0 + KEEP) is None
    assert past.find(12, 5.0 + KEEP) is not None


def test_small_leaves_that_follow_each_other_become_one_as_old_as_the_first():
    shelf = Shelf(BIG)
    past = Past(shelf)
    for first in range(1, 2 * MOST, 5):
        past.add(leaf(first, first + 4, made=float(first)))

    found = past.find(3, 1.0)

    assert found is not None
    assert (found.first, found.last, found.made) == (1, MOST, 1.0)
    assert found.between(MOST - 1, MOST) == (b"%d %d " % (MOST - 1, MOST), 2)
    assert (past.find(MOST + 1, 1.0), shelf.size) == (past.find(2 * MOST, 1.0), past.size)


def test_past_that_is_full_drops_its_oldest_leaf_even_if_that_has_just_grown(monkeypatch):
    shelf = Shelf(BIG)
    past = Past(shelf)
    past.add(leaf(1, 5))
    past.add(leaf(20, 30))
    monkeypatch.setattr("appliance.bus.past.LIMIT", past.size + 200)

    past.add(leaf(6, 10))

    assert (past.find(1, 0.0), past.find(25, 0.0) is None) == (None, False)
    assert shelf.size == past.size


def test_leaf_of_a_stream_is_entered_by_its_positions_and_cut_by_those_of_the_log():
    one = Leaf(4, 9, [(4, 40, b"four "), (6, 60, b"six "), (9, 90, b"nine ")], b"".join)

    assert [one.between(5, 100), one.between(4, 60), one.between(9, 60)] == [
        (b"six nine ", 2),
        (b"four six ", 2),
        (b"", 0),
    ]
    assert [one.exceeds(89), one.exceeds(90)] == [True, False]


def test_clearing_leaves_the_shelf_empty_and_begins_a_new_edition():
    shelf = Shelf(BIG)
    past = Past(shelf)
    past.add(leaf(1, 10))

    past.clear()

    assert (shelf.size, past.size, past.edition, past.find(1, 0.0)) == (0, 0, 1, None)


@given(
    newest=st.integers(1, 60),
    readers=st.lists(st.tuples(st.integers(1, 70), st.integers(1, 60), st.integers(1, 8)), max_size=25),
    step=st.integers(1, 7),
    budget=st.sampled_from([0, 400, 2000, BIG]),
)
def test_readers_who_share_leaves_see_every_event_of_their_range_once(newest, readers, step, budget):
    """Each begins and ends somewhere and reads pages of its own length; the shelf may be too small for all."""
    shelf = Shelf(budget)
    past = Past(shelf)
    for first, through, page in readers:
        position, boundary, seen = first, min(through, newest), b""
        while position <= boundary:
            found = past.find(position, 0.0)
            if found is None:
                found = leaf(position, min(past.room(position, boundary), position + page - 1), step=step)
                past.add(found)
            seen += found.between(position, boundary)[0]
            position = min(found.last, boundary) + 1

        assert [int(word) for word in seen.split()] == [n for n in range(first, boundary + 1) if n % step == 0]
        assert shelf.size == past.size <= budget
