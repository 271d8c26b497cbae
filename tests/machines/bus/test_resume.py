"""History joined to live, under every order in which writing, reading and joining can happen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.bus.resume import Resume
from appliance.model.event import Event, Query
from appliance.model.topic import Topic


def event(stream: str, position: int, global_position: int) -> Event:
    return Event(1, stream, "T", position, global_position, str(global_position), "{}", None, 0)


class Book:
    """A log whose readers cut pages where they like."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, stream: str) -> None:
        position = sum(event.stream == stream for event in self.events)
        self.events.append(event(stream, position, len(self.events) + 1))

    def read(self, query: Query, cut: int) -> list[Event]:
        assert query.through is not None
        found = [
            event
            for event in self.events
            if query.global_position <= event.global_position <= query.through
            and (query.stream is None or (event.stream == query.stream and event.position >= query.position))
        ]
        return found[: max(1, min(cut, query.limit or 0))]


@given(
    before=st.integers(0, 12),
    since=st.integers(0, 15) | st.none(),
    stream=st.sampled_from([None, "a-1"]),
    steps=st.lists(st.sampled_from(["write a-1", "write b-1", "read", "lose the place"]), max_size=40),
    cut=st.integers(1, 5),
)
def test_every_event_from_since_on_is_seen_once_and_in_order(before, since, stream, steps, cut):
    book = Book()
    for number in range(before):
        book.write("a-1" if number % 2 else "b-1")
    start = len(book.events)
    ends = start + 1 if stream is None else sum(event.stream == stream for event in book.events)
    topic = Topic(1, stream=stream, floor=since if since is not None and since > ends else 0)
    resume = Resume.since(topic, since)
    resume.draw(len(book.events))
    seen: list[Event] = []

    for step in steps:
        if step.startswith("write"):
            book.write(step.split()[1])
        elif step == "lose the place" and resume.wanted() is None:
            resume = Resume(topic, global_position=resume.boundary + 1)
            resume.draw(len(book.events))
        elif step == "read" and (query := resume.wanted()) is not None:
            page = book.read(query, cut)
            resume.took(page)
            seen += page
    while (query := resume.wanted()) is not None:
        page = book.read(query, cut)
        resume.took(page)
        seen += page
    live = [event for event in book.events if event.global_position > resume.boundary and topic.matches(event)]

    expected = [event for event in book.events if topic.matches(event)]
    if since is None:
        expected = [event for event in expected if event.global_position > start]
    elif stream is None:
        expected = [event for event in expected if event.global_position >= since]
    else:
        expected = [event for event in expected if event.position >= since]
    assert seen + live == expected


def test_stream_whose_positions_disagree_with_the_global_ones_is_read_whole():
    stored = [event("a-1", 0, 30), event("a-1", 1, 10), event("a-1", 2, 20)]
    resume = Resume.since(Topic(1, stream="a-1"), 0)
    resume.draw(30)
    seen: list[Event] = []

    while (query := resume.wanted()) is not None:
        page = [
            one for one in stored if one.position >= query.position and one.global_position >= query.global_position
        ]
        resume.took(page[:1])
        seen += page[:1]

    assert seen == stored
