"""Which delivery is next, and up to where everything is settled."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.webhooks.endpoint import Delivery
from appliance.egress.webhooks.lines import Job, Lines
from appliance.model.event import Event


def job(position: int, stream: str = "s-1", *, again: bool = False, data: str = "") -> Job:
    event = Event(1, stream, "T", 0, position, "e", data, None, 0) if data else None
    return Job(Delivery(f"d{position}", "w", position, "e", "T", position, stream, again=again), event)


def test_the_cursor_stands_below_the_first_that_is_open():
    lines, jobs = Lines(10, ordered=False), [job(n) for n in (11, 13, 14)]
    for one in jobs:
        lines.add(one)
    lines.read = 20
    seen = [lines.cursor]
    for one in (jobs[1], jobs[0], jobs[2]):
        assert lines.next(0.0) is not None
        lines.settle(one)
        seen.append(lines.cursor)
    assert seen == [10, 10, 13, 20]


def test_what_is_sent_again_does_not_hold_the_cursor():
    lines = Lines(10, ordered=False)
    lines.add(job(3, again=True))
    assert (lines.cursor, len(lines)) == (10, 1)


def test_nothing_comes_before_its_time():
    lines, one = Lines(0, ordered=False), job(1)
    lines.add(one, due=5.0)
    assert (lines.next(4.9), lines.due(), lines.next(5.0)) == (None, 5.0, one)


def test_it_is_full_by_count_and_by_weight():
    lines = Lines(0, ordered=False, most=3, bytes=100)
    heavy = job(1, data="x" * 100)
    lines.add(heavy)
    assert lines.full
    lines.again(lines.next(0.0) or heavy, 1.0)
    assert not lines.full  # the event is not kept while it waits
    lines.add(job(2))
    lines.add(job(3))
    assert lines.full


@given(st.integers(0, 2**32), st.booleans())
def test_whatever_the_order_of_ends_all_come_out_once_and_in_order_where_promised(seed: int, ordered: bool):
    chance = random.Random(seed)
    lines, out, ended, now = Lines(0, ordered=ordered), [], [], 0.0
    for position in range(1, 31):
        lines.add(job(position, f"s-{position % 3}"))
    while len(lines):
        now += chance.random()
        if (found := lines.next(now)) is not None:
            out.append(found)
        if out and chance.random() < 0.7:
            one = out.pop(chance.randrange(len(out)))
            if chance.random() < 0.3:
                lines.again(one, now + chance.random() if chance.random() < 0.7 else None)
            else:
                ended.append(one.delivery.position)
                lines.settle(one)
                assert set(range(1, lines.cursor + 1)) <= set(ended)
    assert sorted(ended) == list(range(1, 31))
    assert lines.cursor == 30
    if ordered:
        for stream in range(3):
            mine = [position for position in ended if position % 3 == stream]
            assert mine == sorted(mine)
