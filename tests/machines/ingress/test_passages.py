"""When events went over the bus."""

from __future__ import annotations

from appliance.ingress.passages import Passages
from appliance.model.event import Event


def event(position: int, namespace: int = 1) -> Event:
    return Event(namespace, "s", "T", 0, position, "", "{}", None, 0)


def batch(*positions: int, namespace: int = 1) -> list[Event]:
    return [event(position, namespace) for position in positions]


def times(passages: Passages, *events: Event) -> list[tuple[int, int] | None]:
    found = [passages.of(one) for one in events]
    return [None if one is None else (one.published, one.handed) for one in found]


def test_a_batch_is_found_by_each_of_its_events_and_its_namespace():
    passages = Passages()
    passages.published([*batch(3, 4), *batch(1, namespace=2), *batch(5)], 10, awaited=False)
    passages.published(batch(6, 9), 20, awaited=False)

    assert times(passages, *batch(2, 3, 4, 5, 6, 8, 9, 10)) == [
        None, (10, 0), (10, 0), (10, 0), (20, 0), (20, 0), (20, 0), None,
    ]  # fmt: skip
    assert times(passages, *batch(1, 2, namespace=2)) == [(10, 0), None]
    assert times(passages, event(1, namespace=3)) == [None]


def test_what_is_awaited_is_handed_once():
    passages = Passages()
    passages.published(batch(1), 10, awaited=True)
    passages.published(batch(2), 11, awaited=False)
    passages.published(batch(3), 12, awaited=True)
    passages.handed(15)
    passages.handed(99)

    assert times(passages, *batch(1, 2, 3)) == [(10, 15), (11, 0), (12, 15)]


def test_only_the_newest_batches_are_remembered():
    passages = Passages(kept=2)
    for position in (1, 2, 3):
        passages.published(batch(position), position, awaited=False)

    assert times(passages, *batch(1, 2, 3)) == [None, (2, 0), (3, 0)]


def test_positions_that_begin_again_make_what_was_remembered_untrue():
    passages = Passages()
    passages.published(batch(1, 2, 3), 10, awaited=False)
    passages.published(batch(1), 20, awaited=False)

    assert times(passages, *batch(1, 2)) == [(20, 0), None]
