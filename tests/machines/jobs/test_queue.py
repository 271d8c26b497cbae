"""The order in which jobs are taken."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.jobs.job import Job
from appliance.jobs.queue import EVERYWHERE, Entry, Place, Queue


def entry(
    id: str, type: str = "Work", *, priority: int = 0, memory: str = "", due: float = 0.0, space: int = 1
) -> Entry:
    return Entry(space, Job(id=id, type=type, created=int(id), priority=priority, memory=memory), due)


def queue_of(*entries: Entry, concurrency: int = 100, offered: int = 100) -> Queue:
    queue = Queue(concurrency)
    for one in entries:
        queue.offer(one.job.type, offered)
        queue.add(one, 0.0)
    return queue


def drained(queue: Queue, now: float = 0.0) -> list[str]:
    found = []
    while (one := queue.claim(now)) is not None:
        found.append(one.id)
    return found


def test_priority_is_first_and_age_is_second_over_all_types():
    queue = queue_of(
        entry("1", "A"), entry("2", "B", priority=5), entry("3", "A", priority=5), entry("4", "B", priority=9)
    )

    assert drained(queue) == ["4", "2", "3", "1"]


def test_a_type_takes_no_more_than_its_share_and_gives_it_back():
    queue = queue_of(entry("1"), entry("2"), offered=1)
    first = queue.claim(0.0)

    assert first is not None
    assert queue.claim(0.0) is None
    queue.release(first)
    queue.remove(first)
    assert drained(queue) == ["2"]


def test_what_is_not_due_waits_and_says_until_when():
    queue = queue_of(entry("1", due=10.0), entry("2", due=5.0))

    assert queue.next_due() == 5.0
    assert drained(queue, 4.9) == []
    assert drained(queue, 5.0) == ["2"]
    assert drained(queue, 10.0) == ["1"]
    assert queue.next_due() == math.inf


def test_what_was_put_off_again_is_not_taken_at_its_first_time():
    one = entry("1", due=5.0)
    queue = queue_of(one)
    queue.hold(one)
    one.due = 20.0
    queue.again(one, 0.0)

    assert queue.claim(10.0) is None
    assert queue.claim(20.0) is one


def test_a_paused_memory_waits_and_comes_back_in_its_order():
    queue = queue_of(entry("1", memory="a"), entry("2"), entry("3", memory="a", priority=3))
    queue.pause((1, "a"))

    assert drained(queue) == ["2"]
    queue.resume((1, "a"))
    assert drained(queue) == ["3", "1"]


def test_a_paused_namespace_stops_itself_alone_and_scopes_add_up():
    queue = queue_of(entry("1", memory="a"), entry("2", space=2))
    queue.pause((1, EVERYWHERE))
    queue.pause((1, "a"))

    assert drained(queue) == ["2"]
    queue.resume((1, EVERYWHERE))
    assert drained(queue) == []
    queue.resume((1, "a"))
    assert drained(queue) == ["1"]


def test_what_nobody_does_is_counted_and_left():
    queue = queue_of(entry("1"), entry("2", "Other", memory="a"))
    queue.withdraw("Other")

    assert drained(queue) == ["1"]
    assert queue.counts(1, None, 0.0).incompatible == 1
    assert queue.counts(1, ("",), 0.0).incompatible == 0


def test_a_job_in_somebodys_hands_is_not_taken():
    one = entry("1")
    queue = queue_of(one)

    assert queue.hold(one)
    assert not queue.hold(one)
    assert queue.claim(0.0) is None
    assert queue.counts(1, None, 0.0).pending == 1


def test_clearing_forgets_jobs_and_pauses_and_keeps_who_does_what():
    queue = queue_of(entry("1"))
    queue.pause((1, EVERYWHERE))
    queue.clear()
    queue.add(entry("2"), 0.0)

    assert drained(queue) == ["2"]


MEMORIES = ("", "a", "b")
steps = st.lists(
    st.tuples(
        st.sampled_from(("add", "claim", "again", "end", "hold", "pause", "resume", "later")),
        st.integers(0, 20),
        st.sampled_from(MEMORIES),
        st.integers(0, 3),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_counts_are_those_of_the_jobs_and_nothing_is_lost(steps: list[tuple[str, int, str, int]]):
    queue, now, paused, live = Queue(3), 0.0, set(), []
    queue.offer("A", 2)
    queue.offer("B", 1)
    for number, (what, pick, memory, level) in enumerate(steps):
        running = [one for one in live if one.place is Place.RUNNING]
        match what:
            case "add":
                one = entry(str(number), "AB"[pick % 2], priority=level, memory=memory, due=now + pick % 3)
                live.append(one)
                queue.add(one, now)
            case "claim":
                ready = [one for one in live if one.place in (Place.READY, Place.DELAYED) and one.due <= now]
                free = [
                    one
                    for one in ready
                    if one.job.memory not in paused
                    and sum(other.job.type == one.job.type for other in running) < {"A": 2, "B": 1}[one.job.type]
                ]
                best = min(free, key=lambda one: (-one.job.priority, one.job.created), default=None)
                assert queue.claim(now) is (best if len(running) < 3 else None)
            case "again" if running:
                one = running[pick % len(running)]
                queue.release(one)
                one.due = now + level
                queue.again(one, now)
            case "end" if running:
                one = running[pick % len(running)]
                queue.release(one)
                queue.remove(one)
                live.remove(one)
            case "hold" if live:
                one = live[pick % len(live)]
                if queue.hold(one):
                    one.due = now + level
                    queue.again(one, now)
            case "pause":
                paused.add(memory)
                queue.pause((1, memory))
            case "resume":
                paused.discard(memory)
                queue.resume((1, memory))
            case "later":
                now += level
        counts = queue.counts(1, None, now)
        assert len(queue) == len(live) == counts.total
        assert counts.running == sum(one.place is Place.RUNNING for one in live)
        assert counts.total == sum(queue.counts(1, (memory,), now).total for memory in MEMORIES)
