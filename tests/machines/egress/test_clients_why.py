"""What became of an event at a live client: sent, not yet, or not for it, and why."""

from __future__ import annotations

from typing import Any, cast

import pytest

from appliance.egress.clients.roster import Entry
from appliance.egress.clients.why import leg_of
from appliance.egress.filters import NOTHING, EventFilter
from appliance.model.catalog import Catalog
from appliance.model.clients import Habits
from appliance.model.event import Event, Group, Namespace
from appliance.model.legs import Leg
from appliance.model.principal import Principal
from appliance.model.topic import Filter, Topic

HABITS = Habits("eventing", "websocket", 30.0, 90.0, lambda now: b"ping")
SPACE = Namespace(1, "default")
EVENT = Event(1, "order-7", "OrderPlaced", 3, 9, "id", '{"total":1}', '{"memory":"work"}', 2_000_000)


class Place:
    """A reading that began at a position and was sent everything up to another."""

    def __init__(self, topic: Topic, *, began: int = 0, reached: int = 100, lag: int = 0) -> None:
        self.topic = topic
        self.began, self.reached, self.lag = began, reached, lag

    def sent(self, event: Event) -> bool | None:
        if not self.topic.matches(event) or event.global_position < self.began:
            return None
        return event.global_position <= self.reached


def leg(*places: Place, connected: int = 1_000_000, handed: int = 2_004_000) -> Leg | None:
    entry = Entry(
        "c1", Principal(SPACE, subject="anna"), "10.0.0.1", HABITS, cast(Any, None), None,
        connected=connected, joined=0.0,
    )  # fmt: skip
    entry.readings, entry.topics = places, ("order",)
    return leg_of(entry, EVENT, handed)


def wanting(**wish: Any) -> Topic:
    return Topic(1, filter=EventFilter(Catalog(), **wish))


def test_who_was_sent_it_is_told_with_the_time_it_was_handed_out():
    sent = leg(Place(Topic(1, categories=("order",))))

    assert sent == Leg("client", "anna (eventing)", "done", "follows order", "1970-01-01T00:00:02.004000Z", 4.0, "c1")


@pytest.mark.parametrize(("connected", "handed"), [(3_000_000, 2_004_000), (1_000_000, 0)])
def test_who_read_it_later_has_no_time(connected: int, handed: int):
    sent = leg(Place(Topic(1)), connected=connected, handed=handed)

    assert sent is not None
    assert (sent.outcome, sent.at, sent.after_ms) == ("done", "", None)


def test_who_is_behind_waits():
    waiting = leg(Place(Topic(1), reached=5, lag=4), Place(Topic(1, "other-1")))

    assert waiting is not None
    assert (waiting.outcome, waiting.detail) == ("waiting", "it is 4 events behind")


def test_another_namespace_is_not_spoken_of():
    assert leg(Place(Topic(2))) is None
    assert leg() is None


def test_who_came_after_it_and_asked_for_nothing_before_is_told_so():
    skipped = leg(Place(Topic(1), began=10))

    assert skipped is not None
    assert (skipped.outcome, skipped.detail) == (
        "skipped", "it came after the event, and did not ask for what was before",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (Topic(1, stream="order-8"), "order-7 is not the stream it follows, order-8"),
        (Topic(1, categories=("note", "job")), "order is not among the categories it follows, note, job"),
        (Topic(1, group=Group(1, 2)), "the stream belongs to another member of its group of 2"),
        (Topic(1, stream="order-7", floor=5), "it follows what comes from position 5 on"),
        (Topic(1, floor=10), "it follows what comes from position 10 on"),
        (Topic(1, filter=cast(Filter, NOTHING)), "it wants no events for now"),
        (wanting(types=("note",)), "order.placed is not wanted, only note"),
        (
            wanting(types=tuple(f"t{n}" for n in range(7))),
            "order.placed is not wanted, only t0, t1, t2, t3, t4 and 2 more",
        ),
        (wanting(memories=("home",)), "the event is in memory work, wanted home"),
        (wanting(memories=("",)), "the event is in memory work, wanted none"),
        (wanting(entity_id="8"), "the event is about order 7, wanted 8"),
    ],
)
def test_a_client_that_does_not_follow_it_is_told_which_part_of_its_wish_misses(topic: Topic, reason: str):
    assert not topic.matches(EVENT)
    assert topic.misses(EVENT) == reason

    skipped = leg(Place(topic))

    assert skipped == Leg("client", "anna (eventing)", "skipped", reason, id="c1")


def test_what_is_told_in_passing_is_only_for_those_who_asked_for_it():
    passing = Event(1, "queue", "QueueStatus", -1, 9, "id", "{}", None, 0)

    assert Topic(1).misses(passing) == "it follows what is stored, and this was told in passing"
    assert Topic(1, ephemeral=True).misses(passing) == ""
