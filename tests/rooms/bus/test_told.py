"""What the bus can say afterwards: whether an event was handed to a member, and when all were offered it."""

from __future__ import annotations

import trio
import trio.testing

from appliance.bus import Bus
from appliance.model.event import Event
from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Book, Numbers, Peer, a_bus


async def test_a_member_was_sent_what_came_while_it_followed_and_nothing_before():
    async with a_bus() as book:
        book.write("order-1", 2)
        new, resumed = Peer(), Peer()
        late = await book.bus.follow(Topic(1), Numbers(), new, None)
        whole = await book.bus.follow(Topic(1, stream="order-1"), Numbers(), resumed, 1)
        book.write("order-1")
        book.write("note-1")
        await trio.testing.wait_all_tasks_blocked()
        told = [[one.sent(event) for event in book.events] for one in (late, whole)]

    assert (new.numbers, resumed.numbers) == ([3, 4], [2, 3])
    assert told == [[None, None, True, True], [None, True, True, None]]


async def test_a_member_that_moved_was_sent_what_it_followed_before():
    async with a_bus() as book:
        peer = Peer()
        one = await book.bus.follow(Topic(1, categories=("order",)), Numbers(), peer, None)
        book.write("order-1")
        await trio.testing.wait_all_tasks_blocked()
        await one.move(Topic(1, categories=("note",)))
        book.write("order-1")
        book.write("note-1")
        await trio.testing.wait_all_tasks_blocked()
        told = [one.sent(event) for event in book.events]

    assert (peer.numbers, told) == ([1, 3], [True, None, True])


async def test_a_member_that_is_behind_was_not_sent_it_yet():
    async with a_bus() as book:
        peer = Peer()
        one = await book.bus.follow(Topic(1), Numbers(), peer, None)
        peer.shut()
        book.write("order-1")
        await trio.testing.wait_all_tasks_blocked()

        assert one.sent(book.events[0]) is False


async def test_it_says_when_everybody_was_offered_what_there_is():
    events: list[Event] = []
    said: list[bytes] = []
    peer = Peer()
    book = Book()
    bus = Bus(book.read, lambda key: len(events), handed=lambda: said.append(peer.got))
    async with trio.open_nursery() as nursery:
        await nursery.start(bus.run)
        await bus.follow(Topic(1), Numbers(), peer, None)
        await trio.testing.wait_all_tasks_blocked()
        said.clear()
        nobody = Event(2, "other-1", "Happened", 0, 1, "", "{}", None, 0)
        bus.publish([nobody])
        idle = bus.offering
        events.append(Event(1, "order-1", "Happened", 0, 1, "", "{}", None, 0))
        bus.publish(events)
        busy = bus.offering
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert (idle, busy, bus.offering) == (False, True, False)
    assert said == [b"1 "]
