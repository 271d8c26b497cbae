"""An audience and its members: windows, ring and resume together, under every order of events."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from appliance.bus.audience import Audience, Audiences, Cursor
from appliance.bus.resume import Resume
from appliance.bus.ring import Mark, Shelf
from appliance.egress.memo import Plain
from appliance.model.event import Event
from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Peer


class Words(Plain):
    """Stored events as their position, announced ones as key:value@position."""

    window = 0.5

    def encode(self, event: Event) -> bytes:
        return f"{event.id} ".encode() if not event.ephemeral else f"{event.id}@{event.global_position} ".encode()

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)

    def key(self, event: Event) -> str:
        return event.id.partition(":")[0]

    def settles(self, event: Event) -> str:
        return "job" if event.type == "Done" else ""


class Member:
    """Does by hand what the flusher and the catching up do with a socket between."""

    def __init__(self, audience: Audience, newest: int) -> None:
        self.cursor = Cursor(audience, Peer())
        self.first = newest + 1
        self.got = ""
        self._take_place(Resume(audience.topic, global_position=newest + 1), newest)

    def _take_place(self, resume: Resume, newest: int) -> None:
        end = self.cursor.audience.seal()
        self.cursor.audience.reach(newest)
        resume.draw(newest)
        self.cursor.mark = Mark(end.number, newest, end.events)

    def read(self, stored: Sequence[Event], most: int) -> None:
        """One piece from the ring, or what was lost from the log."""
        audience, mark = self.cursor.audience, self.cursor.mark
        if mark.number == audience.seal().number:
            return
        try:
            data, self.cursor.mark = audience.ring.since(mark.number, most)
        except LookupError:
            missed = stored[mark.position :]
            self._take_place(Resume(audience.topic, global_position=mark.position + 1), len(stored))
            data = b"".join(audience.dialect.encode(event) for event in missed)
        self.got += data.decode()


@given(
    blocks=st.integers(1, 6),
    budget=st.integers(0, 120),
    steps=st.lists(
        st.sampled_from(["store", "done", "announce", "announce", "other", "wait", "seal", "join", "read", "read 2"]),
        max_size=80,
    ),
)
def test_members_see_every_stored_event_once_in_order_and_the_last_value_of_every_key(blocks, budget, steps):
    shelf, now, stored, said = Shelf(budget), 0.0, [], 0
    audience = Audience(Topic(1, ephemeral=True), Words(), shelf, blocks=blocks)
    members = [Member(audience, 0)]

    def event(id: str, type: str, *, ephemeral: bool) -> Event:
        return Event(1, "a-1", type, -1 if ephemeral else len(stored), len(stored) + (not ephemeral), id, "{}", None, 0)

    def store(type: str) -> None:
        fresh = event(str(len(stored) + 1), type, ephemeral=False)
        stored.append(fresh)
        audience.add(fresh, now)

    for step in steps:
        now += 0.2
        match step:
            case "store":
                store("Happened")
            case "done":
                store("Done")
            case "announce" | "other":
                said += 1
                key = "job" if step == "announce" else "other"
                audience.add(event(f"{key}:{said}", "Progress", ephemeral=True), now)
            case "wait":
                now += 0.5
                audience.release(now, len(stored))
            case "seal":
                audience.seal()
            case "join":
                members.append(Member(audience, len(stored)))
            case "read":
                members[0].read(stored, 1 << 20)
            case "read 2":
                members[-1].read(stored, 10)
        assert shelf.size <= budget
    audience.let_go(len(stored))
    watcher = Member(audience, len(stored))
    for member in members:
        while member.cursor.lag:
            member.read(stored, 1 << 20)

    for member in members:
        numbers = [int(word) for word in member.got.split() if word.isdigit()]
        assert numbers == list(range(member.first, len(stored) + 1))
        _check_announced(member.got.split())
    assert watcher.cursor.lag == 0


def _check_announced(words: list[str]) -> None:
    """Values rise, nothing stands before a stored event that was shown, and none comes twice."""
    shown, place = 0, 0
    values: dict[str, int] = {}
    for word in words:
        if word.isdigit():
            shown = int(word)
            continue
        value, _, at = word.partition("@")
        key, _, number = value.partition(":")
        assert int(at) >= max(shown, place)
        assert int(number) > values.get(key, 0)
        place, values[key] = int(at), int(number)


@given(st.lists(st.sampled_from(["value", "value", "done", "wait"]), max_size=40))
def test_last_value_is_out_before_the_event_that_settles_it_and_never_lost(steps):
    audience = Audience(Topic(1, ephemeral=True), Words(), Shelf(1 << 20), blocks=1 << 20)
    now, stored, said = 0.0, 0, 0
    for step in steps:
        now += 0.1
        if step == "value":
            said += 1
            audience.add(Event(1, "a-1", "Progress", -1, stored, f"job:{said}", "{}", None, 0), now)
        elif step == "done":
            stored += 1
            audience.add(Event(1, "a-1", "Done", stored, stored, f"done{said}", "{}", None, 0), now)
        else:
            now += 0.5
            audience.release(now, stored)
    while (due := audience.due) < float("inf"):
        audience.release(due, stored)
    end = audience.seal()

    words = audience.ring.since(0)[0].decode().split() if end.number else []
    last = 0
    for word in words:
        if word.startswith("done"):
            assert last == int(word.removeprefix("done"))
        else:
            last = int(word.partition("@")[0].removeprefix("job:"))
    assert last == said


def test_events_find_the_audiences_of_their_stream_their_category_and_their_namespace():
    audiences, shelf = Audiences(), Shelf(1 << 20)
    topics = {
        "stream": Topic(1, stream="order-1"),
        "category": Topic(1, categories=("order", "note")),
        "all": Topic(1),
        "other": Topic(2),
    }
    named = {name: Audience(topic, Words(), shelf, blocks=4) for name, topic in topics.items()}
    for audience in named.values():
        audiences.put(audience)

    def concerned(stream: str) -> list[str]:
        found = list(audiences.concerned(Event(1, stream, "T", 0, 1, "1", "{}", None, 0)))
        return [name for name, audience in named.items() if audience in found]

    assert [concerned(stream) for stream in ("order-1", "order-2", "job-1")] == [
        ["stream", "category", "all"],
        ["category", "all"],
        ["all"],
    ]
    audiences.drop(named["category"])
    assert (concerned("order-2"), len(audiences)) == (["all"], 3)
