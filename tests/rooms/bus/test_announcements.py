"""What is announced and never stored, and how it is merged."""

from __future__ import annotations

import trio
import trio.testing

from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Numbers, Peer, a_bus

LIVE = Topic(1, ephemeral=True)


async def test_announced_event_reaches_those_who_want_it_and_is_in_nobodys_history():
    async with a_bus() as book:
        listens, stored_only, later = Peer(), Peer(), Peer()
        await book.bus.follow(LIVE, Numbers(), listens, None)
        await book.bus.follow(Topic(1), Numbers(), stored_only, None)

        book.write("a-1")
        book.announce("x")
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()
        await book.bus.follow(LIVE, Numbers(), later, 0)

        assert (listens.words, stored_only.words, later.words) == ("1 x@1 2", "1 2", "1 2")


async def test_announced_event_reaches_the_followers_of_its_stream():
    async with a_bus() as book:
        peers = {name: Peer() for name in ("job-1", "job-2")}
        for name, peer in peers.items():
            await book.bus.follow(Topic(1, stream=name, ephemeral=True), Numbers(), peer, None)

        book.announce("x", stream="job-1")
        await trio.testing.wait_all_tasks_blocked()

        assert (peers["job-1"].words, peers["job-2"].words) == ("x@0", "")


async def test_values_of_one_key_are_merged_into_the_first_and_the_newest(autojump_clock: trio.testing.MockClock):
    async with a_bus() as book:
        peer = Peer()
        await book.bus.follow(LIVE, Numbers(window=0.5), peer, None)

        for number in range(5):
            book.announce(f"p{number}")
            await trio.sleep(0.09)
        within = peer.words
        await trio.sleep(0.06)

        assert (within, peer.words, book.bus.coalesced) == ("p0@0", "p0@0 p4@0", 3)


async def test_held_value_goes_out_before_the_event_that_settles_it(autojump_clock: trio.testing.MockClock):
    async with a_bus() as book:
        peer = Peer()
        await book.bus.follow(LIVE, Numbers(window=0.5), peer, None)

        book.announce("p1")
        book.announce("p2")
        book.announce("q1", stream="job-2")
        book.write("job-1", type="Done")
        await trio.sleep(5)

        assert peer.words == "p1@0 q1@0 p2@0 1"


async def test_value_that_was_held_never_stands_behind_the_newest_stored_event(
    autojump_clock: trio.testing.MockClock,
):
    async with a_bus() as book:
        peer = Peer()
        await book.bus.follow(LIVE, Numbers(window=0.5), peer, None)

        book.announce("p1")
        book.announce("p2")
        book.write("note-1", 3)
        await trio.sleep(1)

        assert peer.words == "p1@0 1 2 3 p2@3"


async def test_only_audiences_with_a_window_merge(autojump_clock: trio.testing.MockClock):
    async with a_bus() as book:
        merged, whole = Peer(), Peer()
        await book.bus.follow(LIVE, Numbers(window=0.5), merged, None)
        await book.bus.follow(LIVE, Numbers(), whole, None)

        for number in range(3):
            book.announce(f"p{number}")
        await trio.sleep(1)

        assert (merged.words, whole.words) == ("p0@0 p2@0", "p0@0 p1@0 p2@0")


async def test_what_a_window_holds_for_an_audience_that_has_left_is_forgotten(
    autojump_clock: trio.testing.MockClock,
):
    async with a_bus() as book:
        peer = Peer()
        subscription = await book.bus.follow(LIVE, Numbers(window=0.5), peer, None)
        for number in range(3):
            book.announce(f"p{number}")

        subscription.leave()
        await trio.sleep(1)

        assert (peer.words, book.bus.members, book.bus.held, book.bus.coalesced) == ("", 0, 0, 1)


async def test_who_falls_out_of_the_ring_loses_announcements_and_no_stored_event():
    async with a_bus(blocks=4) as book:
        slow = Peer()
        await book.bus.follow(LIVE, Numbers(), slow, None)
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()
        slow.shut()

        for number in range(6):
            book.announce(f"x{number}")
            await trio.testing.wait_all_tasks_blocked()
            book.write("a-1")
            await trio.testing.wait_all_tasks_blocked()
        slow.open.set()
        await slow.has(7)

        assert slow.words == "1 lagged:12 2 3 4 5 6 7"


async def test_reader_behind_announcements_only_reads_nothing_twice():
    async with a_bus(blocks=2) as book:
        book.write("a-1", 3)
        slow = Peer()
        await book.bus.follow(LIVE, Numbers(), slow, None)
        book.announce("x")
        await trio.testing.wait_all_tasks_blocked()
        slow.shut()

        for number in range(5):
            book.announce(f"x{number}")
            await trio.testing.wait_all_tasks_blocked()
        slow.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert slow.words == "x@3 lagged:5"


async def test_emitted_and_delivered_are_counted():
    async with a_bus() as book:
        for _ in range(3):
            await book.bus.follow(LIVE, Numbers(), Peer(), None)

        book.write("a-1", 4)
        book.announce("x")
        await book.bus.flushed()

        assert (book.bus.emitted, book.bus.delivered) == (5, 15)
