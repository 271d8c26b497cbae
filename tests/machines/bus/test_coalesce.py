"""Windows in which only the newest value matters: first at once, newest at the end, nothing final lost."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.bus.coalesce import Alarms, Coalescer
from appliance.model.event import Event


def value(number: int, key: str = "job-1") -> Event:
    return Event(1, key, "Progress", -1, 7, str(number), "{}", None, 0)


def ids(events: list[Event]) -> list[str]:
    return [event.id for event in events]


def test_first_value_is_shown_at_once_and_the_newest_when_the_window_ends():
    windows = Coalescer(0.5)

    shown = [windows.offer("a", value(number), now) for number, now in ((1, 0.0), (2, 0.1), (3, 0.4))]

    assert shown == [True, False, False]
    assert (ids(windows.release(0.49)), windows.due, ids(windows.release(0.5))) == ([], 0.5, ["3"])
    assert windows.coalesced == 1


def test_window_opens_anew_with_what_it_held_and_is_forgotten_when_nothing_came():
    windows = Coalescer(0.5)
    windows.offer("a", value(1), 0.0)
    windows.offer("a", value(2), 0.1)
    windows.release(0.5)

    held = windows.offer("a", value(3), 0.9)

    assert (held, ids(windows.release(1.0)), ids(windows.release(1.5)), windows.due) == (False, ["3"], [], math.inf)
    assert windows.offer("a", value(4), 1.6)


def test_value_that_comes_after_the_end_takes_the_place_of_a_held_one_not_yet_released():
    windows = Coalescer(0.5)
    windows.offer("a", value(1), 0.0)
    windows.offer("a", value(2), 0.1)

    shown = windows.offer("a", value(3), 0.6)

    assert (shown, ids(windows.release(0.6)), windows.coalesced) == (True, [], 1)


def test_settling_gives_back_what_was_held_and_ends_the_window():
    windows = Coalescer(0.5)
    windows.offer("a", value(1), 0.0)
    windows.offer("a", value(2), 0.1)

    held = windows.settle("a")

    assert held == value(2)
    assert (windows.settle("a"), windows.due, windows.offer("a", value(3), 0.2)) == (None, math.inf, True)


def test_keys_have_windows_of_their_own():
    windows = Coalescer(0.5)

    shown = [windows.offer(key, value(n), n / 10) for n, key in enumerate(("a", "b", "a", "b"))]

    assert shown == [True, True, False, False]
    assert (ids(windows.release(0.5)), ids(windows.release(0.6))) == (["2"], ["3"])


def test_letting_go_shows_what_is_held_and_keeps_the_windows():
    windows = Coalescer(0.5)
    windows.offer("a", value(1), 0.0)
    windows.offer("a", value(2), 0.1)

    held = windows.let_go()

    assert (ids(held), windows.offer("a", value(3), 0.3), ids(windows.release(0.5))) == (["2"], False, ["3"])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["value", "settle", "wait"])), max_size=60))
def test_newest_value_of_every_key_is_shown_last_and_none_twice(steps):
    windows, now = Coalescer(0.5), 0.0
    shown: dict[str, list[int]] = {"a": [], "b": []}
    newest: dict[str, int] = {}
    opened: dict[str, list[float]] = {"a": [], "b": []}
    for number, (key, step) in enumerate(steps):
        now += 0.13
        if step == "value":
            newest[key] = number
            if windows.offer(key, value(number, key), now):
                shown[key].append(number)
                opened[key].append(now)
        elif step == "settle":
            held = windows.settle(key)
            if held is not None:
                shown[key].append(int(held.id))
            opened[key].clear()
            assert newest.get(key) == (shown[key][-1] if shown[key] else None)
        for event in windows.release(now):
            shown[event.stream].append(int(event.id))
            opened[event.stream].append(now)
    while windows.due < math.inf:
        now = windows.due
        for event in windows.release(now):
            shown[event.stream].append(int(event.id))
            opened[event.stream].append(now)

    for key, numbers in shown.items():
        assert numbers == sorted(set(numbers))
        assert newest.get(key) == (numbers[-1] if numbers else None)
        times = opened[key]
        assert all(later - earlier > 0.499 for earlier, later in pairwise(times))
    values = sum(step == "value" for _, step in steps)
    assert windows.coalesced == values - sum(len(numbers) for numbers in shown.values())


def test_alarms_ring_in_order_and_again_for_who_has_more():
    alarms: Alarms[str] = Alarms()
    alarms.set("late", 2.0)
    alarms.set("early", 1.0)
    alarms.set("early", 1.5)  # has one, which is earlier
    alarms.set("never", math.inf)
    rung: list[str] = []

    def release(owner: str) -> float:
        rung.append(owner)
        return 3.0 if owner == "early" else math.inf

    alarms.ring(0.9, release)
    assert (rung, alarms.due) == ([], 1.0)
    alarms.ring(2.0, release)
    assert (rung, alarms.due) == (["early", "late"], 3.0)
