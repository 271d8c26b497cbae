"""Turns: nobody waits for a large audience, and whoever is served late in a round gets what came meanwhile."""

from __future__ import annotations

import trio
import trio.testing

from appliance.bus.flusher import SENDS
from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Book, Numbers, Peer, a_bus


class Counted(Peer):
    """Counts how often it was offered something."""

    def __init__(self) -> None:
        super().__init__()
        self.offers = 0

    def offer(self, data: bytes) -> bool:
        self.offers += 1
        return super().offer(data)


async def join(book: Book, topic: Topic, count: int) -> list[Counted]:
    peers, dialect = [Counted() for _ in range(count)], Numbers()
    for peer in peers:
        await book.bus.follow(topic, dialect, peer, None)
    return peers


async def test_small_audience_is_served_between_the_turns_of_a_large_one():
    async with a_bus() as book:
        large = await join(book, Topic(1, stream="large-1"), 5 * SENDS)
        small = await join(book, Topic(1, stream="small-1"), 10)

        book.write("large-1")
        book.write("small-1")
        while not small[0].offers:
            await trio.lowlevel.checkpoint()

        assert all(peer.words == "2" for peer in small)
        assert not large[-1].offers


async def test_event_that_comes_during_a_round_is_joined_for_those_not_served_yet():
    async with a_bus() as book:
        peers = await join(book, Topic(1), 4 * SENDS)

        book.write("a-1")
        while not peers[0].offers:
            await trio.lowlevel.checkpoint()
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        assert {peer.words for peer in peers} == {"1 2"}
        assert [peers[0].offers, peers[-1].offers] == [2, 1]


async def test_one_event_to_a_small_channel_is_out_one_tick_after_it_was_written():
    async with a_bus() as book:
        peers = await join(book, Topic(1), 10)
        await trio.testing.wait_all_tasks_blocked()

        book.write("a-1")
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()  # the flusher's place within a tick is left to chance

        assert {peer.words for peer in peers} == {"1"}


async def test_many_events_of_one_batch_are_one_offer_for_each_member():
    async with a_bus() as book:
        peers = await join(book, Topic(1), 20)

        book.write("a-1", 64)
        for _ in range(5):
            book.write("a-2")
        await trio.testing.wait_all_tasks_blocked()

        assert {peer.offers for peer in peers} == {1}
        assert book.bus.delivered == 20 * 69


async def test_flushed_returns_when_what_was_published_before_has_been_offered_to_all():
    async with a_bus() as book:
        peers = await join(book, Topic(1), 3 * SENDS)
        book.write("a-1")

        await book.bus.flushed()

        assert {peer.words for peer in peers} == {"1"}


async def test_flushed_returns_although_others_go_on_writing():
    async with a_bus() as book:
        peers = await join(book, Topic(1), 3 * SENDS)

        async def write_for_ever() -> None:
            while True:
                book.write("a-1")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_for_ever)
            book.write("a-1")
            newest = len(book.events)
            await book.bus.flushed()
            nursery.cancel_scope.cancel()

        assert all(peer.numbers[-1] >= newest for peer in peers)


async def test_flushed_does_not_wait_for_those_who_are_behind_or_gone():
    async with a_bus() as book:
        stuck, gone = Peer(), Peer()
        for peer in (stuck, gone):
            await book.bus.follow(Topic(1), Numbers(), peer, None)
        stuck.shut()
        gone.kill()
        book.write("a-1")

        with trio.fail_after(5):
            await book.bus.flushed()

        assert book.bus.members == 1


async def test_flushed_returns_when_the_audience_leaves():
    async with a_bus() as book:
        subscription = await book.bus.follow(Topic(1), Numbers(), Peer(), None)
        book.write("a-1")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.bus.flushed)
            subscription.leave()
        await book.bus.flushed()

        assert book.bus.audiences == 0


async def test_joining_and_leaving_in_the_middle_of_a_round_loses_nothing():
    async with a_bus() as book:
        peers = await join(book, Topic(1), 2 * SENDS)
        leaver = await book.bus.follow(Topic(1), Numbers(), Peer(), None)
        late = Peer()

        book.write("a-1")
        while not peers[0].offers:
            await trio.lowlevel.checkpoint()
        leaver.leave()
        await book.bus.follow(Topic(1), Numbers(), late, 1)
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        assert {peer.words for peer in (*peers, late)} == {"1 2"}
