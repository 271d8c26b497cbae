"""QueueStatus reaches exactly those whose numbers it holds."""

from __future__ import annotations

import json

import msgspec
import pytest

from appliance.egress.filters import EventFilter
from appliance.ingress.labels import labelled
from appliance.jobs.status import status_events
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Namespace
from appliance.model.principal import Principal
from appliance.model.sight import Sight, sight_label, sight_of
from appliance.model.topic import Topic
from appliance.world import RealWorld

SIGHTS: list[Sight] = [None, ("",), ("a",), ("a", "b")]
CATALOG = Catalog()


def follower(sight: Sight) -> EventFilter:
    return EventFilter(CATALOG, memories=sight)


def numbers(namespace: int, sight: Sight) -> dict[str, int]:
    return {"total_jobs": 0 if sight is None else len(sight), "running": 0, "pending": 0}


def announced(*sights: Sight, busy: tuple[int, ...] = ()) -> list[Event]:
    topics = [Topic(1, filter=follower(sight), ephemeral=True) for sight in sights]
    return list(status_events(topics, busy, numbers, lambda _: 9, RealWorld()))


@pytest.mark.parametrize("sight", SIGHTS)
def test_each_reader_is_shown_one_and_its_own(sight: Sight):
    events = announced(*SIGHTS)

    shown = [event for event in events if follower(sight).passes(event)]

    assert [json.loads(event.data) for event in shown] == [numbers(1, sight)]


def test_the_whole_comes_last_and_also_for_those_who_only_count():
    events = announced(("a",), busy=(1, 2))

    assert [(event.namespace, sight_of(event)) for event in events] == [(1, ("a",)), (1, None), (2, None)]
    assert {event.global_position for event in events} == {9}


def test_nobody_follows_and_nobody_works_and_nothing_is_said():
    assert announced() == []


def test_a_writer_cannot_say_for_whom_an_event_is():
    forged = Draft("jobs", "QueueStatus", "{}", sight_label(("b",)))
    writer = Principal(Namespace(1, "default"), frozenset({"write"}), memories=frozenset({"a"}))

    written = labelled(forged, writer)
    event = Event(1, "jobs", "QueueStatus", -1, 1, "e", "{}", written.metadata, 0)

    assert not follower(("b",)).passes(event)
    assert follower(("a",)).passes(event)


def test_a_stored_event_goes_by_its_memory_whatever_it_says():
    event = Event(1, "jobs", "QueueStatus", 0, 1, "e", "{}", '{"memory":"a","sight":["b"]}', 0)

    assert follower(("a",)).passes(event)
    assert not follower(("b",)).passes(event)
    assert sight_of(msgspec.structs.replace(event, position=-1, metadata='{"sight":7}')) is msgspec.UNSET
